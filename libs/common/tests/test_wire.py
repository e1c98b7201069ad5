"""The short way through nats-py's client: what it reads and writes is what the library's does."""

import asyncio

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import ProtocolError
from nats.js.api import Header
from queqiao_common.testing import eventually
from queqiao_common.wire import Wire, parse_headers, publication

WORDS = st.text("abcXYZ019_-", min_size=1, max_size=12)
SUBJECTS = st.lists(WORDS, min_size=1, max_size=5).map(".".join)
VALUES = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x9FFF, exclude_categories=["Cs", "Z", "C"])
)
HEADERS = st.none() | st.dictionaries(WORDS, VALUES, min_size=1, max_size=4)
NAMES = WORDS | st.sampled_from(Header)
BODIES = st.binary(max_size=300)


def message(number, subject, reply, headers, body):
    """Write what a server writes."""
    parts = [subject, str(number), *([reply] if reply else [])]
    if headers is None:
        return f"MSG {' '.join(parts)} {len(body)}\r\n".encode() + body + b"\r\n"
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"NATS/1.0\r\n{fields}\r\n".encode()
    line = f"HMSG {' '.join(parts)} {len(head)} {len(head) + len(body)}\r\n"
    return line.encode() + head + body + b"\r\n"


MESSAGES = st.lists(st.tuples(SUBJECTS, st.just("") | SUBJECTS, HEADERS, BODIES), max_size=8)


@given(MESSAGES, st.lists(st.integers(1, 40), min_size=1, max_size=30))
async def test_messages_are_read_however_the_stream_is_cut(messages, cuts):
    heard = []
    wire = Wire()
    wire._hearers[7] = heard.append
    stream = b"".join(message(7, *one) for one in messages)
    places = sorted({min(len(stream), sum(cuts[: n + 1])) for n in range(len(cuts))})

    for start, stop in zip([0, *places], [*places, len(stream)], strict=True):
        await wire._ps.parse(stream[start:stop])

    assert [(one.subject, one.reply, one.headers, one.data) for one in heard] == messages


@given(
    SUBJECTS,
    st.just("") | SUBJECTS,
    st.none() | st.dictionaries(NAMES, VALUES, min_size=1, max_size=4),
    BODIES,
)
async def test_what_is_written_is_what_the_library_writes(subject, reply, headers, body):
    library = Client()
    library._flush_queue = asyncio.Queue()
    library._flush_queue.put_nowait(None)
    await library._send_publish(subject, reply, body, len(body), headers)

    assert publication(subject, reply, body, headers) == library._pending[0]


@given(st.sampled_from(["\n", "\r", "\r\n", "\r\nPUB a 1\r\nx"]), VALUES)
def test_a_line_break_in_a_value_is_not_written(broken, value):
    assert publication("a", "", b"", {"Nats-Msg-Id": value + broken}) is None


@pytest.mark.parametrize(
    ("raw", "fields"),
    [
        (b"NATS/1.0 503\r\n\r\n", {"Status": "503"}),
        (b"NATS/1.0 404 No Messages\r\n\r\n", {"Status": "404", "Description": "No Messages"}),
        (
            b"NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 3\r\n\r\n",
            {"Status": "408", "Description": "Request Timeout", "Nats-Pending-Messages": "3"},
        ),
        (b"NATS/1.0\r\nname:no space\r\n\r\n", {"name": "no space"}),
        (b"NATS/1.0\r\n\r\n", None),
    ],
)
def test_a_status_of_the_broker_is_read(raw, fields):
    assert parse_headers(raw) == fields


@pytest.mark.parametrize("line", [b"MSG a\r\n", b"MSG a x 3\r\n", b"HMSG a 1 2\r\n", b"WHAT\r\n"])
async def test_what_is_not_the_protocol_is_refused(line):
    with pytest.raises(ProtocolError):
        await Wire()._ps.parse(line)


async def test_nothing_of_a_lost_connection_is_read_in_the_next_one():
    heard, wire = [], Wire()
    whole = message(7, "a.b", "", None, b"whole")

    def hear(one):
        heard.append(one.data)
        wire._ps.reset()

    wire._hearers[7] = hear
    await wire._ps.parse(whole + whole + b"MSG a.b 7 20\r\nhalf")
    await wire._ps.parse(whole)

    assert heard == [b"whole", b"whole"]


