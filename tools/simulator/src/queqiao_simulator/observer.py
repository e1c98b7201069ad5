"""The port for whoever knows what the pipeline did with a message.

The platform sees only what it pushed and what came back. A process beside the pipeline may know
more (the path chosen, the reasons, the trace); it posts `/control/observations`, or runs inside
the simulator as an `Observer`.
"""

from collections.abc import Callable
from typing import Protocol, TypeAlias

from queqiao_simulator.transcript import Observation

Record: TypeAlias = Callable[[Observation, list[str]], int]
"""Notes an observation of these msgids; answers how many of them the simulator knows."""


class Observer(Protocol):
    """Watches a pipeline for as long as the simulator runs."""

    async def watch(self, record: Record) -> None:
        """Call `record` for every message that the pipeline has decided about."""
