"""Customer-service messages: marked, sent, and marked again."""

import logging
from collections.abc import Callable
from typing import NoReturn

from msgspec import Struct, structs
from prometheus_client import Counter
from queqiao_common import telemetry
from queqiao_common.errors import PermanentError, TransientError
from queqiao_common.failpoints import failpoint
from queqiao_common.kv import Documents
from queqiao_common.settings import Delivery as Settings
from queqiao_wechat.client import (
    AmbiguousError,
    ApiError,
    UnansweredError,
    UnreachableError,
)
from queqiao_wechat.errcodes import Action

from queqiao_egress import sent
from queqiao_egress.allowance import Allowance
from queqiao_egress.attaching import Attachments
from queqiao_egress.channels.port import Message, key_of
from queqiao_egress.letter import Letter
from queqiao_egress.outages import Outages
from queqiao_egress.pacing import retry_after, until_next_minute
from queqiao_egress.pages import Page
from queqiao_egress.plan import Rules
from queqiao_egress.progress import Progress, Word
from queqiao_egress.senders import ALIVE, Senders
from queqiao_egress.sent import Marker, Policy

log = logging.getLogger(__name__)

SPENT = 45047
ALL_SPENT = frozenset({SPENT, 95001})
"""WeChat allows this user no more messages: its own number, and that of its Customer Service."""
MEDIA_TROUBLE = frozenset({*range(40004, 40013), *range(45001, 45009), 48001, 301017})
"""What WeChat says of a message that it would take as a text."""
BUSY = -1
SHORTER = 2 / 3

AMBIGUOUS = Counter(
    "queqiao_egress_ambiguous",
    "Messages of which nobody knows whether WeChat accepted them, by what was done.",
    ["policy"],
)

RETRIED = frozenset({Action.RETRY, Action.WAIT_MINUTE, Action.REFRESH_TOKEN})
HARMLESS = frozenset({Action.OK, Action.IGNORE})
OPERATORS = frozenset({Action.CONFIG, Action.BUG, Action.WAIT_DAY})


class Refusal(Struct, frozen=True):
    """A message that WeChat would not take, and what it said (None: it was never asked)."""

    page: Page
    error: ApiError | None


