"""A broker that is spoken to over TLS, and asks for our certificate too."""

import contextlib
import datetime
import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from queqiao_common import bus as bus_module
from queqiao_common import provision
from queqiao_common.errors import BrokerUnavailable
from queqiao_common.settings.broker import Nats, Tls
from queqiao_common.testing import eventually, inbound
from queqiao_common.topology import CHAT
from queqiao_testbed import brokers

MORE = (
    'tls {{ cert_file: "{0}/it.pem", key_file: "{0}/it.key", ca_file: "{0}/it.pem", verify: true }}'
)


def write_certificate(folder, name):
    """Write a certificate for 127.0.0.1 that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(pem))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


@pytest.fixture
def secured(tmp_path):
    """Start such a broker; `it.pem` and `it.key` in its folder are everybody's."""
    write_certificate(tmp_path, "it")
    write_certificate(tmp_path, "other")
    broker = brokers.ProcessBroker(tmp_path, more=MORE.format(tmp_path))
    with contextlib.contextmanager(brokers.started)(broker):
        yield broker, tmp_path


def settings_of(broker, folder, *, ca="it", cert="it"):
    tls = Tls(ca=f"{folder}/{ca}.pem", cert=f"{folder}/{cert}.pem", key=f"{folder}/{cert}.key")
    return Nats(url=broker.url.replace("nats://", "tls://"), tls=tls)


@pytest.mark.broker
async def test_events_are_published_and_read_and_a_lost_connection_comes_back(secured):
    broker, folder = secured
    bus = await bus_module.connect(settings_of(broker, folder), "test")
    try:
        await provision.apply_patiently(bus)
        first = await bus.publish_event(inbound("长" * 300_000, msgid="m_1"))
        broker.restart()
        second = await bus.publish_event(inbound(msgid="m_2"))
        stored = await bus.read(CHAT, first.seq)
        await eventually(lambda: bus.reconnects == 1)
    finally:
        await bus.close()

    assert len(stored.data) > 900_000
    assert second.seq == first.seq + 1


@pytest.mark.broker
@pytest.mark.parametrize(("ca", "cert"), [("other", "it"), ("it", "other")])
async def test_whom_one_side_does_not_trust_is_not_spoken_to(secured, ca, cert):
    broker, folder = secured

    with pytest.raises(BrokerUnavailable):
        await bus_module.connect(settings_of(broker, folder, ca=ca, cert=cert), "test", within=2)
