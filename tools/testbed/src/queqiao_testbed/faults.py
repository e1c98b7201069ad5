"""Every way in which the chaos suite hurts the system: one function for each kind of fault.

A fault does its harm, lasts as long as it was planned to, and takes back what would not heal by
itself.
"""

import asyncio
import contextlib
import random
import signal
import subprocess
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass

from queqiao_common.errors import QueqiaoError
from queqiao_common.ids import conversation_id
from queqiao_common.topology import CONSUMERS, DEAD_LETTERS, SERVICES, SUBJECTS

from queqiao_testbed.configuration import TOKEN
from queqiao_testbed.scene import SOON, Rule, Scene
from queqiao_testbed.schedule import BROKER, Kind, Planned
from queqiao_testbed.verdict import BAD_ANSWER, NO_ANSWER

REPLICAS = tuple(f"{service}-{number}" for service in SERVICES for number in range(2))
MODEL, WECHAT, USERS, SUBJECT = ("model",), ("wechat",), ("users",), ("subjects",)
MINUTES_OFF = 120.0
"""Seconds: beyond every deadline of a turn."""
EGRESS = "egress"
SEND = "/cgi-bin/message/custom/send"
POISON = "poison:"
"""How the ids of unreadable events begin."""
CONSUMED = frozenset(consumer.reads for consumer in CONSUMERS)
"""The subjects whose unreadable events somebody has to bury; the others are only listened to."""
CALLED_WITHIN, ANSWERS_AFTER = 1.0, 4.0
"""Seconds until a message is surely on its way to WeChat, and until it is answered."""
STARTS = 6.0
"""Seconds that a killed process is left alone: until it has started again."""

