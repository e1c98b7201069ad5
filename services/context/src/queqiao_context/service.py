"""Context's handlers: read, let the state machine decide, write by compare-and-swap, publish."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Protocol

from msgspec import structs
from queqiao_common import ids, telemetry
from queqiao_common.errors import BrokerUnavailable, Postponed
from queqiao_common.events import (
    DeliveryResult,
    Event,
    ScreenedMessage,
    ScreenedSegment,
    Summarised,
    TurnTimeout,
)
from queqiao_common.kv import Documents
from queqiao_common.pages import Page
from queqiao_common.people import WithPerson
from queqiao_common.settings import Config
from queqiao_common.worker import Outgoing, Received

from queqiao_context import conversation, handover, notes, showing
from queqiao_context.asking import forgets
from queqiao_context.chain import Chain, Doubt, Gap
from queqiao_context.conversation import Step
from queqiao_context.document import Conversation
from queqiao_context.notes import Remembered
from queqiao_context.overload import Shed
from queqiao_context.rules import FactsNeeded, Rules, rules_for
from queqiao_context.summary import parted
from queqiao_context.watch import AGAIN_MS, Watch

Yields = AsyncIterator[Event | Outgoing]
Incoming = ScreenedMessage | ScreenedSegment | DeliveryResult | TurnTimeout | Summarised
Decide = Callable[[Conversation | None, Rules], Step]

ORDER = 2.0
"""Seconds after which it is looked again whether a message that came early has been absorbed."""


class Inbound(Protocol):
    """Reads the order in which a user's messages were accepted."""

    async def epoch(self, *, fresh: bool = False) -> str:
        """Return which stream the sequences count in; `fresh` asks the broker."""

    def known(self, cursor: int, *, account: str, conv: str, upto: int) -> Chain | None:
        """Return what lies between the cursor and a message, where nobody need be asked."""

    async def chain(self, *, account: str, conv: str, gap: Gap) -> Chain:
        """Return the conversation's messages in a gap."""

    async def given_up(self, *, account: str, conv: str, gap: Gap) -> Chain:
        """Return the same, with a verdict of failure where moderation is done and said nothing."""


