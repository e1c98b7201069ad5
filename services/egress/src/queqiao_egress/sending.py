"""Customer-service messages: decided and paid for, marked, sent, and marked again."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Protocol

from msgspec import structs
from prometheus_client import Counter
from queqiao_common import telemetry
from queqiao_common.errors import TransientError
from queqiao_common.kv import Documents
from queqiao_common.settings import Delivery as Settings
from queqiao_wechat.client import AmbiguousError, ApiError, UnreachableError
from queqiao_wechat.errcodes import Action

from queqiao_egress import quota, sent
from queqiao_egress.dressing import rules_of
from queqiao_egress.letter import Letter
from queqiao_egress.pacing import retry_after, until_next_minute
from queqiao_egress.pages import Page
from queqiao_egress.plan import Plan, Rules, Situation, plan
from queqiao_egress.quota import Ledger
from queqiao_egress.sent import Marker

log = logging.getLogger(__name__)

SPENT = 45047
ALIVE = 12.0
"""Seconds after which another process's call is no longer waited for: beyond its time-outs."""
IN_HAND = 10_000
SHORTER = 2 / 3

AMBIGUOUS = Counter(
    "queqiao_egress_ambiguous",
    "Messages of which nobody knows whether WeChat accepted them, by what was done.",
    ["policy"],
)

RETRIED = frozenset({Action.RETRY, Action.WAIT_MINUTE, Action.REFRESH_TOKEN})
HARMLESS = frozenset({Action.OK, Action.IGNORE})
OPERATORS = frozenset({Action.CONFIG, Action.BUG, Action.WAIT_DAY})


class Client(Protocol):
    """What egress needs of `queqiao_wechat.client.WeChatClient`."""

    async def send_text(self, openid: str, text: str, *, ai: bool) -> None:
        """Send one customer-service message."""

    async def typing(self, openid: str) -> None:
        """Show that an answer is being written."""


