"""The broker as far as ingress speaks to it, in memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from queqiao_common import telemetry
from queqiao_common.answers import PubAck
from queqiao_common.events import Event


@dataclass
class Message:
    """A message as the client library hands it over."""

    data: bytes
    subject: str = "passive.offer.main"
    reply: str = ""
    headers: dict[str, str] | None = None


@dataclass
class FakeBroker:
    """Stores each id once, and fails when told to."""

    connected: bool = True
    fails_with: Exception | None = None
    stored: list[Any] = field(default_factory=list)
    traces: list[str] = field(default_factory=list)

    async def publish_event(
        self, event: Event, *, parent: Mapping[str, str] | None = None, deadline: float = 30.0
    ) -> PubAck:
        if self.fails_with is not None:
            raise self.fails_with
        for number, one in enumerate(self.stored, 1):
            if one.id == event.id:
                return PubAck(seq=number, duplicate=True)
        self.stored.append(event)
        self.traces.append(parent["traceparent"] if parent else telemetry.trace_id())
        return PubAck(seq=len(self.stored))