Harm = Callable[[Scene, Planned], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Fault(Kind):
    """A kind of fault, and how it is done.

    `doubts` is why egress, alive, may not know afterwards what WeChat has shown. After one that
    `ends`, a process may have given up by itself.
    """

    harm: Harm
    doubts: str = ""
    ends: bool = False


# -- processes ------------------------------------------------------------------------------


async def kill(scene: Scene, one: Planned) -> None:
    """SIGKILL; the supervisor starts it again after `seconds`."""
    children = scene.replicas(one.target)
    try:
        for child in children:
            scene.hold(child)
            await asyncio.to_thread(child.kill)
            scene.was_killed(child)
        await asyncio.sleep(one.seconds)
    finally:
        scene.release(*children)


async def kill_sender(scene: Scene, one: Planned) -> None:
    """SIGKILL in the middle of one call: WeChat has shown a message, and has not said so yet."""
    rule: Rule = {"path": SEND, "kind": "delay_after", "seconds": ANSWERS_AFTER, "count": 1}
    async with scene.wechat(rule):
        await asyncio.sleep(CALLED_WITHIN)
        await kill(scene, one)


async def pause(scene: Scene, one: Planned) -> None:
    """SIGSTOP and SIGCONT: it wakes up in another world, and must do no harm there."""
    (child,) = scene.replicas(one.target)
    child.pause()
    try:
        await asyncio.sleep(one.seconds)
    finally:
        child.resume()


async def restart(scene: Scene, one: Planned) -> None:
    """A rolling update of one service: SIGTERM, and the next one when it is back."""
    for child in scene.replicas(one.target):
        # One that still starts does not end cleanly, but at once.
        if not await scene.until_back(child.name):
            scene.late.append(f"{child.name}, before its restart")
            continue
        scene.hold(child)
        try:
            child.terminate()
            code = await asyncio.to_thread(child.wait, SOON)
        except subprocess.TimeoutExpired:
            scene.ended(f"{child.name} did not end within {SOON:.0f} s")
            await asyncio.to_thread(child.kill)
        else:
            if code and code != -signal.SIGKILL:  # another fault's kill met it while it was ending
                scene.ended(f"{child.name} did not end cleanly ({code})")
        finally:
            scene.release(child)
        if not await scene.until_back(child.name):
            scene.late.append(f"{child.name}, after its restart")


async def kill_broker(scene: Scene, one: Planned) -> None:
    """SIGKILL of the broker, and its restart."""
    try:
        await asyncio.to_thread(scene.broker.kill)
        await asyncio.sleep(one.seconds)
    finally:
        await asyncio.to_thread(scene.broker.start)


async def restart_broker(scene: Scene, one: Planned) -> None:
    """SIGTERM of the broker, and its restart."""
    try:
        await asyncio.to_thread(scene.broker.stop)
        await asyncio.sleep(one.seconds)
    finally:
        await asyncio.to_thread(scene.broker.start)


async def pause_broker(scene: Scene, one: Planned) -> None:
    """SIGSTOP of the broker: connections stay, nothing is answered."""
    scene.broker.pause()
    try:
        await asyncio.sleep(one.seconds)
    finally:
        scene.broker.resume()


async def misdate(scene: Scene, one: Planned) -> None:
    """Its wall clock steps two minutes ahead, or back, and is set right after a while.

    Where this machine has nothing that gives a process another clock, nothing happens: the schedule
    of a seed is the same on every machine.
    """
    clock = scene.clocks.get(one.target)
    if clock is None:
        return
    clock.set(random.Random(one.seed).choice((-MINUTES_OFF, MINUTES_OFF)))
    try:
        await asyncio.sleep(one.seconds)
    finally:
        clock.set(0.0)


# -- the network between a replica and the broker -------------------------------------------


async def cut(scene: Scene, one: Planned) -> None:
    """Every connection is reset, and so is every new one."""
    scene.ways[one.target].cut()
    try:
        await asyncio.sleep(one.seconds)
    finally:
        scene.ways[one.target].heal()


async def freeze(scene: Scene, one: Planned) -> None:
    """Nothing is carried in either direction, and nobody is told."""
    scene.ways[one.target].freeze()
    try:
        await asyncio.sleep(one.seconds)
    finally:
        scene.ways[one.target].heal()


async def delay(scene: Scene, one: Planned) -> None:
    """Every byte is 50 to 300 ms late, in each direction."""
    way, dice = scene.ways[one.target], random.Random(one.seed)
    way.slow(latency=dice.uniform(0.05, 0.2), jitter=0.1)
    try:
        await asyncio.sleep(one.seconds)
    finally:
        way.heal()


# -- the model ------------------------------------------------------------------------------


async def slow_model(scene: Scene, one: Planned) -> None:
    """Two seconds before the first word, and then slowly."""
    async with scene.model(latency=2.0, tokens_per_second=50):
        await asyncio.sleep(one.seconds)


async def broken_model(scene: Scene, one: Planned) -> None:
    """A number of calls fail, each in another way."""
    ways = ["status=500", "half", "status=429;retry-after=1", "disconnect", "garbage", "html"]
    random.Random(one.seed).shuffle(ways)
    async with scene.model(fail=ways, fail_count=25):
        await asyncio.sleep(one.seconds)


async def dead_model(scene: Scene, one: Planned) -> None:
    """The model of first choice takes every call, and answers none."""
    async with scene.model(fail=["hang"], only_model="fake"):
        await asyncio.sleep(one.seconds)


# -- WeChat ---------------------------------------------------------------------------------


def wechat(*rules: Rule) -> Harm:
    """WeChat's API does what these rules say, when messages are sent."""

    async def harm(scene: Scene, one: Planned) -> None:
        seeded = [{"path": SEND, "seed": one.seed, **rule} for rule in rules]
        async with scene.wechat(*seeded):
            await asyncio.sleep(one.seconds)

    return harm


async def repeat(scene: Scene, one: Planned) -> None:
    """WeChat delivers a third of the messages twice, at the same time, to different replicas."""
    async with scene.wechat({"kind": "duplicate", "probability": 0.3, "seed": one.seed}):
        await asyncio.sleep(one.seconds)


# -- what arrives ---------------------------------------------------------------------------


async def poison(scene: Scene, one: Planned) -> None:
    """Events that nobody can read, on every subject, some in a real user's conversation."""
    users = await scene.system.control("GET", "/users", params={"account": "auto"})
    victim = random.Random(one.seed).choice([user["openid"] for user in users])
    conv = conversation_id(pepper=TOKEN, account="auto", openid=victim)
    for subject in SUBJECTS:
        if subject is DEAD_LETTERS:
            continue
        name = subject.pattern.format(account="auto", conv=conv, route="default")
        for number, body in enumerate(_unreadable(subject.event.__name__)):
            identity = f"{POISON}{one.seed}:{name}:{number}"
            with contextlib.suppress(QueqiaoError):  # the broker is away for long
                stored = await scene.bus.publish(name, body, event_id=identity)
                if subject in CONSUMED:
                    scene.poison[stored.stream, stored.seq] = identity


def _unreadable(tag: str) -> Iterator[bytes]:
    yield b"\xff\x00 not even text"
    yield b'{"event":"Nonsense","id":"x","account":"auto"}'
    yield f'{{"event":"{tag}","id":"x","account":"auto"}}'.encode()


async def flood(scene: Scene, one: Planned) -> None:
    """Two hundred newcomers write within a second, and as many follow, tap and look around."""
    dice = random.Random(one.seed)
    for event in ("subscribe", "CLICK", "VIEW", "SCAN"):
        acts = [
            {"account": "auto", "user": f"e{dice.randrange(500)}", "event": event, "event_key": "k"}
            for _ in range(50)
        ]
        await scene.system.control("POST", "/events", json=acts)
    await asyncio.gather(scene.load.burst("auto", 120), scene.load.burst("active", 80))


def _fault(
    harm: Harm,
    targets: tuple[str, ...],
    shortest: float,
    longest: float,
    *,
    rest: float = 1.0,
    doubts: str = "",
    ends: bool = False,
) -> Fault:
    return Fault(
        harm=harm,
        targets=targets,
        shortest=shortest,
        longest=longest,
        rest=rest,
        doubts=doubts,
        ends=ends,
    )


def _refusing(count: int, *errcodes: int) -> Harm:
    """WeChat refuses some calls, with one number after the other."""
    return wechat(*({"kind": "errcode", "errcode": code, "count": count} for code in errcodes))


FAULTS: Mapping[str, Fault] = {
    "clock: two minutes off": _fault(misdate, REPLICAS, 4.0, 10.0),
    "kill -9 of a replica": _fault(kill, REPLICAS, 0.0, 2.0, rest=STARTS),
    "kill -9 of a whole service": _fault(kill, SERVICES, 0.0, 2.0, rest=STARTS),
    "kill -9 in a call to WeChat": _fault(
        kill_sender, (EGRESS,), 0.0, 2.0, rest=CALLED_WITHIN + STARTS
    ),
    "pause (SIGSTOP)": _fault(pause, REPLICAS, 3.0, 16.0),
    "rolling restart": _fault(restart, SERVICES, 16.0, 16.0, rest=STARTS),
    "broker: kill -9": _fault(kill_broker, (BROKER,), 0.0, 1.5, rest=STARTS, ends=True),
    "broker: restart": _fault(restart_broker, (BROKER,), 0.0, 1.0, rest=STARTS, ends=True),
    "broker: pause": _fault(pause_broker, (BROKER,), 2.0, 6.0, ends=True),
    "network: cut": _fault(cut, REPLICAS, 2.0, 8.0, ends=True),
    "network: silence": _fault(freeze, REPLICAS, 3.0, 14.0, ends=True),
    "network: latency": _fault(delay, REPLICAS, 4.0, 10.0),
    "model: slow": _fault(slow_model, MODEL, 4.0, 8.0),
    "model: errors": _fault(broken_model, MODEL, 3.0, 6.0),
    "model: hangs": _fault(dead_model, MODEL, 2.0, 5.0),
    "WeChat: system busy (-1)": _fault(
        wechat({"kind": "errcode", "errcode": -1, "probability": 0.5}), WECHAT, 2.0, 5.0
    ),
    "WeChat: token refused (40001)": _fault(
        wechat(
            {"kind": "errcode", "errcode": 40001, "count": 2}, {"kind": "revoke_token", "count": 1}
        ),
        WECHAT,
        2.0,
        4.0,
    ),
    "WeChat: token wrong, expired (40014, 42001)": _fault(
        _refusing(2, 40014, 42001), WECHAT, 2.0, 4.0
    ),
    "WeChat: calls of today used (45009)": _fault(_refusing(3, 45009), WECHAT, 2.0, 3.0),
    "WeChat: messages of this user used (45047)": _fault(_refusing(2, 45047), WECHAT, 2.0, 3.0),
    "WeChat: text too long (45002)": _fault(_refusing(1, 45002), WECHAT, 2.0, 3.0),
    "WeChat: HTTP 502": _fault(
        wechat({"kind": "http", "status": 502, "probability": 0.5}),
        WECHAT,
        2.0,
        4.0,
        doubts=BAD_ANSWER,
    ),
    "WeChat: answer lost after the effect": _fault(
        wechat({"kind": "disconnect_after", "count": 3}), WECHAT, 2.0, 4.0, doubts=NO_ANSWER
    ),
    "WeChat: slow": _fault(
        wechat({"kind": "delay", "seconds": 3.0, "probability": 0.3}), WECHAT, 3.0, 6.0
    ),
    "WeChat: every message twice": _fault(repeat, USERS, 3.0, 6.0),
    "poison on every subject": _fault(poison, SUBJECT, 1.0, 1.0),
    "flood": _fault(flood, USERS, 1.0, 1.0),
}

LONG_ONLY: Mapping[str, Fault] = {
    # The account then rests until the next minute begins: too long for the short form.
    "WeChat: calls of this minute used (45011)": _fault(_refusing(1, 45011), WECHAT, 2.0, 3.0),
    "pause (SIGSTOP), long": _fault(pause, REPLICAS, 20.0, 60.0),
}