class Sending:
    """Sends what a letter has left by the API of its account."""

    def __init__(
        self,
        *,
        clients: Mapping[str, Client],
        sent: Documents[Marker],
        ledgers: Documents[Ledger],
        settings: Settings,
        owner: str,
        now_ms: Callable[[], int],
    ) -> None:
        self._clients = clients
        self._sent = sent
        self._ledgers = ledgers
        self._settings = settings
        self._rules = rules_of(settings)
        self._policy = settings.ambiguous
        self._owner = owner
        self._now_ms = now_ms
        self._paused_until_ms: dict[str, int] = {}
        # What this process knows better than the bucket, when a write of a marker has failed.
        self._progress: OrderedDict[str, Marker] = OrderedDict()

    async def resume(self, letter: Letter) -> None:
        """Find out what earlier attempts have sent.

        Raises:
            TransientError: another process may still be sending.
        """
        stored = (await self._sent.get(letter.delivery.id)).value
        marker = sent.latest(stored, self._progress.get(letter.delivery.id))
        if marker is None:
            return
        letter.marker = marker
        if marker.sending:
            self._wait_for_its_end(marker)
            marker = self._doubt(letter, marker)
        letter.give(marker.carried)
        letter.errcode, letter.failed = marker.errcode, bool(marker.errcode)

    async def send(self, letter: Letter) -> None:
        """Send what is left, as far as the user's quota goes; the rest stays in `letter.items`.

        Raises:
            TransientError: to be tried again, later.
        """
        self._respect_pause(letter.account.id)
        rules = self._rules
        while letter.items:
            chosen = await self._decide(letter, rules)
            letter.reasons.extend(chosen.reasons)
            refusal = await self._send_pages(letter, chosen.messages)
            if refusal is None:
                break
            if refusal.action is Action.SHORTEN and rules is self._rules:
                letter.reasons.append(f"errcode {refusal.errcode}: cut into shorter messages")
                rules = _shorter(rules)
                continue
            await self._conclude(letter, refusal)
            break
        await self._finish(letter)

    async def _decide(self, letter: Letter, rules: Rules) -> Plan:
        """Plan, and take the messages of the plan from the ledger, in one compare-and-swap."""
        delivery = letter.delivery
        used = letter.marker.used if letter.marker else 0

        def change(ledger: Ledger | None) -> tuple[Ledger | None, Plan]:
            now_ms = self._now_ms()
            known = quota.observe(ledger, delivery.waiting, self._settings, now_ms=now_ms)
            situation = Situation(
                mode=letter.account.mode,
                items=letter.items,
                final=delivery.final,
                now_ms=now_ms,
                left=quota.left(known, delivery_id=delivery.id, used=used, now_ms=now_ms),
                allowed=quota.allowed(known, now_ms=now_ms),
            )
            chosen = plan(situation, rules)
            count = used + len(chosen.messages)
            taken = quota.take(known, delivery_id=delivery.id, count=count, now_ms=now_ms)
            return (None if not chosen.messages or taken == ledger else taken), chosen

        return await self._ledgers.update(_key(letter), change)

    async def _send_pages(self, letter: Letter, messages: tuple[Page, ...]) -> ApiError | None:
        """Send one message after the other; return WeChat's refusal, where that is final."""
        for page in messages:
            claim = sent.claimed(
                letter.marker, page.carried, owner=self._owner, now_ms=self._now_ms()
            )
            await self._write(letter, claim)
            try:
                await self._call(letter, page)
            except AmbiguousError as error:
                await self._be_unsure(letter, claim, error)
            except UnreachableError as error:
                await self._write(letter, sent.released(claim))
                raise self._later(letter, None, str(error)) from None
            except ApiError as error:
                if error.action in RETRIED:
                    await self._write(letter, sent.released(claim))
                    raise self._later(letter, error.action, str(error)) from None
                if error.action not in HARMLESS:
                    self._remember(letter, sent.released(claim))
                    return error
                self._accept(letter, claim)
            except TransientError:  # no token, as the broker is away: nothing was sent
                self._remember(letter, sent.released(claim))
                raise
            else:
                self._accept(letter, claim)
        return None

    async def _call(self, letter: Letter, page: Page) -> None:
        client = self._clients[letter.account.id]
        attributes: dict[str, str | float | bool] = {telemetry.ACCOUNT: letter.account.id}
        with telemetry.client_span("POST /cgi-bin/message/custom/send", **attributes):
            await client.send_text(
                letter.delivery.openid, page.text, ai=page.ai and self._settings.label_by_api
            )

    def _accept(self, letter: Letter, claim: Marker) -> None:
        # Written together with the next part's claim, or with the end: one write a part.
        self._remember(letter, sent.accepted(claim))
        letter.give(claim.sending)

    async def _be_unsure(self, letter: Letter, claim: Marker, error: AmbiguousError) -> None:
        marker = self._doubt(letter, claim)
        letter.give(marker.carried)
        if self._policy == "resend":
            await self._write(letter, marker)
            raise self._later(letter, None, str(error)) from None

    def _doubt(self, letter: Letter, marker: Marker) -> Marker:
        """Repeat a part whose sender is gone, or whose answer was lost, or not: as configured."""
        AMBIGUOUS.labels(self._policy).inc()
        fields = {"delivery_id": letter.delivery.id, "policy": self._policy}
        log.warning("delivery.ambiguous", extra=fields | {"part": marker.parts + 1})
        letter.reasons.append(f"part {marker.parts + 1} may have arrived: {self._policy}")
        settled = sent.doubtful(marker, self._policy)
        self._remember(letter, settled)
        return settled

    def _wait_for_its_end(self, marker: Marker) -> None:
        age = (self._now_ms() - marker.since_ms) / 1000
        if marker.owner != self._owner and age < ALIVE:
            raise TransientError("another process may still be sending", after=ALIVE - age)

    async def _conclude(self, letter: Letter, refusal: ApiError) -> None:
        """Take note of a refusal that no repeat can change."""
        letter.errcode = refusal.errcode
        if refusal.errcode == SPENT:
            letter.reasons.append(f"errcode {SPENT}: WeChat allows no more messages, kept")
            await self._exhaust(letter)
        elif refusal.action is Action.WAIT_DAY:
            letter.reasons.append(f"errcode {refusal.errcode}: calls of today used, kept")
        else:
            letter.failed = True
            letter.reasons.append(f"errcode {refusal.errcode}: refused for good")
        if refusal.action in OPERATORS:
            fields = {"account": letter.account.id, "errcode": refusal.errcode}
            log.error("wechat.refused", extra=fields | {"detail": str(refusal)[:300]})

    async def _exhaust(self, letter: Letter) -> None:
        used = letter.marker.used if letter.marker else 0

        def change(ledger: Ledger | None) -> tuple[Ledger | None, None]:
            now_ms = self._now_ms()
            known = quota.observe(ledger, letter.delivery.waiting, self._settings, now_ms=now_ms)
            spent = quota.exhaust(known, delivery_id=letter.delivery.id, used=used, now_ms=now_ms)
            return spent, None

        await self._ledgers.update(_key(letter), change)

    async def _finish(self, letter: Letter) -> None:
        if letter.marker is not None and not letter.marker.done:
            errcode = letter.errcode if letter.failed else 0
            await self._write(letter, sent.finished(letter.marker, errcode=errcode))
        self._progress.pop(letter.delivery.id, None)

    def _later(self, letter: Letter, action: Action | None, reason: str) -> TransientError:
        now_ms = self._now_ms()
        if action is Action.WAIT_MINUTE:
            pause_ms = int(until_next_minute(now_ms) * 1000)
            self._paused_until_ms[letter.account.id] = now_ms + pause_ms
        return TransientError(reason, after=retry_after(action, letter.attempt, now_ms=now_ms))

    def _respect_pause(self, account: str) -> None:
        left_ms = self._paused_until_ms.get(account, 0) - self._now_ms()
        if left_ms > 0:
            raise TransientError("the account's calls of this minute are used", after=left_ms / 1e3)

    def _remember(self, letter: Letter, marker: Marker) -> None:
        letter.marker = self._progress[letter.delivery.id] = marker
        if len(self._progress) > IN_HAND:
            self._progress.popitem(last=False)

    async def _write(self, letter: Letter, marker: Marker) -> None:
        """Write a marker over any earlier one, but never over another process's later one."""
        is_first = letter.marker is None
        self._remember(letter, marker)
        key = letter.delivery.id
        if is_first:
            ours = await self._sent.create(key, marker)
        else:
            ours = await self._sent.update(key, lambda current: _followed(current, marker))
        if not ours:
            raise TransientError("another process has taken this delivery over", after=ALIVE)


def _followed(current: Marker | None, marker: Marker) -> tuple[Marker | None, bool]:
    follows = sent.may_follow(current, marker)
    return (marker if follows else None), follows


def _key(letter: Letter) -> str:
    return f"{letter.account.id}.{letter.delivery.conv}"


def _shorter(rules: Rules) -> Rules:
    style = structs.replace(rules.api, limit_bytes=int(rules.api.limit_bytes * SHORTER))
    return structs.replace(rules, api=style)
