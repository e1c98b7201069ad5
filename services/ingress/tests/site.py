"""One replica of ingress behind HTTP, its broker in memory."""

from collections.abc import AsyncIterable, Mapping
from typing import TypeAlias

import httpx
from fastapi import FastAPI
from queqiao_common.answers import PubAck
from queqiao_common.claims import Claim, Tries
from queqiao_common.displays import Display
from queqiao_common.events import Event, InboundMessage, PassiveOffer, encode
from queqiao_common.settings import Config
from queqiao_common.testing import CONV, MemoryDocuments
from queqiao_ingress.app import Entrance
from queqiao_ingress.doors import open_doors
from queqiao_ingress.people import People
from queqiao_ingress.service import Ingress
from queqiao_ingress.streams import Streams
from queqiao_ingress.waiting import WaitingRoom

from services.ingress.tests import wechat
from services.ingress.tests.memory_broker import FakeBroker, Message

PATH = "/wechat/main"
NOW_MS = 1_767_225_601_000


Query: TypeAlias = dict[str, str] | str
Body: TypeAlias = bytes | AsyncIterable[bytes]


class OfferingBroker(FakeBroker):
    """Hears an offer as soon as the message is stored, as if the pipeline took no time."""

    ingress: Ingress
    reply: str | None = None

    async def publish_event(
        self, event: Event, *, parent: Mapping[str, str] | None = None, deadline: float = 30.0
    ) -> PubAck:
        ack = await super().publish_event(event, parent=parent, deadline=deadline)
        if self.reply is not None and isinstance(event, InboundMessage):
            offer = PassiveOffer(
                id="o",
                account=event.account,
                conv=CONV,
                msgid=event.msgid,
                text=self.reply,
                items=("d",),
            )
            self.ingress.hear(Message(encode(offer)))
        return ack


class Site:
    """One replica behind HTTP."""

    def __init__(self, config: Config, *, reply: str | None = None) -> None:
        self.broker = OfferingBroker()
        self.broker.reply = reply
        self.claims: MemoryDocuments[Claim] = MemoryDocuments()
        tries: MemoryDocuments[Tries] = MemoryDocuments()
        self.displays: MemoryDocuments[Display] = MemoryDocuments()
        self.ingress = self.broker.ingress = Ingress(
            config,
            publisher=self.broker,
            claims=self.claims,
            tries=tries,
            streams=Streams(self.displays, now_ms=lambda: NOW_MS),
            room=WaitingRoom(seats=config.ingress.max_waiting, now=lambda: 0.0),
            people=People(now_ms=lambda: NOW_MS),
        )
        app = FastAPI()
        entrance = Entrance(
            doors=open_doors(config),
            ingress=self.ingress,
            settings=config.ingress,
            now_ms=lambda: NOW_MS,
            clock=lambda: 0.0,
        )
        entrance.open(app)
        self.app = entrance.before(app)

    async def get(self, query: Query, path: str = PATH) -> httpx.Response:
        return await self._send("GET", path, query)

    async def post(
        self, body: Body, query: Query | None = None, path: str = PATH
    ) -> httpx.Response:
        return await self._send("POST", path, wechat.signed() if query is None else query, body)

    async def _send(
        self, method: str, path: str, query: Query, body: Body | None = None
    ) -> httpx.Response:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), base_url="http://ingress"
        ) as client:
            return await client.request(method, path, params=query, content=body)
