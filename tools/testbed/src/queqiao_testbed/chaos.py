"""One chaos run: the whole system under load, a schedule of faults, and what came of it."""

import asyncio
import contextlib
import sys
import time
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import msgspec
from queqiao_common import bus as bus_module
from queqiao_common import provision
from queqiao_common.settings import Nats

from queqiao_testbed import journal
from queqiao_testbed.audit import Entry, Findings, User, audit
from queqiao_testbed.brokers import ProcessBroker, what_ails
from queqiao_testbed.clocks import Clock, find_library
from queqiao_testbed.configuration import Options
from queqiao_testbed.faults import FAULTS, LONG_ONLY, POISON, REPLICAS, Fault
from queqiao_testbed.load import Load
from queqiao_testbed.network import network
from queqiao_testbed.scene import Scene
from queqiao_testbed.schedule import Planned
from queqiao_testbed.system import running
from queqiao_testbed.verdict import EXCUSED, Report

CROWD = {"auto": 36, "active": 24, "sub": 4}
SORRY = ("没能答上来", "我还在回答前面的问题", "现在咨询的人有点多")
"""What stands for an answer: the apology, and the two requests for patience."""
FETCH_EVERY = 4
STUCK = 60.0
"""Seconds without any progress after which nothing more is to be expected."""
CAP = 300.0
"""Seconds after which progress is no longer waited for."""
TRIES = 2

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Form:
    """How long a run is, and how hard."""

    messages: int
    seconds: float
    faults: int
    kinds: Mapping[str, Fault] = field(default_factory=lambda: FAULTS)

    @property
    def rate(self) -> float:
        """Questions a second."""
        return self.messages / self.seconds


SHORT = Form(messages=1600, seconds=75.0, faults=len(FAULTS))
EVERYTHING = {**FAULTS, **LONG_ONLY}
LONG = Form(messages=10_000, seconds=330.0, faults=3 * len(EVERYTHING), kinds=EVERYTHING)


async def decided(folder: Path, run: Callable[[Path], Awaitable[Report]]) -> Report:
    """Run something in a folder of its own, and once more where nothing can be said of it.

    An exception that is no failed assertion is the test bed's, not the product's.
    """
    report = Report()
    for number in range(TRIES):
        own = folder / str(number)
        own.mkdir()
        began = time.monotonic()
        try:
            report = await run(own)
        except AssertionError:
            raise
        except Exception as error:
            sys.stderr.write("".join(traceback.format_exception(error)))
            report = Report(troubles=(_told(error),))
        report = replace(report, took=time.monotonic() - began)
        if not report.inconclusive:
            break
        sys.stderr.write(f"inconclusive: {report.inconclusive}; {report.problems}\n")
    return report


def _told(error: Exception) -> str:
    inner = error.exceptions if isinstance(error, ExceptionGroup) else ()
    return repr(error) + "".join(f"; {_told(one)}" for one in inner)


async def run_chaos(
    folder: Path,
    broker: ProcessBroker,
    form: Form,
    schedule: Sequence[Planned],
    *,
    seed: int,
    unanswered: str,
) -> Report:
    """Do what a schedule says to a system whose broker is running, and report.

    `unanswered` is the setting of that name.
    """
    options = usual_options()
    options.settings["delivery"] = {"unanswered": unanswered}
    async with staged(folder, [broker], seed=seed, options=options) as scene:
        async with scene.supervised():
            await _attack(scene, form, schedule)
            return await judged(scene)


def usual_options(**nats: object) -> Options:
    """Return the configuration of a chaos run: two models, and turns that end within half a minute.

    Nobody writes too fast: whoever is throttled is not answered, and could not be missed.
    """
    return Options(
        settings={
            "nats": nats,
            "moderation": {"messages_per_minute": 0},
            "context": {"turn_timeout": 25.0},
        },
        model={"first_token_timeout": 8.0, "timeout": 15.0},
        models=({"id": "second", "model": "fake-second"},),
    )


@contextlib.asynccontextmanager
async def staged(
    folder: Path, nodes: Sequence[ProcessBroker], *, seed: int, options: Options | None = None
) -> AsyncIterator[Scene]:
    """Start two replicas of everything; each has its own way to a single broker."""
    url = ",".join(node.url for node in nodes)
    options = options or usual_options()
    async with contextlib.AsyncExitStack() as stack:
        ways = await stack.enter_async_context(network(REPLICAS if len(nodes) == 1 else (), url))
        options.broker_urls.update({name: way.url for name, way in ways.items()})
        library = find_library()
        clocks = (
            {name: Clock(folder / f"{name}.clock", library) for name in REPLICAS} if library else {}
        )
        options.own_variables.update({name: clock.variables for name, clock in clocks.items()})
        bus = await bus_module.connect(Nats(url=url), "chaos")
        stack.push_async_callback(bus.close)
        if not options.settings["nats"].get("apply_topology", True):
            await provision.apply_patiently(bus, replicas=len(nodes))
        system = await stack.enter_async_context(
            running(folder, broker_url=url, replicas=2, options=options)
        )
        yield Scene(
            system=system,
            nodes=nodes,
            bus=bus,
            ways=ways,
            clocks=clocks,
            load=Load(system, crowd=CROWD, seed=seed),
            logs=journal.Logs(system),
        )


