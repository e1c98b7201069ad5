"""Delivery to a callback: up to three times, five seconds each; the first valid answer counts.

Source: protocol reference 4.1, 13 (rules 2 to 6).
"""

import asyncio
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from msgspec import Struct

from queqiao_simulator import answers, sealing
from queqiao_simulator.accounts import Account, Conversation
from queqiao_simulator.answers import Ack, Answer, Expected, Invalid, Reply
from queqiao_simulator.clock import Clock
from queqiao_simulator.envelope import Fields
from queqiao_simulator.settings import PushRules
from queqiao_simulator.transcript import Delivery, Outcome, Push, Result
from queqiao_simulator.wire import Broken, HttpAnswer, Wire, request

LATENCIES = 20_000  # remembered for the statistics


class Job(Struct, frozen=True):
    """A push to deliver: its record, what it says, and the replicas to try in turn."""

    push: Push
    account: Account
    conversation: Conversation
    fields: Fields
    callbacks: Iterator[str]


Attempt: TypeAlias = tuple[Outcome, Answer | None]
Settled: TypeAlias = Callable[[Job, Answer | None], None]
"""Called once per push: with a reply to show, an acknowledgement, or why it failed."""

Progressed: TypeAlias = Callable[[Job], None]
"""Called whenever a delivery begins or ends."""


def pause_before_next(outcome: Outcome, rules: PushRules) -> float | None:
    """Seconds until the platform tries again after such a delivery; None: it does not."""
    match outcome:
        case "timeout":
            return 0.0
        case "refused" | "reset":
            return rules.refused_pause if rules.retry_refused else None
        case "server_error":
            return rules.server_error_pause if rules.retry_server_errors else None
        case "invalid":
            return 0.0 if rules.retry_invalid else None
        case "reply" | "success" | "empty":
            return None


def classify(answer: HttpAnswer, judge: Callable[[bytes], Answer]) -> Attempt:
    """Name what a complete HTTP answer means."""
    if answer.status >= 500:
        return "server_error", Invalid(f"HTTP {answer.status}")
    if answer.status != 200:
        return "invalid", Invalid(f"HTTP {answer.status}")
    match judge(answer.body):
        case Ack(body=body) as ack:
            return ("success" if body else "empty"), ack
        case Reply() as reply:
            return "reply", reply
        case invalid:
            return "invalid", invalid


def best(attempts: list[Attempt]) -> Attempt:
    """Of deliveries made at once: a reply, else any answer, else the failure."""
    order = ("reply", "success", "empty", "invalid", "server_error")
    ranks = {outcome: rank for rank, outcome in enumerate(order)}
    return min(attempts, key=lambda attempt: ranks.get(attempt[0], len(ranks)))


class MarkFail:
    """Suspends the pushes of an account whose callback keeps failing."""

    def __init__(self, rules: PushRules) -> None:
        self._rules = rules
        self._failures: deque[float] = deque(maxlen=rules.mark_fail)
        self._until = float("-inf")

    def is_suspended(self, now: float) -> bool:
        """Whether nothing is pushed at the moment."""
        return now < self._until

    def failed(self, now: float) -> None:
        """Count one failed delivery."""
        limit = self._rules.mark_fail
        self._failures.append(now)
        if 0 < limit == len(self._failures) and (
            now - self._failures[0] <= self._rules.mark_fail_window
        ):
            self._until = now + self._rules.mark_fail_pause
            self._failures.clear()