class Sending:
    """Sends what a letter has left by the API of its account."""

    def __init__(
        self,
        *,
        sent: Documents[Marker],
        allowance: Allowance,
        attachments: Attachments,
        outages: Outages,
        senders: Senders,
        progress: Progress,
        settings: Settings,
        owner: str,
        now_ms: Callable[[], int],
    ) -> None:
        self._sent = sent
        self._allowance = allowance
        self._attachments = attachments
        self._outages = outages
        self._senders = senders
        self._progress = progress
        self._policy = settings.ambiguous
        self._unanswered = settings.unanswered or settings.ambiguous
        self._owner = owner
        self._now_ms = now_ms
        self._paused_until_ms: dict[str, int] = {}

    async def resume(self, letter: Letter) -> None:
        """Find out what earlier attempts have sent.

        Raises:
            TransientError: another process may still be sending.
        """
        stored = (await self._sent.get(letter.delivery.id)).value
        marker = self._progress.latest(letter.delivery.id, stored)
        if marker is None:
            return
        letter.marker = marker
        if marker.sending:
            known = await self._what_became_of(letter, marker)
            marker = letter.marker = known or self._doubt(
                letter, marker, "sender_gone", self._policy
            )
        letter.give(marker.carried)
        letter.errcode, letter.failed = marker.errcode, bool(marker.errcode)

    async def _what_became_of(self, letter: Letter, claim: Marker) -> Marker | None:
        """Return the marker after the call that a claim announced; None: nobody knows.

        Raises:
            TransientError: somebody will know.
        """
        if letter.channel.traits.is_idempotent:
            self._wait_for_its_end(claim)
            return None
        word: Word | None = self._progress.of(letter.delivery.id)
        if claim.owner != self._owner:  # ours is never busy: one delivery is handled once at a time
            word = await self._senders.word(letter.delivery.id, claim)
        if word is None:
            return None
        if word.marker is not None and word.marker.step >= claim.step:
            return None if word.marker.sending else word.marker
        if word.forgetful:
            return None
        # Written, but not known to be: such a call is never made. Or done since we looked.
        if (await self._sent.get(letter.delivery.id)).value != claim:
            raise TransientError("another process has just gone on")
        return sent.released(claim)

    async def send(self, letter: Letter) -> None:
        """Send what is left, as far as the user's quota goes; the rest stays in `letter.items`.

        Raises:
            TransientError: to be tried again, later.
        """
        self._respect_pause(letter.account.id)
        rules = letter.rules
        while letter.items:
            chosen = await self._allowance.plan(letter, rules)
            letter.reasons.extend(chosen.reasons)
            if not chosen.messages:
                break
            refusal = await self._send_pages(letter, chosen.messages)
            if refusal is None:
                if chosen.kept:
                    break
                continue  # a plan may have been for the messages of this minute alone
            if self._say_in_words(letter, refusal):
                continue
            if refusal.error is None:
                break
            if refusal.error.action is Action.SHORTEN and rules is letter.rules:
                letter.reasons.append(f"errcode {refusal.error.errcode}: cut into shorter messages")
                rules = _shorter(rules)
                continue
            await self._conclude(letter, refusal.error)
            break
        await self._finish(letter)

    def _say_in_words(self, letter: Letter, refusal: Refusal) -> bool:
        """Fall back to the text of what cannot be shown; True where that is worth another try."""
        error, attachment = refusal.error, refusal.page.attachment
        if attachment is None or (error is not None and not _is_of_media(error)):
            return False
        why = "could not be uploaded" if error is None else f"errcode {error.errcode}"
        letter.reasons.append(f"{attachment.kind}: {why}, said in words")
        self._attachments.forget(letter.account.id, attachment)
        letter.worded.extend(refusal.page.carried)
        return True

    async def _send_pages(self, letter: Letter, messages: tuple[Page, ...]) -> Refusal | None:
        """Send one message after the other; return WeChat's refusal, where that is final."""
        for page in messages:
            media_id = await self._media_id(letter, page)
            if media_id is None:
                return Refusal(page, None)
            with self._progress.busy(letter.delivery.id):
                claim = await self._claim(letter, page)
                failpoint("egress.before_send")
                error = await self._attempt(letter, page, claim, media_id)
            if error is not None:
                return Refusal(page, error)
        return None

    async def _claim(self, letter: Letter, page: Page) -> Marker:
        """Say that a part is being sent; a claim that is not known to be written is never used."""
        claim = sent.claimed(letter.marker, page.carried, owner=self._owner, now_ms=self._now_ms())
        failpoint("egress.before_claim")
        await self._store(letter, claim)
        self._remember(letter, claim)
        return claim

    async def _media_id(self, letter: Letter, page: Page) -> str | None:
        if page.attachment is None:
            return ""
        return await self._attachments.ready(letter.account.id, letter.channel, page.attachment)

    async def _attempt(
        self, letter: Letter, page: Page, claim: Marker, media_id: str
    ) -> ApiError | None:
        """Make one call, and note what became of it; return WeChat's refusal, if it is final."""
        try:
            await self._call(letter, page, media_id)
        except AmbiguousError as error:
            self._outages.failed(letter.account.id)
            await self._be_unsure(letter, claim, error)
        except UnreachableError as error:
            self._outages.failed(letter.account.id)
            await self._write(letter, _unsent(letter, claim))
            await self._later(letter, None, str(error))
        except ApiError as error:
            self._note_answer(letter, error)
            if error.action in RETRIED:
                await self._write(letter, _unsent(letter, claim, errcode=error.errcode))
                await self._later(letter, error.action, str(error))
            elif error.action not in HARMLESS:
                self._remember(letter, sent.released(claim))
                return error
            self._accept(letter, claim)
        except TransientError:  # no token, as the broker is away: nothing was sent
            self._remember(letter, _unsent(letter, claim))
            raise
        else:
            self._outages.succeeded(letter.account.id)
            self._accept(letter, claim)
        return None

    def _note_answer(self, letter: Letter, error: ApiError) -> None:
        is_up = error.errcode != BUSY
        (self._outages.succeeded if is_up else self._outages.failed)(letter.account.id)

    async def _call(self, letter: Letter, page: Page, media_id: str) -> None:
        channel, part = letter.channel, letter.marker.parts if letter.marker else 0
        if channel.send is None:
            raise PermanentError(f"account {letter.account.id!r} sends nothing by API")
        message = Message(
            text=page.text,
            ai=page.ai,
            key=key_of(letter.delivery.id, part, page.carried),
            again=letter.doubted == page.carried,
            attachment=page.attachment,
            media_id=media_id,
        )
        attributes: dict[str, str | float | bool] = {telemetry.ACCOUNT: letter.account.id}
        with telemetry.client_span(channel.traits.call, **attributes):
            failpoint("egress.during_call")
            await channel.send(message, letter.recipient)

    def _accept(self, letter: Letter, claim: Marker) -> None:
        failpoint("egress.after_send")
        # Written together with the next part's claim, or with the end: one write a part.
        self._remember(letter, sent.accepted(claim))
        letter.give(claim.sending)

    async def _be_unsure(self, letter: Letter, claim: Marker, error: AmbiguousError) -> None:
        if letter.channel.traits.is_idempotent:
            await self._later(letter, None, str(error))  # the marker goes on saying "sending"
        is_silence = isinstance(error, UnansweredError)
        policy = self._unanswered if is_silence else self._policy
        marker = self._doubt(letter, claim, "no_answer" if is_silence else "bad_answer", policy)
        letter.give(marker.carried)
        if policy == "resend":
            await self._write(letter, marker)
            await self._later(letter, None, str(error))

    def _doubt(self, letter: Letter, marker: Marker, cause: str, policy: Policy) -> Marker:
        """Settle a part whose sender is gone, or whose answer was lost.

        Where the channel has a key that is taken only once, it is simply sent again; elsewhere it
        is repeated or not, as configured.
        """
        if letter.channel.traits.is_idempotent:
            letter.doubted = marker.sending
            settled = sent.released(marker)
            self._remember(letter, settled)
            return settled
        AMBIGUOUS.labels(policy).inc()
        part = marker.parts + 1
        why = {"policy": policy, "cause": cause, "replica": marker.owner}
        fields = {"delivery_id": letter.delivery.id, "part": part, **why}
        log.warning("delivery.ambiguous", extra=fields)
        letter.reasons.append(f"part {part} may have arrived: {policy}")
        settled = sent.doubtful(marker, policy)
        self._remember(letter, settled)
        return settled

    def _wait_for_its_end(self, marker: Marker) -> None:
        age = (self._now_ms() - marker.since_ms) / 1000
        if marker.owner != self._owner and age < ALIVE:
            raise TransientError("another process may still be sending", after=ALIVE - age)

    async def _conclude(self, letter: Letter, refusal: ApiError) -> None:
        """Take note of a refusal that no repeat can change."""
        letter.errcode = refusal.errcode
        await self._allowance.give_back(letter, is_exhausted=refusal.errcode in ALL_SPENT)
        if refusal.errcode in ALL_SPENT and letter.channel.traits.quota is not None:
            letter.reasons.append(f"errcode {refusal.errcode}: WeChat allows no more, kept")
        elif refusal.action is Action.WAIT_DAY:
            letter.reasons.append(f"errcode {refusal.errcode}: calls of today used, kept")
        else:
            letter.failed = True
            letter.reasons.append(f"errcode {refusal.errcode}: refused for good")
        if refusal.action in OPERATORS:
            fields = {"account": letter.account.id, "errcode": refusal.errcode}
            log.error("wechat.refused", extra=fields | {"detail": str(refusal)[:300]})

    async def _finish(self, letter: Letter) -> None:
        if letter.marker is not None and not letter.marker.done:
            errcode = letter.errcode if letter.failed else 0
            await self._write(letter, sent.finished(letter.marker, errcode=errcode))
            failpoint("egress.after_marker")
        self._progress.forget(letter.delivery.id)

    async def _later(self, letter: Letter, action: Action | None, reason: str) -> NoReturn:
        """Have it tried again while a window of the user is open.

        Raises:
            TransientError: always, while one is.
            PermanentError: the last one has closed.
        """
        now_ms = self._now_ms()
        if action is Action.WAIT_MINUTE:
            pause_ms = int(until_next_minute(now_ms) * 1000)
            self._paused_until_ms[letter.account.id] = now_ms + pause_ms
        after = retry_after(action, letter.attempt, now_ms=now_ms)
        closes_ms = await self._allowance.closes_ms(letter)
        if closes_ms is not None and now_ms >= closes_ms:
            raise PermanentError(f"no window of the user is open any more; last: {reason}")
        if closes_ms is not None:
            after = min(after, (closes_ms - now_ms) / 1000)
        raise TransientError(reason, after=after)

    def _respect_pause(self, account: str) -> None:
        left_ms = self._paused_until_ms.get(account, 0) - self._now_ms()
        if left_ms > 0:
            raise TransientError("the account's calls of this minute are used", after=left_ms / 1e3)

    def _remember(self, letter: Letter, marker: Marker) -> None:
        letter.marker = marker
        self._progress.remember(letter.delivery.id, marker)

    async def _write(self, letter: Letter, marker: Marker) -> None:
        """Write down what is known, and know it here even where that fails."""
        self._remember(letter, marker)
        await self._store(letter, marker)

    async def _store(self, letter: Letter, marker: Marker) -> None:
        """Write a marker over any earlier one, but never over another process's later one."""
        key = letter.delivery.id
        if letter.marker is None:
            ours = await self._sent.create(key, marker)
        else:
            ours = await self._sent.update(key, lambda current: _followed(current, marker))
        if not ours:
            self._progress.forget(key)
            raise TransientError("another process has taken this delivery over", after=ALIVE)


def _unsent(letter: Letter, claim: Marker, *, errcode: int = 0) -> Marker:
    """Return the marker after a call that sent nothing.

    With a key, what an earlier call may have sent stays in doubt, and so does what WeChat was too
    busy to take: its next answer may be that the key was used.
    """
    is_doubted = claim.sending == letter.doubted or errcode == BUSY
    if letter.channel.traits.is_idempotent and is_doubted:
        return claim
    return sent.released(claim)


def _followed(current: Marker | None, marker: Marker) -> tuple[Marker | None, bool]:
    follows = sent.may_follow(current, marker)
    return (marker if follows else None), follows


def _is_of_media(error: ApiError) -> bool:
    return error.errcode in MEDIA_TROUBLE or error.action in (Action.SHORTEN, Action.BUG)


def _shorter(rules: Rules) -> Rules:
    style = structs.replace(rules.api, limit_bytes=int(rules.api.limit_bytes * SHORTER))
    return structs.replace(rules, api=style)
