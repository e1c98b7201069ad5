"""Delivery to a callback: up to three times, five seconds each; the first valid answer counts.

Source: protocol reference 4.1, 13 (rules 2 to 6).
"""

import asyncio
import contextlib
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, TypeAlias

from queqiao_simulator import judging, sealing
from queqiao_simulator.accounts import Account
from queqiao_simulator.answers import Ack, Answer, Invalid, Reply
from queqiao_simulator.clock import Clock
from queqiao_simulator.faults import Fault
from queqiao_simulator.judging import Job
from queqiao_simulator.settings import PushRules, Settings
from queqiao_simulator.transcript import Delivery, Outcome, Result
from queqiao_simulator.wire import WHOLE, Broken, HttpAnswer, Pace, Wire, request

LATENCIES = 20_000  # remembered for the statistics
HELD_SECONDS = 1.0  # a push out of order waits no longer for the next one
SLOW_SECONDS = 0.5
SEGMENTS = 8


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


def classify(
    answer: HttpAnswer, judge: Callable[[bytes], Answer], *, only_200: bool = False
) -> Attempt:
    """Name what a complete HTTP answer means; WeCom (`only_200`) repeats whatever is not 200."""
    if answer.status >= 500 or (only_200 and answer.status != 200):
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
        self, settings: Settings, clock: Clock, settled: Settled, progressed: Progressed
    ) -> None:
        self.outcomes: Counter[str] = Counter()
        self.latencies: deque[float] = deque(maxlen=LATENCIES)
        self._settings = settings
        self._rules = rules = settings.push
        self._clock = clock
        self._held: dict[str, asyncio.Event] = {}
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
        self.background(asyncio.create_task(self._run(job)))

    def background(self, task: asyncio.Task[Any]) -> None:
        """Count a task as in flight until it ends."""
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

    def is_suspended(self, account: str) -> bool:
        """Whether MarkFail has stopped the pushes of an account."""
        marks = self._mark_fail.get(account)
        return marks is not None and marks.is_suspended(self._clock.now())

    async def verify(self, account: Account, url: str, *, right: bool) -> tuple[bool, str]:
        """Ask a callback to prove itself; answers whether it did, and what it said.

        A wrongly signed request is answered well by anything but the echo.
        """
        echo = secrets.token_hex(10)
        now, nonce = self._clock.now(), _nonce()
        query = sealing.verification(
            account.settings,
            now=now,
            nonce=nonce,
            echostr=echo,
            right=right,
            cipher=account.cipher,
        )
        wecom, rules = account.settings.is_wecom, self._rules
        timeout = self._settings.wecom.echo_timeout if wecom else rules.answer_timeout
        try:
            answer = await self._wire.exchange(url, request("GET", url, query), timeout)
        except (Broken, ValueError) as error:
            return False, str(error)
        echoed = answer.status == 200 and answer.body == echo.encode()
        said = "echoed" if echoed else f"HTTP {answer.status}, {len(answer.body)} other bytes"
        return echoed is right, said

    async def _run(self, job: Job) -> None:
        async with self._room:
            await self._in_order(job)
            started = time.perf_counter()
            answer = await self._deliver_until_settled(job)
            job.push.ms = _ms_since(started)
            self._settled(job, answer)

    async def _in_order(self, job: Job) -> None:
        """Let the user's next push overtake this one, where a fault wants it."""
        user = f"{job.push.account}/{job.push.openid}"
        if job.fault_kind != "out_of_order":
            return
        overtaken = self._held[user] = asyncio.Event()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_seconds(job.fault, HELD_SECONDS)):
                await overtaken.wait()
        if self._held.get(user) is overtaken:
            del self._held[user]

    async def _deliver_until_settled(self, job: Job) -> Answer | None:
        marks = self._mark_fail.setdefault(job.push.account, MarkFail(self._rules))
        if marks.is_suspended(self._clock.now()):
            job.push.result = "suspended"
            return Invalid("pushes are suspended (MarkFail)")
        sealed = self.seal(job)
        last = min(self._rules.deliveries, job.attempts)
        for number in range(1, last + 1):
            outcome, answer = await self._attempt(job, sealed, number)
            pause = pause_before_next(outcome, self._rules)
            if outcome not in RESULTS or outcome == "invalid":
                marks.failed(self._clock.now())
            if pause is None or number == last:
                job.push.result = RESULTS.get(outcome, "failed")
                return answer
            await asyncio.sleep(pause)
        return None

    @staticmethod
    def seal(job: Job) -> sealing.Sealed:
        """Write the body of a push."""
        account = job.account
        return sealing.seal(
            account.settings, account.cipher, job.fields, job.fault_kind, account.previous_cipher
        )

    async def _attempt(self, job: Job, sealed: sealing.Sealed, number: int) -> Attempt:
        if job.fault_kind == "duplicate" and number == 1:
            return await self._twice(job, sealed, number)
        return await self.deliver(job, sealed, number)

    async def _twice(self, job: Job, sealed: sealing.Sealed, number: int) -> Attempt:
        """Deliver two at once; a reply is shown when it comes, whatever the other still does."""
        deliveries = {asyncio.create_task(self.deliver(job, sealed, number)) for _ in range(2)}
        attempts: list[Attempt] = []
        for finished in asyncio.as_completed(deliveries):
            attempts.append(await finished)
            if attempts[-1][0] == "reply":
                break
        for task in deliveries:
            self.background(task)
        return best(attempts)

    async def deliver(self, job: Job, sealed: sealing.Sealed, number: int) -> Attempt:
        """Post a push once, and record how it went."""
        now = self._clock.now()
        url = next(job.callbacks, "")
        delivery = Delivery(number=number, url=url, at=round(now, 3))
        job.push.deliveries.append(delivery)
        self._progressed(job)
        if overtaken := self._held.get(f"{job.push.account}/{job.push.openid}"):
            overtaken.set()
        started = time.perf_counter()
        try:
            answer = await self._post(job, sealed, url, now)
        except Broken as broken:
            attempt: Attempt = broken.failure, Invalid(str(broken))
        else:
            delivery.status = answer.status
            attempt = classify(
                answer,
                lambda body: judging.judge(job, body, now, self._settings),
                only_200=job.account.settings.is_wecom,
            )
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
            now=job.push.at if self._rules.reuse_nonce else now,
            nonce=job.nonce if self._rules.reuse_nonce else _nonce(),
            fault=job.fault_kind,
        )
        try:
            data = request(
                "POST",
                url,
                query,
                sealed.body,
                content_type=sealed.content_type,
                chunked=job.fault_kind == "chunked_body",
            )
        except ValueError as error:
            raise Broken("refused", str(error) if url else "no callback is configured") from error
        return await self._wire.exchange(url, data, self._rules.answer_timeout, _pace(job))


RESULTS: dict[Outcome, Result] = {
    "reply": "replied", "success": "silent", "empty": "silent", "invalid": "invalid",
}  # fmt: skip


def _pace(job: Job) -> Pace:
    match job.fault_kind:
        case "slow_body":
            return Pace(SEGMENTS, _seconds(job.fault, SLOW_SECONDS))
        case "split_body":
            return Pace(SEGMENTS)
        case _:
            return WHOLE


def _seconds(fault: Fault | None, default: float) -> float:
    return fault.seconds if fault is not None and fault.seconds else default


def _nonce() -> str:
    return str(secrets.randbelow(9 * 10**8) + 10**8)


def _ms_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 2)
