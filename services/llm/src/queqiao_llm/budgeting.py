"""Before the models: what a turn may cost is checked, and after them what it did is counted."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

from queqiao_common import telemetry
from queqiao_common.errors import QueqiaoError
from queqiao_common.events import CompletionRequest
from queqiao_common.kv import Documents
from queqiao_common.settings import Budgets

from queqiao_llm import metrics
from queqiao_llm.answers import WARMING
from queqiao_llm.budget import Refusal, over_allowance, over_ceiling
from queqiao_llm.ledger import PATIENCE, Ledger
from queqiao_llm.runs import Said, Turn, notice_of
from queqiao_llm.usage import (
    Line,
    Tally,
    UserDay,
    admitted,
    returned,
    settled,
    tally_of,
    user_key,
)

log = logging.getLogger(__name__)

REFUSED = "queqiao.budget.refused"
TIER = "queqiao.budget.tier"
ASSISTANT = "assistant"
"""The persona of requests that name none."""

Write = Callable[[Turn], AsyncIterator[Said]]
Change = Callable[[UserDay | None], tuple[UserDay | None, Refusal | None]]


class Budgeting:
    """Lets turns through to the models for as long as there is something left of the day's budgets.

    A turn that was let through once is let through again when it is redelivered. Where the broker
    cannot say what was spent, it is let through as well.
    """

    def __init__(
        self, write: Write, *, budgets: Budgets, users: Documents[UserDay], ledger: Ledger
    ) -> None:
        self._write = write
        self._budgets = budgets
        self._users = users
        self._ledger = ledger

    async def write(self, turn: Turn) -> AsyncIterator[Said]:
        """Write the answer piece by piece, or say kindly that there is none today."""
        request, day = turn.event, self._ledger.today
        refusal = await self._judge(turn, day)
        if refusal is not None:
            _note(request, refusal)
            yield notice_of(turn, refusal.text)
            return
        last: Said | None = None
        async for said in self._write(turn):
            last = said
            yield said
        if last is not None:
            await self._count(request, day, last)

    async def flush(self) -> None:
        """Write what was counted since the last time, before the process ends."""
        await self._ledger.flush()

    async def _judge(self, turn: Turn, day: str) -> Refusal | None:
        request = turn.event
        if not self._budgets.enabled:
            return None
        beyond = None
        if turn.attempt == 1:  # else its first pieces may have been read
            spent = self._ledger.spent(request.account)
            beyond = over_ceiling(self._budgets, request.account, spent)
        if beyond is not None or not _is_a_users(request):
            return beyond
        persona = request.persona or ASSISTANT

        def change(old: UserDay | None) -> tuple[UserDay | None, Refusal | None]:
            had = old or UserDay()
            if request.turn_id in had.admitted:
                return None, None
            refusal = over_allowance(
                self._budgets,
                account=request.account,
                conv=request.conv,
                persona=persona,
                day=had,
            )
            if refusal is not None:
                return None, refusal
            return admitted(had, request.turn_id, persona), None

        return await self._update(request, day, change)

    async def _count(self, request: CompletionRequest, day: str, last: Said) -> None:
        """Count what an answer took: nothing for a text of ours, or for one that failed."""
        segment, persona = last.segment, request.persona or ASSISTANT
        taken = None if segment.failed or segment.notice else tally_of(segment.usage)
        if taken is not None:
            line = Line(request.account, persona, segment.model)
            self._ledger.add(day, line, taken)
        if self._budgets.enabled and _is_a_users(request):
            await self._update(request, day, _settling(request.turn_id, persona, taken))

    async def _update(self, request: CompletionRequest, day: str, change: Change) -> Refusal | None:
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._users.update(
                    user_key(day, request.account, request.conv), change
                )
        except (QueqiaoError, TimeoutError) as error:
            log.warning("usage.unavailable", extra={"error": type(error).__name__})
            return None


def _is_a_users(request: CompletionRequest) -> bool:
    """Whether a user asked: not so for summaries, nor for what is warmed."""
    return request.purpose == "answer" and request.conv != WARMING


def _settling(turn_id: str, persona: str, taken: Tally | None) -> Change:
    def change(old: UserDay | None) -> tuple[UserDay | None, None]:
        if taken is None:
            return returned(old, turn_id, persona), None
        return settled(old, turn_id, persona, taken), None

    return change


def _note(request: CompletionRequest, refusal: Refusal) -> None:
    metrics.REFUSALS.labels(refusal.reason).inc()
    telemetry.note({REFUSED: refusal.reason, TIER: refusal.tier})
    log.info(
        "budget.refused",
        extra={"turn_id": request.turn_id, "reason": refusal.reason, "tier": refusal.tier},
    )
