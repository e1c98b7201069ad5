from pathlib import Path

import pytest
from queqiao_cli.plan import (
    PORTS,
    PlanError,
    broker,
    broker_config,
    clashes,
    every,
    model,
    own_broker_port,
    read_ports,
    services,
    simulator,
)
from queqiao_common.settings import Nats

CONFIG = Path("/srv/queqiao.toml")
URL = "nats://127.0.0.1:4222"


def unset(name: str) -> str:
    return ""


def plan(replicas: int = 1, **ports: int):
    return services(
        config=CONFIG,
        nats_url=URL,
        ports={**PORTS, **ports},
        replicas=replicas,
    )


def test_a_service_gets_its_configuration_its_broker_and_its_port():
    [ingress] = [one for one in every(plan()) if one.name == "ingress"]

    assert ingress.command[1:] == ("-m", "queqiao_ingress")
    assert ingress.env["QUEQIAO_CONFIG"] == "/srv/queqiao.toml"
    assert ingress.env["QUEQIAO_NATS_URL"] == URL
    assert ingress.env["QUEQIAO_HTTP_PORT"] == "8080"
    assert ingress.ready == "http://127.0.0.1:8080/readyz"


def test_the_door_opens_last():
    """What comes in before the others are there would wait, and its user with it."""
    assert [one.name for one in every(plan())][-1] == "ingress"


def test_replicas_have_names_and_consecutive_ports():
    doors = [one for one in every(plan(replicas=3)) if one.name.startswith("ingress")]

    assert [one.name for one in doors] == ["ingress.1", "ingress.2", "ingress.3"]
    assert [one.env["QUEQIAO_HTTP_PORT"] for one in doors] == ["8080", "8081", "8082"]


def test_a_demonstration_listens_on_the_loopback_address_only():
    """Its keys are public: anybody who reaches its ports could speak for WeChat."""
    stages = services(config=CONFIG, nats_url="", ports=PORTS, replicas=1, host="127.0.0.1")

    assert all(one.env["QUEQIAO_HTTP_HOST"] == "127.0.0.1" for one in every(stages))


def test_the_simulator_hears_what_the_services_do():
    """Otherwise its page can show what the platform saw, and never why."""
    assert simulator(CONFIG, 8090, nats_url=URL).env["QUEQIAO_NATS_URL"] == URL


def test_two_processes_that_want_one_port_are_named():
    stages = (*plan(replicas=2, simulator=8081), (simulator(CONFIG, 8081, nats_url=URL),))

    assert clashes(stages) == ["port 8081 is wanted by ingress.2 and simulator"]


def test_the_default_ports_do_not_clash():
    first = (
        broker(Path("nats-server"), CONFIG, port=PORTS["nats"], monitor=PORTS["monitor"]),
        model("queqiao_localmodel", PORTS["model"]),
    )
    stages = (first, *plan(replicas=10), (simulator(CONFIG, PORTS["simulator"], nats_url=URL),))

    assert clashes(stages) == []


def test_an_option_wins_over_the_environment_and_this_over_the_default():
    environment = {"QUEQIAO_SIMULATOR_PORT": "9000", "QUEQIAO_MODEL_PORT": "9001"}

    ports = read_ports(["simulator=7000"], lambda name: environment.get(name, ""))

    assert (ports["simulator"], ports["model"], ports["ingress"]) == (7000, 9001, 8080)


@pytest.mark.parametrize("option", ["page=1", "model=", "model=x", "model=0", "model=70000", "-1"])
def test_a_wrong_port_option_is_refused(option):
    with pytest.raises(PlanError):
        read_ports([option], unset)


@pytest.mark.parametrize(
    ("url", "override", "port"),
    [
        ("nats://127.0.0.1:4222", "", 4222),
        ("nats://localhost:5222", "", 5222),
        ("nats://127.0.0.1", "", 4222),
        ("nats://127.0.0.1:4222", "nats://127.0.0.1:4222", None),
        ("nats://broker.example:4222", "", None),
        ("nats://127.0.0.1:4222,nats://127.0.0.1:4223", "", None),
    ],
)
def test_a_broker_is_started_only_where_none_is_named(url, override, port):
    assert own_broker_port(Nats(url=url), override=override) == port


def test_what_the_broker_acknowledges_is_on_disk():
    """By default a power cut loses the last minutes of acknowledged messages."""
    text = broker_config(port=4222, monitor=8222, store=Path('/srv/a "b"'))

    assert "sync_interval: always" in text
    assert r'store_dir: "/srv/a \"b\""' in text
