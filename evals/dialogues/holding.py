"""Hold the dialogues of a scenario: one user for each, one after the other."""

from collections.abc import Sequence

from evals.dialogues.judge import Judge
from evals.dialogues.reading import Dialogue, Scenario, Turn
from evals.dialogues.report import Exchange, Held
from evals.dialogues.rules import findings
from evals.dialogues.stage import Stage


async def hold(stage: Stage, judge: Judge, name: str, scenario: Scenario) -> list[Held]:
    """Return each dialogue of a scenario as it was."""
    held = []
    for number, dialogue in enumerate(scenario.dialogues, start=1):
        user = f"{name}-{number}"
        await stage.ask(user, scenario.enter)
        held.append(await _one(stage, judge, dialogue, user=user))
    return held


async def _one(stage: Stage, judge: Judge, dialogue: Dialogue, *, user: str) -> Held:
    said: list[tuple[str, str]] = []
    exchanges: list[Exchange] = []
    for turn in dialogue.turns:
        before = exchanges[-1].answer if exchanges else ""
        exchange = await _exchange(stage, user, turn, before)
        said += [("用户", turn.say), ("助手", exchange.answer)]
        exchanges.append(await _judged(exchange, judge, turn, said))
    return Held(dialogue.name, tuple(exchanges))


async def _exchange(stage: Stage, user: str, turn: Turn, before: str) -> Exchange:
    answer, seconds = await stage.ask(user, turn.say)
    return Exchange(turn.say, answer, seconds, tuple(findings(answer, before, turn.expect)))


async def _judged(
    exchange: Exchange, judge: Judge, turn: Turn, said: Sequence[tuple[str, str]]
) -> Exchange:
    if not turn.expect.criterion:
        return exchange
    finding = await judge.finding(turn.expect.criterion, said)
    return Exchange(exchange.said, exchange.answer, exchange.seconds, (*exchange.findings, finding))
