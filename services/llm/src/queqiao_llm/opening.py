"""What stands between turns and the models, and what runs beside it."""

import time
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from zoneinfo import ZoneInfo

from queqiao_common.kv import JetStreamDocuments
from queqiao_common.runtime import Runtime
from queqiao_common.settings import Model
from queqiao_common.topology import DAY, LOADS, USAGE

from queqiao_llm import gates, ledger
from queqiao_llm.access import Access
from queqiao_llm.asking import Asking
from queqiao_llm.budgeting import Budgeting, Write
from queqiao_llm.circuits import Circuits
from queqiao_llm.keys import Keys
from queqiao_llm.ledger import Ledger
from queqiao_llm.loads import Load
from queqiao_llm.pace import Paces
from queqiao_llm.providers.opening import Providers
from queqiao_llm.usage import TOTALS, Shard, UserDay


def open_models(
    runtime: Runtime,
    providers: Providers,
    routes: Mapping[str, tuple[Model, ...]],
    now_ms: Callable[[], int],
) -> Asking:
    """Open the way to the models, within what their providers allow."""
    config = runtime.config
    keys = Keys(config.models, time.monotonic)
    documents = JetStreamDocuments(runtime.bus, LOADS, Load, patience=gates.PATIENCE)
    access = Access(config.models, keys, documents, replica=uuid.uuid4().hex, now_ms=now_ms)
    circuits = Circuits(config.models, time.monotonic)
    runtime.every(gates.TIDY, access.tidy)
    for name, models in routes.items():
        runtime.mode(f"model:{name}", partial(circuits.are_open, models))
    return Asking(
        providers,
        circuits=circuits,
        keys=keys,
        access=access,
        paces=Paces(config.models, segment_bytes=config.llm.segment_bytes),
        segment_bytes=config.llm.segment_bytes,
    )


def open_budgets(runtime: Runtime, write: Write, now_ms: Callable[[], int]) -> Budgeting:
    """Put the day's budgets before the models, and count what they take."""
    budgets, bus = runtime.config.budgets, runtime.bus
    totals = Ledger(
        JetStreamDocuments(bus, USAGE, Shard, patience=ledger.PATIENCE),
        replica=uuid.uuid4().hex,
        zone=ZoneInfo(budgets.timezone),
        now_ms=now_ms,
    )
    runtime.follow_bucket(USAGE, totals.hear, since=2 * DAY, keys=TOTALS)
    runtime.every(ledger.FLUSH, totals.flush)
    users = JetStreamDocuments(bus, USAGE, UserDay, patience=ledger.PATIENCE)
    return Budgeting(write, budgets=budgets, users=users, ledger=totals)
