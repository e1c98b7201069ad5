"""Context's handlers: read, let the state machine decide, write by compare-and-swap, publish."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from queqiao_common import ids, telemetry
from queqiao_common.errors import BrokerUnavailable
from queqiao_common.events import (
    DeliveryResult,
    Event,
    ScreenedMessage,
    ScreenedSegment,
    TurnTimeout,
)
from queqiao_common.kv import Documents
from queqiao_common.settings import Config
from queqiao_common.worker import Outgoing, Received

from queqiao_context import conversation
from queqiao_context.conversation import Chain, Doubt, Gap, Step
from queqiao_context.document import Conversation
from queqiao_context.rules import Rules
from queqiao_context.watch import AGAIN_MS, Watch

Yields = AsyncIterator[Event | Outgoing]


class Inbound(Protocol):
    """Reads the order in which a user's messages were accepted."""

    async def epoch(self, *, fresh: bool = False) -> str:
        """Return which stream the sequences count in; `fresh` asks the broker."""

    async def chain(self, *, account: str, conv: str, gap: Gap) -> Chain:
        """Return the conversation's messages in a gap."""


class Context:
    """The only writer of conversations."""

    def __init__(
        self,
        *,
        config: Config,
        conversations: Documents[Conversation],
        inbound: Inbound,
        publish: Callable[[Event], Awaitable[object]],
        now_ms: Callable[[], int],
    ) -> None:
        self._config = config
        self._conversations = conversations
        self._inbound = inbound
        self._publish = publish
        self._now_ms = now_ms
        self._watch = Watch()

    async def absorb(self, received: Received[ScreenedMessage]) -> Yields:
        """Take in what a user said."""
        step = await self._absorbed(received.event)
        for item in step.publish:
            yield item

    async def record(self, received: Received[ScreenedSegment]) -> Yields:
        """Record one piece of an answer; release it when it is the next and nothing is out."""
        piece, rules = received.event, self._rules(received.event.account)
        telemetry.note({telemetry.TURN_ID: piece.turn_id, telemetry.ATTEMPT: piece.attempt})
        step = await self._change(piece, lambda talk: conversation.record(talk, piece, rules))
        for item in step.publish:
            yield item

    async def settle(self, received: Received[DeliveryResult]) -> Yields:
        """Release the next piece, or close the turn and open the next."""
        result, rules = received.event, self._rules(received.event.account)
        telemetry.note({telemetry.TURN_ID: result.turn_id, telemetry.VIA: result.via})
        step = await self._change(result, lambda talk: conversation.settle(talk, result, rules))
        for item in step.publish:
            yield item

    async def expire(self, received: Received[TurnTimeout]) -> Yields:
        """Answer a turn that is still in flight at its deadline with the apology."""
        timeout, rules = received.event, self._rules(received.event.account)
        step = await self._change(timeout, lambda talk: conversation.expire(talk, timeout, rules))
        for item in step.publish:
            yield item

    async def look_after(self) -> None:
        """End, or set going again, what should have ended by now: its timer must be lost."""
        now_ms = self._now_ms()
        for key in self._watch.take(now_ms):
            talk = (await self._conversations.get(key)).value
            due = None if talk is None else conversation.due_ms(talk, self._rules(talk.account))
            if talk is None or due is None or due > now_ms:
                self._watch.note(key, due)
                continue
            turn = ids.turn_id(account=talk.account, conv=talk.conv, number=talk.turns)
            late = f"late:{turn}:{now_ms // AGAIN_MS}"
            timeout = TurnTimeout(id=late, account=talk.account, conv=talk.conv, turn_id=turn)
            await self._publish(timeout)

    async def _absorbed(self, screened: ScreenedMessage) -> Step:
        with contextlib.suppress(Doubt):
            step = await self._absorb(screened, await self._inbound.epoch(), None)
            if step.document is not None:
                return step
        # Absorbed before; or numbered by a stream that was created anew behind our back.
        fresh = await self._inbound.epoch(fresh=True)
        return await self._absorb(screened, fresh, None, sure=True)

    async def _absorb(
        self, screened: ScreenedMessage, epoch: str, chain: Chain | None, *, sure: bool = False
    ) -> Step:
        """Decide with the chain at hand; where it falls short, read it and decide again."""
        rules = self._rules(screened.account, epoch=epoch)
        traceparent = telemetry.current_headers().get("traceparent", "")
        try:
            return await self._change(
                screened,
                lambda talk: conversation.absorb(
                    talk, screened, chain, rules, traceparent=traceparent, sure=sure
                ),
            )
        except Gap as gap:
            read = await self._chain(screened, gap)
        return await self._absorb(screened, epoch, read, sure=sure)

    async def _change(
        self,
        event: ScreenedMessage | ScreenedSegment | DeliveryResult | TurnTimeout,
        decide: Callable[[Conversation | None], Step],
    ) -> Step:
        def change(talk: Conversation | None) -> tuple[Conversation | None, Step]:
            step = decide(talk)
            return step.document, step

        step = await self._conversations.update(f"{event.account}.{event.conv}", change)
        if step.document is not None:
            due = conversation.due_ms(step.document, self._rules(event.account))
            self._watch.note(step.document.key, due)
        return step

    async def _chain(self, screened: ScreenedMessage, gap: Gap) -> Chain:
        chain = await self._inbound.chain(account=screened.account, conv=screened.conv, gap=gap)
        if screened.sequence not in chain.sequences and screened.sequence > gap.after:
            # A replica of the stream that lags; the event itself proves that the message is there.
            raise BrokerUnavailable("the inbound stream does not show a message we were told of")
        return chain

    def _rules(self, account_id: str, *, epoch: str = "") -> Rules:
        config = self._config
        account = config.account(account_id)
        persona = config.persona(account.persona if account else "assistant")
        return Rules(
            settings=config.context,
            passive_only=account is not None and account.mode == "passive",
            persona=persona.prompt,
            route=persona.route,
            welcome=account.welcome if account else "",
            epoch=epoch,
            now_ms=self._now_ms(),
        )