async def _attack(scene: Scene, form: Form, schedule: Sequence[Planned]) -> None:
    """Ask and hurt at the same time, until both have ended."""
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def strike(one: Planned) -> None:
        await asyncio.sleep(max(0.0, began + one.at - loop.time()))
        sys.stderr.write(f"{one}\n")
        fault = form.kinds[one.kind]
        with scene.happening(one.kind, one.target, doubts=fault.doubts, ends=fault.ends):
            try:
                await fault.harm(scene, one)
            except Exception as error:
                scene.troubles.append(f"{one}: {_told(error)}")

    clock = asyncio.create_task(scene.clocked())
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(scene.load.run(messages=form.messages, seconds=form.seconds))
            for one in schedule:
                tasks.create_task(strike(one))
    finally:
        clock.cancel()


async def judged(scene: Scene, *, excused_share: float = EXCUSED) -> Report:
    """Wait until everybody has all that is due to them, and report; to be called under supervision.

    Everyone is asked twice more. The first round finds a system that still recovers (a circuit
    closes by the next call); the questions of the second have to be answered, and not only excused.
    Judged is what was seen when nothing was left to be done, so that what comes too late, or twice,
    is seen as well.
    """
    recorder = journal.Recorder(scene.system, scene.bus, scene.logs, sorry=SORRY)
    await scene.load.everybody()
    await _all_done(scene, recorder, frozenset())
    final = await scene.load.everybody()
    findings, backlog = await _all_done(scene, recorder, final)
    away = [name for name in REPLICAS if not await scene.until_back(name)]
    letters = await journal.dead_letters(scene.bus)
    buried = {(one.stream, one.sequence) for one in letters}
    others = [one for one in letters if not one.event_id.startswith(POISON)]
    return Report(
        findings=findings,
        final=final,
        faults=tuple(scene.faults),
        doubts=tuple(scene.logs.doubts),
        killed=frozenset(scene.killed),
        ends=tuple(scene.ends),
        late=tuple(scene.late),
        backlog=backlog,
        not_ready=tuple(away),
        poison=len(scene.poison),
        poison_kept=tuple(name for place, name in scene.poison.items() if place not in buried),
        buried=Counter(f"{one.consumer}: {one.reason[:90]}" for one in others),
        accidents=tuple(scene.logs.accidents),
        excused_share=excused_share,
        troubles=(*scene.troubles, *scene.load.troubles, *await _sick_brokers(scene)),
        lag=scene.lag,
    )


async def _sick_brokers(scene: Scene) -> list[str]:
    """Name the brokers that have not recovered from what was done to them.

    One that cannot write a stream any more says so, and goes on only when it is restarted: that is
    nats-server's, and nothing can be said of the services then.
    """
    troubles = await asyncio.gather(
        *(asyncio.to_thread(what_ails, node.monitor_url) for node in scene.nodes)
    )
    return [f"broker {number}: {what}" for number, what in enumerate(troubles) if what]


async def patiently(look: Callable[[], Awaitable[T]], is_done: Callable[[T], bool]) -> T:
    """Look until it is done, and return what was seen last.

    Not for longer than `STUCK` seconds without a change, nor than `CAP` seconds altogether.
    """
    began = changed = time.monotonic()
    seen = await look()
    while not is_done(seen):
        await asyncio.sleep(1.0)
        last, seen, now = seen, await look(), time.monotonic()
        if seen != last:
            changed = now
        if now - changed > STUCK or now - began > CAP:
            break
    return seen


async def _all_done(
    scene: Scene, recorder: journal.Recorder, final: frozenset[str]
) -> tuple[Findings, Mapping[str, tuple[int, int]]]:
    """Wait until nothing is left to do, and judge what everybody has seen then."""
    looks = 0

    async def look() -> tuple[Findings, Mapping[str, tuple[int, int]]]:
        nonlocal looks
        looks += 1
        if looks % FETCH_EVERY == 0:
            await _fetch_parked(scene)
        backlog = await journal.backlog(scene.bus)
        return await examine(scene, recorder), backlog

    def is_done(seen: tuple[Findings, Mapping[str, tuple[int, int]]]) -> bool:
        found, backlog = seen
        return not (found.lost or found.torn or backlog or final & {*found.unanswered})

    seen = await patiently(look, is_done)
    # What was on its way from one consumer to another while they were asked has arrived by now.
    return await patiently(look, is_done) if is_done(seen) else seen


async def _fetch_parked(scene: Scene) -> None:
    """Users of the account without the API ask for what was parked for them."""
    for number in range(CROWD["sub"]):
        await scene.system.say("sub", f"sub{number}", "1")


async def examine(scene: Scene, recorder: journal.Recorder) -> Findings:
    """Judge what everybody has seen so far."""
    transcript: dict[User, list[Entry]] = {}
    for account in CROWD:
        for entry in await scene.system.transcript(account):
            transcript.setdefault((account, entry["user"]), []).append(entry)
    _keep(scene.system.folder / "transcript.json", transcript)
    return audit(scene.load.questions, transcript, await recorder.read(), sorry=SORRY)


def _keep(path: Path, transcript: Mapping[User, list[Entry]]) -> None:
    """Keep what users saw beside the logs: both are wanted when a run has failed."""
    chats = {f"{account}/{name}": entries for (account, name), entries in transcript.items()}
    path.write_bytes(msgspec.json.encode(chats))