class Pusher:
    """Delivers pushes in the background."""

    def __init__(
        self, rules: PushRules, clock: Clock, settled: Settled, progressed: Progressed
    ) -> None:
        self.outcomes: Counter[str] = Counter()
        self.latencies: deque[float] = deque(maxlen=LATENCIES)
        self._rules = rules
        self._clock = clock
        self._settled = settled
        self._progressed = progressed
        self._wire = Wire(rules.connect_timeout)
        self._room = asyncio.Semaphore(rules.max_in_flight)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._mark_fail: dict[str, MarkFail] = {}

    @property
    def in_flight(self) -> int:
        """Pushes that are not settled."""
        return len(self._tasks)

    def start(self, job: Job) -> None:
        """Deliver a push, soon and in the background."""
        self._background(asyncio.create_task(self._run(job)))

    def _background(self, task: asyncio.Task[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def until_settled(self) -> None:
        """Wait until nothing is in flight, what is started meanwhile included."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def close(self) -> None:
        """Give up what is in flight and close every connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._wire.close()

    async def verify(self, account: Account, url: str, *, right: bool) -> tuple[bool, str]:
        """Ask a callback to prove itself; answers whether it did, and what it said.

        A wrongly signed request is answered well by anything but the echo.
        """
        echo = secrets.token_hex(10)
        now, nonce = self._clock.now(), _nonce()
        query = sealing.verification(
            account.settings, now=now, nonce=nonce, echostr=echo, right=right
        )
        try:
            data = request("GET", url, query)
            answer = await self._wire.exchange(url, data, self._rules.answer_timeout)
        except (Broken, ValueError) as error:
            return False, str(error)
        echoed = answer.status == 200 and answer.body == echo.encode()
        said = "echoed" if echoed else f"HTTP {answer.status}, {len(answer.body)} other bytes"
        return echoed is right, said

    async def _run(self, job: Job) -> None:
        async with self._room:
            started = time.perf_counter()
            answer = await self._deliver_until_settled(job)
            job.push.ms = _ms_since(started)
            self._settled(job, answer)

    async def _deliver_until_settled(self, job: Job) -> Answer | None:
        marks = self._mark_fail.setdefault(job.push.account, MarkFail(self._rules))
        if marks.is_suspended(self._clock.now()):
            job.push.result = "suspended"
            return Invalid("pushes are suspended (MarkFail)")
        account, fault = job.account, job.push.fault
        sealed = sealing.seal(account.settings, account.cipher, job.fields, fault)
        for number in range(1, self._rules.deliveries + 1):
            outcome, answer = await self._attempt(job, sealed, number)
            pause = pause_before_next(outcome, self._rules)
            if outcome not in RESULTS or outcome == "invalid":
                marks.failed(self._clock.now())
            if pause is None or number == self._rules.deliveries:
                job.push.result = RESULTS.get(outcome, "failed")
                return answer
            await asyncio.sleep(pause)
        return None

    async def _attempt(self, job: Job, sealed: sealing.Sealed, number: int) -> Attempt:
        if job.push.fault == "duplicate" and number == 1:
            return await self._twice(job, sealed, number)
        return await self._deliver(job, sealed, number)

    async def _twice(self, job: Job, sealed: sealing.Sealed, number: int) -> Attempt:
        """Deliver two at once; a reply is shown when it comes, whatever the other still does."""
        deliveries = {asyncio.create_task(self._deliver(job, sealed, number)) for _ in range(2)}
        attempts: list[Attempt] = []
        for finished in asyncio.as_completed(deliveries):
            attempts.append(await finished)
            if attempts[-1][0] == "reply":
                break
        for task in deliveries:
            self._background(task)
        return best(attempts)

    async def _deliver(self, job: Job, sealed: sealing.Sealed, number: int) -> Attempt:
        now = self._clock.now()
        url = next(job.callbacks, "")
        delivery = Delivery(number=number, url=url, at=round(now, 3))
        job.push.deliveries.append(delivery)
        self._progressed(job)
        started = time.perf_counter()
        try:
            answer = await self._post(job, sealed, url, now)
        except Broken as broken:
            attempt: Attempt = broken.failure, Invalid(str(broken))
        else:
            delivery.status = answer.status
            attempt = classify(answer, lambda body: _judge(job, body))
        delivery.ms = _ms_since(started)
        delivery.outcome = attempt[0]
        delivery.reason = attempt[1].reason if isinstance(attempt[1], Invalid) else ""
        self.outcomes[attempt[0]] += 1
        self.latencies.append(delivery.ms)
        self._progressed(job)
        return attempt

    async def _post(self, job: Job, sealed: sealing.Sealed, url: str, now: float) -> HttpAnswer:
        query = sealing.query(
            job.account.settings,
            sealed,
            job.conversation.openid,
            now=now,
            nonce=_nonce(),
            fault=job.push.fault,
        )
        try:
            data = request("POST", url, query, sealed.body)
        except ValueError as error:
            raise Broken("refused", str(error) if url else "no callback is configured") from error
        return await self._wire.exchange(url, data, self._rules.answer_timeout)


RESULTS: dict[Outcome, Result] = {
    "reply": "replied", "success": "silent", "empty": "silent", "invalid": "invalid",
}  # fmt: skip


def _judge(job: Job, body: bytes) -> Answer:
    account = job.account.settings
    return answers.judge(
        body,
        Expected(job.conversation.openid, account.gh_id),
        sealing.opener(account, job.account.cipher),
        sealed=account.mode == "safe",
    )


def _nonce() -> str:
    return str(secrets.randbelow(9 * 10**8) + 10**8)


def _ms_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 2)