@dataclass(frozen=True, kw_only=True)
class Documented:
    """The buckets that context writes."""

    conversations: Documents[Conversation]
    notes: Documents[Remembered]
    pages: Documents[Page]
    people: Documents[WithPerson]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A step, and the conversation as it stands after it; `had_person` is as it stood before."""

    step: Step
    talk: Conversation | None
    had_person: bool


class Context:
    """The only writer of conversations."""

    def __init__(
        self,
        *,
        config: Config,
        documents: Documented,
        inbound: Inbound,
        publish: Callable[[Event], Awaitable[object]],
        now_ms: Callable[[], int],
        new_page_id: Callable[[], str],
        shed: Callable[[], Shed],
    ) -> None:
        self._config = config
        self._lasting = cache(partial(rules_for, config))
        self._conversations = documents.conversations
        self._notes = documents.notes
        self._pages = documents.pages
        self._people = documents.people
        self._inbound = inbound
        self._publish = publish
        self._now_ms = now_ms
        self._new_page_id = new_page_id
        self._shed = shed
        self._watch = Watch()

    async def absorb(self, received: Received[ScreenedMessage]) -> Yields:
        """Take in what a user said.

        Raises:
            Postponed: the user is to be forgotten, and earlier messages have yet to come.
        """
        screened = received.event
        outcome = await self._absorbed(screened)
        for item in outcome.step.publish:
            yield item
        if forgets(screened, self._rules(screened.account)):
            await self._forget(screened, outcome.talk)

    async def record(self, received: Received[ScreenedSegment]) -> Yields:
        """Record one piece of an answer; release it when it is the next and nothing is out."""
        piece = received.event
        telemetry.note({telemetry.TURN_ID: piece.turn_id, telemetry.ATTEMPT: piece.attempt})
        outcome = await self._change(
            piece, lambda talk, rules: conversation.record(talk, piece, rules)
        )
        await self._learn(outcome.talk, ids.turn_number(piece.turn_id), piece.notes)
        for item in outcome.step.publish:
            yield item

    async def settle(self, received: Received[DeliveryResult]) -> Yields:
        """Release the next piece, or close the turn and open the next."""
        result = received.event
        telemetry.note({telemetry.TURN_ID: result.turn_id, telemetry.VIA: result.via})
        outcome = await self._change(
            result, lambda talk, rules: conversation.settle(talk, result, rules)
        )
        for item in outcome.step.publish:
            yield item

    async def summarise(self, received: Received[Summarised]) -> Yields:
        """Keep a summary in the place of what it covers, and the facts it found."""
        summary = received.event
        outcome = await self._change(
            summary, lambda talk, rules: conversation.summarise(talk, summary, rules)
        )
        facts = (*summary.notes, *parted(summary.text)[1])
        await self._learn(outcome.talk, summary.upto, facts)
        for item in outcome.step.publish:
            yield item

    async def expire(self, received: Received[TurnTimeout]) -> Yields:
        """Answer a turn that is still in flight at its deadline with the apology."""
        outcome = await self._expired(received.event)
        for item in outcome.step.publish:
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

    # -- a message --------------------------------------------------------------------------

    async def _absorbed(self, screened: ScreenedMessage) -> Outcome:
        with contextlib.suppress(Doubt):
            outcome = await self._absorb(screened, await self._inbound.epoch(), None)
            if outcome.step.document is not None:
                return outcome
        # Absorbed before; or numbered by a stream that was created anew behind our back.
        fresh = await self._inbound.epoch(fresh=True)
        return await self._absorb(screened, fresh, None, sure=True)

    async def _absorb(
        self, screened: ScreenedMessage, epoch: str, chain: Chain | None, *, sure: bool = False
    ) -> Outcome:
        """Decide with the chain at hand; where it falls short, read it and decide again."""
        traceparent = telemetry.current_headers().get("traceparent", "")
        try:
            return await self._change(
                screened,
                lambda talk, rules: conversation.absorb(
                    talk,
                    screened,
                    chain or self._known(talk, screened),
                    rules,
                    traceparent=traceparent,
                    sure=sure,
                ),
                epoch=epoch,
            )
        except Gap as gap:
            read = await self._chain(screened, gap)
        return await self._absorb(screened, epoch, read, sure=sure)

    def _known(self, talk: Conversation | None, screened: ScreenedMessage) -> Chain | None:
        return self._inbound.known(
            0 if talk is None else talk.cursor,
            account=screened.account,
            conv=screened.conv,
            upto=screened.sequence,
        )

    async def _chain(self, screened: ScreenedMessage, gap: Gap) -> Chain:
        chain = await self._inbound.chain(account=screened.account, conv=screened.conv, gap=gap)
        if screened.sequence not in chain.sequences and screened.sequence > gap.after:
            # A replica of the stream that lags; the event itself proves that the message is there.
            raise BrokerUnavailable("the inbound stream does not show a message we were told of")
        return chain

    async def _expired(self, timeout: TurnTimeout, chain: Chain | None = None) -> Outcome:
        try:
            return await self._change(
                timeout, lambda talk, rules: conversation.expire(talk, timeout, rules, chain)
            )
        except Gap as gap:
            read = await self._inbound.given_up(account=timeout.account, conv=timeout.conv, gap=gap)
        return await self._expired(timeout, read)

    # -- documents --------------------------------------------------------------------------

    async def _change(self, event: Incoming, decide: Decide, *, epoch: str = "") -> Outcome:
        """Apply what an event changes; whatever its publications need stands before they leave."""
        rules = self._rules(event.account, epoch=epoch)
        key = f"{event.account}.{event.conv}"
        try:
            outcome = await self._decided(key, decide, rules)
        except FactsNeeded:
            known = (await self._notes.get(key)).value or Remembered()
            outcome = await self._decided(key, decide, rules, known)
        if outcome.step.document is not None:
            self._watch.note(key, conversation.due_ms(outcome.step.document, rules))
        if outcome.talk is not None:
            _note_state(outcome.talk, rules)
            await self._show(outcome.talk, rules)
            await self._tell_of_person(outcome.talk, rules, had_person=outcome.had_person)
        return outcome

    async def _decided(
        self, key: str, decide: Decide, rules: Rules, known: Remembered | None = None
    ) -> Outcome:
        return await self._conversations.update(
            key, lambda talk: _changed(talk, decide, rules, known)
        )

    async def _show(self, talk: Conversation, rules: Rules) -> None:
        """Bring the page of a long answer up to date before anything can link to it."""
        page = showing.page_of(talk, rules)
        if page is not None and talk.turn is not None:
            await self._pages.update(
                talk.turn.page, lambda shown: (showing.newer(shown, page), None)
            )

    async def _tell_of_person(self, talk: Conversation, rules: Rules, *, had_person: bool) -> None:
        """Have ingress hold what a user says to a person; what it is not told ends by itself."""
        if not rules.tells_of_people:
            return
        until_ms = handover.expected_until_ms(talk, rules)
        if until_ms is not None:
            told = WithPerson(until_ms=until_ms)
            await self._people.update(talk.key, lambda known: (newer_of(known, told), None))
        elif had_person:
            await self._people.delete(talk.key)

    async def _learn(self, talk: Conversation | None, turn: int, texts: tuple[str, ...]) -> None:
        """Remember facts about a user, unless they have asked since to be forgotten."""
        if not texts or talk is None or not self._config.notes.enabled:
            return
        limit, forgotten = self._config.notes.max_notes, talk.forgotten
        await self._notes.update(
            talk.key,
            lambda known: (
                notes.learnt(known, texts, turn=turn, limit=limit, forgotten=forgotten),
                None,
            ),
        )

    async def _forget(self, screened: ScreenedMessage, talk: Conversation | None) -> None:
        """Erase the notes, once the conversation knows that there must be none."""
        if talk is None or talk.cursor < screened.sequence:
            raise Postponed("messages before it have yet to come", after=ORDER)
        if (await self._notes.get(talk.key)).value is not None:
            await self._notes.delete(talk.key)

    def _rules(self, account_id: str, *, epoch: str = "") -> Rules:
        return structs.replace(
            self._lasting(account_id),
            now_ms=self._now_ms(),
            epoch=epoch,
            page_id=self._new_page_id() if self._config.pages.base_url else "",
            shed=self._shed(),
        )


def _changed(
    talk: Conversation | None, decide: Decide, rules: Rules, known: Remembered | None
) -> tuple[Conversation | None, Outcome]:
    """Decide, and return the new document (None: as it was) and all that follows from it."""
    told = rules
    if known is not None:
        forgotten = talk.forgotten if talk else 0
        told = structs.replace(rules, facts=notes.texts_of(known, forgotten=forgotten))
    step = decide(talk, told)
    had_person = handover.expected_until_ms(talk, rules) is not None
    return step.document, Outcome(step, step.document or talk, had_person)


def newer_of(known: WithPerson | None, told: WithPerson) -> WithPerson | None:
    """Return what is to be told; None where it is known."""
    return told if known is None or known.until_ms < told.until_ms else None


def _note_state(talk: Conversation, rules: Rules) -> None:
    """Let the trace say who talks to the user."""
    attributes = {telemetry.PERSONA: rules.persona_of(talk.persona)[0]}
    if talk.handed is not None:
        attributes[telemetry.HANDED] = talk.handed.why
    telemetry.note(attributes)
