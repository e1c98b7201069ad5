"""One chaos run: the whole system under load, a schedule of faults, and what came of it."""

import asyncio
import contextlib
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from queqiao_common import bus as bus_module
from queqiao_common import provision
from queqiao_common.settings import Nats

from queqiao_testbed import journal
from queqiao_testbed.audit import Entry, Findings, User, audit
from queqiao_testbed.brokers import ProcessBroker
from queqiao_testbed.clocks import Clock, find_library
from queqiao_testbed.configuration import Options
from queqiao_testbed.faults import FAULTS, LONG_ONLY, REPLICAS, Fault
from queqiao_testbed.load import Load
from queqiao_testbed.proxy import Proxy
from queqiao_testbed.scene import Scene
from queqiao_testbed.schedule import Planned, draw
from queqiao_testbed.system import running

CROWD = {"auto": 36, "active": 24, "sub": 4}
SORRY = ("没能答上来", "我还在回答前面的问题", "现在咨询的人有点多")
"""What stands for an answer: the apology, and the two requests for patience."""
FETCH_EVERY = 4
WITHIN = 100
"""Seconds after the last fault within which everything has to be as if nothing had happened."""


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


SHORT = Form(messages=1400, seconds=56.0, faults=22)
LONG = Form(messages=10_000, seconds=330.0, faults=80, kinds={**FAULTS, **LONG_ONLY})


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a run was, and what was found."""

    seed: int
    form: Form
    schedule: tuple[Planned, ...]
    findings: Findings
    took: float
    ambiguous: float  # as the counters of those replicas say that were not killed since
    backlog: Mapping[str, tuple[int, int]]
    not_ready: tuple[str, ...]
    exits: Mapping[str, int]
    unclean: tuple[str, ...]
    poison: int
    buried: Counter[str]  # dead letters that are not poison, by consumer and reason
    poison_buried: int
    accidents: tuple[str, ...]

    @property
    def problems(self) -> dict[str, object]:
        """Everything that breaks a promise, by name; empty when all were kept."""
        found = self.findings
        checks: dict[str, object] = {
            "lost": found.lost,
            "torn": found.torn,
            "doubled": found.doubled,
            "out of order": found.swapped,
            "parts out of order": found.jumbled,
            "crossed": found.crossed,
            "backlog": self.backlog,
            "not ready": self.not_ready,
            "ended unasked": self.exits,
            "not ended cleanly": self.unclean,
            "poison not buried": self.poison - self.poison_buried,
            "buried, though no poison": dict(self.buried),
            "unforeseen errors": self.accidents,
        }
        return {name: what for name, what in checks.items() if what}


async def run_chaos(folder: Path, broker: ProcessBroker, form: Form, *, seed: int) -> Report:
    """Run one chaos run against a broker that is running, and report."""
    schedule = draw(form.kinds, seed=seed, count=form.faults, seconds=form.seconds)
    began = time.monotonic()
    async with staged(folder, [broker], seed=seed) as scene:
        async with scene.supervised():
            await _attack(scene, form, schedule)
            findings = await settled(scene)
            away = [name for name in REPLICAS if not await scene.until_back(name)]
        return await _report(scene, form, schedule, findings, seed, away, began)


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
    """Start two replicas of everything; before a single broker, each has a proxy of its own."""
    url = ",".join(node.url for node in nodes)
    options = options or usual_options()
    async with contextlib.AsyncExitStack() as stack:
        proxies = {
            name: await stack.enter_async_context(Proxy(url).listening())
            for name in (REPLICAS if len(nodes) == 1 else ())
        }
        options.broker_urls.update({name: proxy.url for name, proxy in proxies.items()})
        library = find_library()
        clocks = (
            {name: Clock(folder / f"{name}.clock", library) for name in REPLICAS} if library else {}
        )
        options.own_variables.update({name: clock.variables for name, clock in clocks.items()})
        bus = await bus_module.connect(Nats(url=url), "chaos")
        stack.push_async_callback(bus.close)
        if not options.settings["nats"].get("apply_topology", True):
            await provision.apply(bus, replicas=len(nodes))
        system = await stack.enter_async_context(
            running(folder, broker_url=url, replicas=2, options=options)
        )
        load = Load(system, crowd=CROWD, seed=seed)
        yield Scene(system=system, nodes=nodes, bus=bus, proxies=proxies, clocks=clocks, load=load)


async def _attack(scene: Scene, form: Form, schedule: tuple[Planned, ...]) -> None:
    """Ask and hurt at the same time, until both have ended."""
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def strike(one: Planned) -> None:
        await asyncio.sleep(max(0.0, began + one.at - loop.time()))
        sys.stderr.write(f"{one}\n")
        await form.kinds[one.kind].harm(scene, one)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(scene.load.run(messages=form.messages, seconds=form.seconds))
        for one in schedule:
            tasks.create_task(strike(one))


async def settled(scene: Scene) -> Findings:
    """Have everyone ask once more, and wait until everybody has all that is due to them.

    Judged is what they have seen when nothing is left to be done, so that what comes too late, or
    twice, is seen as well.
    """
    await scene.load.everybody()
    recorder = journal.Recorder(scene.system, scene.bus, sorry=SORRY)
    for second in range(WITHIN):
        await asyncio.sleep(1.0)
        findings = await examine(scene, recorder)
        if not (findings.lost or findings.torn):
            break
        if second % FETCH_EVERY == 0:
            await _fetch_parked(scene)
    await without_backlog(scene)
    return await examine(scene, recorder)


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
    path.write_bytes(msgspec.json.format(msgspec.json.encode(chats)))


async def without_backlog(scene: Scene) -> dict[str, tuple[int, int]]:
    """Wait until nothing is left to do, and return what is, when the time is over."""
    for _ in range(WITHIN):
        if not await journal.backlog(scene.bus):
            break
        await asyncio.sleep(1.0)
    return await journal.backlog(scene.bus)


async def _report(
    scene: Scene,
    form: Form,
    schedule: tuple[Planned, ...],
    findings: Findings,
    seed: int,
    away: list[str],
    began: float,
) -> Report:
    left = await without_backlog(scene)
    letters = await journal.dead_letters(scene.bus)
    unread = [one for one in letters if one.reason.startswith("cannot be decoded")]
    others = [one for one in letters if one not in unread]
    return Report(
        seed=seed,
        form=form,
        schedule=schedule,
        findings=findings,
        took=time.monotonic() - began,
        ambiguous=await scene.metric("egress", "queqiao_egress_ambiguous_total"),
        backlog=left,
        not_ready=tuple(away),
        exits=scene.exits,
        unclean=tuple(scene.unclean),
        poison=scene.poison,
        buried=Counter(f"{one.consumer}: {one.reason[:90]}" for one in others),
        poison_buried=len(unread),
        accidents=tuple(journal.accidents(scene.system)),
    )
