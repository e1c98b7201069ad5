"""What Queqiao did with a message is shown beside it, as its results pass on the broker."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from queqiao_common.bus import Bus, connect
from queqiao_common.provision import apply
from queqiao_common.settings import Nats
from queqiao_common.testing import delivered, eventually
from queqiao_simulator.app import create_app
from queqiao_simulator.nats_observer import NatsObserver, observation, trace_id
from queqiao_simulator.observer import key_of
from queqiao_simulator.server import serving
from queqiao_wechat.messages import dedupe_key, parse_message

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}


def test_a_result_is_put_into_the_pages_words():
    result = delivered(via="api", parts=2, parked=1, reasons=("why",), msgids=("m_1", "m_2"))

    seen = observation(result, PARENT)

    assert (seen.via, seen.reasons, seen.trace_id) == ("api", ["why"], TRACE)
    assert (seen.detail["parts"], seen.detail["parked"], seen.detail["messages"]) == (2, 1, 2)


@pytest.mark.parametrize("status", ["parked", "failed"])
def test_what_did_not_arrive_took_no_way(status):
    """Otherwise the page would say that the user has read it."""
    assert observation(delivered(status=status, via="none"), {}).via == status


@pytest.mark.parametrize("header", ["", "00", "00-short-b7ad6b7169203331-01", "a-b-c-d-e"])
def test_a_header_that_is_no_trace_is_none(header):
    assert trace_id({"traceparent": header}) == ""


def test_a_push_has_the_key_that_ingress_gives_it():
    """By nothing else can a result be told to belong to a message."""
    fields = {
        "ToUserName": "gh_1",
        "FromUserName": "oUSER",
        "CreateTime": 1767225600,
        "MsgType": "event",
        "Event": "CLICK",
        "EventKey": "HELP",
    }
    document = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())

    assert key_of(fields) == dedupe_key(parse_message(f"<xml>{document}</xml>".encode()))


def test_a_push_that_no_xml_can_hold_has_no_key():
    fields = {"ToUserName": "gh_1", "FromUserName": "oUSER", "MsgType": "event", "Event": "\x00"}

    assert key_of(fields) == ""


class Watched:
    """A simulator that watches a broker, and a hand on both."""

    def __init__(self, http: httpx.AsyncClient, bus: Bus) -> None:
        self.http = http
        self.bus = bus

    async def act(self, path: str, **body: str) -> None:
        response = await self.http.post(f"/control/{path}", json={"account": "main", **body})
        response.raise_for_status()

    async def last(self, user: str) -> Any:
        query = {"account": "main", "user": user}
        response = await self.http.get("/control/transcript", params=query)
        return [entry for entry in response.json() if entry["who"] == "user"][-1]

    async def report(self, number: int, msgid: str, **fields: Any) -> None:
        """Publish what egress would: the result of the `number`th piece for one message."""
        name = f"{msgid}.{number}"
        event = delivered(id=f"sent:{name}", delivery_id=name, msgids=(msgid,), **fields)
        await self.bus.publish_event(event, parent=PARENT)

    async def told(self, user: str, count: int) -> list[Any]:
        """The observations of the user's last message, once there are `count`."""

        async def enough() -> Any:
            detail = (await self.last(user))["detail"]
            return detail if len(detail) >= count else None

        return await eventually(enough)


@pytest.fixture
async def watched(broker, settings) -> AsyncIterator[Watched]:
    async with AsyncExitStack() as stack:
        bus = await connect(Nats(url=broker.url), "test")
        stack.push_async_callback(bus.close)
        await apply(bus, scale=0.01, consumers=())
        app = create_app(settings, observers=[NatsObserver(broker.url)])
        url = await stack.enter_async_context(serving(app))
        yield Watched(await stack.enter_async_context(httpx.AsyncClient(base_url=url)), bus)


async def test_the_pieces_of_an_answer_are_told_in_order_with_their_trace(watched):
    await watched.act("messages", user="piece", text="你好")
    key = (await watched.last("piece"))["key"]

    await watched.report(1, key, via="passive", reasons=("window open",))
    await watched.report(2, key, via="api", parts=1, reasons=("4 of 5 left",))
    told = await watched.told("piece", 2)

    assert [one["via"] for one in told] == ["passive", "api"]
    assert [one["reasons"] for one in told] == [["window open"], ["4 of 5 left"]]
    assert {one["trace_id"] for one in told} == {TRACE}


async def test_the_answer_to_an_event_is_told_too(watched):
    """A welcome is the first thing that whoever tries the page sees."""
    await watched.act("events", user="event", event="subscribe")
    key = (await watched.last("event"))["key"]

    await watched.report(1, key, via="passive")

    assert len(await watched.told("event", 1)) == 1


async def test_what_cannot_be_read_or_is_of_others_does_no_harm(watched):
    await watched.act("messages", user="others", text="你好")
    key = (await watched.last("others"))["key"]

    await watched.bus.publish("reply.delivered.main", b"{", event_id=f"broken:{key}")
    await watched.report(1, "m_of_nobody")
    await watched.report(2, key)
    [told] = await watched.told("others", 1)

    assert told["detail"]["delivery"] == f"{key}.2"


async def test_after_a_restart_of_the_broker_nothing_is_missing_and_nothing_told_twice(
    watched, broker
):
    await watched.act("messages", user="restart", text="你好")
    key = (await watched.last("restart"))["key"]
    await watched.report(1, key)
    await watched.told("restart", 1)

    broker.restart()
    await watched.report(2, key)
    told = await watched.told("restart", 2)

    assert [one["detail"]["delivery"] for one in told] == [f"{key}.1", f"{key}.2"]
