"""Context's handlers: read, let the state machine decide, write by compare-and-swap, publish."""

from collections.abc import AsyncIterator, Callable
from typing import Protocol

from queqiao_common import telemetry
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
from queqiao_context.conversation import Chain, Gap, Rules, Step
from queqiao_context.document import Conversation

Yields = AsyncIterator[Event | Outgoing]


class Inbound(Protocol):
    """Reads the order in which a user's messages were accepted."""

    async def sequences(self, *, account: str, conv: str, after: int, upto: int) -> tuple[int, ...]:
        """Return the sequences of the conversation's messages in `(after, upto]`."""


class Context:
    """The only writer of conversations."""

    def __init__(
        self,
        *,
        config: Config,
        conversations: Documents[Conversation],
        inbound: Inbound,
        epoch: str,
        now_ms: Callable[[], int],
    ) -> None:
        self._config = config
        self._conversations = conversations
        self._inbound = inbound
        self._epoch = epoch
        self._now_ms = now_ms

    async def absorb(self, received: Received[ScreenedMessage]) -> Yields:
        """Take in what a user said."""
        screened = received.event
        rules = self._rules(screened.account)
        traceparent = telemetry.current_headers().get("traceparent", "")
        step = await self._absorb(screened, rules, traceparent, None)
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

    async def _absorb(
        self, screened: ScreenedMessage, rules: Rules, traceparent: str, chain: Chain | None
    ) -> Step:
        """Decide with the chain at hand; where it falls short, read it and decide again."""
        try:
            return await self._change(
                screened,
                lambda talk: conversation.absorb(
                    talk, screened, chain, rules, traceparent=traceparent
                ),
            )
        except Gap as gap:
            read = await self._chain(screened, gap)
        return await self._absorb(screened, rules, traceparent, read)

    async def _change(
        self,
        event: ScreenedMessage | ScreenedSegment | DeliveryResult | TurnTimeout,
        decide: Callable[[Conversation | None], Step],
    ) -> Step:
        def change(talk: Conversation | None) -> tuple[Conversation | None, Step]:
            step = decide(talk)
            return step.document, step

        return await self._conversations.update(f"{event.account}.{event.conv}", change)

    async def _chain(self, screened: ScreenedMessage, gap: Gap) -> Chain:
        sequences = await self._inbound.sequences(
            account=screened.account, conv=screened.conv, after=gap.after, upto=gap.upto
        )
        if screened.sequence not in sequences and screened.sequence > gap.after:
            # A replica of the stream that lags; the event itself proves that the message is there.
            raise BrokerUnavailable("the inbound stream does not show a message we were told of")
        return Chain(gap.after, gap.upto, sequences)

    def _rules(self, account_id: str) -> Rules:
        config = self._config
        account = config.account(account_id)
        persona = config.persona(account.persona if account else "assistant")
        return Rules(
            settings=config.context,
            passive_only=account is not None and account.mode == "passive",
            persona=persona.prompt,
            route=persona.route,
            welcome=account.welcome if account else "",
            epoch=self._epoch,
            now_ms=self._now_ms(),
        )