async def test_a_listener_that_fails_does_not_stop_the_others(caplog):
    heard, wire = [], Wire()
    wire._hearers |= {1: lambda _: 1 / 0, 2: heard.append}

    await wire._ps.parse(message(1, "a", "", None, b"") + message(2, "a", "", None, b"x"))

    assert [one.data for one in heard] == [b"x"]
    assert "nats.unheard" in caplog.text


@pytest.fixture
async def wires(broker):
    """Two connections: one that sends, one that listens."""
    pair = Wire(), Wire()
    for wire in pair:
        await wire.connect(broker.url, reconnect_time_wait=0.1, pending_size=64 * 1024 * 1024)
    yield pair
    for wire in pair:
        await wire.close()


@pytest.mark.broker
async def test_order_is_kept_over_a_broker_that_stands_still(wires, broker):
    """More is sent than the socket takes: it waits in three places, and comes as it was sent."""
    sender, listener = wires
    heard, count = [], 4000
    await listener.listen("numbers", lambda one: heard.append(int(one.data[:8])))
    await listener.flush()

    broker.pause()
    for number in range(count):
        await sender.publish("numbers", b"%08d" % number + b"." * 5000)
        if number % 50 == 0:
            await asyncio.sleep(0)
    broker.resume()
    await eventually(lambda: len(heard) == count, within=20)

    assert heard == list(range(count))


@pytest.mark.broker
async def test_what_is_sent_without_a_connection_is_sent_with_the_next_one(wires, broker):
    wire, _ = wires
    heard = []
    await wire.listen("numbers", lambda one: heard.append(one.data))
    await wire.publish("numbers", b"before")
    await eventually(lambda: heard)

    broker.kill()
    await eventually(lambda: not wire.is_connected)
    await wire.publish("numbers", b"while away")
    broker.start()
    await eventually(lambda: wire.is_connected)
    await wire.publish("numbers", b"back again")
    await eventually(lambda: len(heard) == 3)

    assert heard == [b"before", b"while away", b"back again"]


@pytest.mark.broker
async def test_what_is_sent_before_a_lost_connection_is_noticed_is_sent_with_the_next_one(broker):
    """On uvloop, as in the services: a closed transport of its refuses to be written to."""

    async def scenario():
        wire, heard = Wire(), []
        await wire.connect(broker.url, reconnect_time_wait=0.1, pending_size=1024 * 1024)
        subscription = await wire.listen("numbers", lambda one: heard.append(int(one.data)))
        await wire.flush()
        wire._transport._io_writer.transport.abort()
        for number in range(5):
            await wire.publish("numbers", b"%d" % number)
            wire._let_out()
        with pytest.raises(NatsError):
            await wire.flush()
        for number in range(5, 10):
            await wire.publish("numbers", b"%d" % number)
            await asyncio.sleep(0)
        await eventually(lambda: len(heard) == 10)
        wire._transport._io_writer.transport.abort()
        with pytest.raises(NatsError):
            await wire.leave(subscription)
        await wire.close()
        return heard

    heard = await asyncio.to_thread(uvloop.run, scenario())

    assert heard == list(range(10))


@pytest.mark.broker
async def test_who_leaves_has_heard_all_that_was_written_and_hears_nothing_more(wires):
    sender, listener = wires
    heard = []
    subscription = await listener.listen("numbers", lambda one: heard.append(one.data))
    await listener.flush()
    for number in range(1000):
        await sender.publish("numbers", b"%d" % number)
    await sender.flush()

    await listener.leave(subscription)
    await sender.publish("numbers", b"too late")
    await sender.flush()
    await listener.flush()

    assert len(heard) == 1000
    assert not listener._subs


@pytest.mark.broker
async def test_a_header_that_would_break_the_protocol_is_mended_by_the_library(wires):
    sender, listener = wires
    heard = []
    await listener.listen("numbers", heard.append)
    await listener.flush()

    await sender.publish("numbers", b"x", headers={"id": "a\r\nPUB numbers 1\r\ny"})
    await eventually(lambda: heard)

    assert heard[0].headers["id"].split() == ["a", "PUB", "numbers", "1", "y"]
