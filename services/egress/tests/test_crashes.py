"""Whatever fails, and whenever a process dies: nothing is lost, and little is in doubt."""

import asyncio
import re

from hypothesis import given, settings
from hypothesis import strategies as st
from queqiao_common.errors import BrokerUnavailable, TransientError
from queqiao_common.settings import Delivery as Settings
from queqiao_common.testing import ACCOUNT, CONV, TURN, delivery
from queqiao_wechat.client import AmbiguousError, UnreachableError

TEXTS = [
    "".join(f"第{n}句。" for n in numbers) for numbers in (range(50), range(50, 70), range(70, 150))
]


class Killed(BaseException):
    """The process is gone, at once."""


class Fate:
    """What happens at each call to the outside: drawn, until the draws are used up."""

    def __init__(self, draws):
        self._draws = list(draws)
        self.doubts = 0

    def next(self):
        return self._draws.pop(0) if self._draws else "ok"


class FatefulBucket:
    """A bucket whose writes may be lost, or their acknowledgements, or the process."""

    def __init__(self, bucket, fate):
        self._bucket = bucket
        self._fate = fate

    def __getattr__(self, name):
        return getattr(self._bucket, name)

    async def _write(self, write):
        what = self._fate.next()
        if what == "before":
            raise BrokerUnavailable("lost")
        if what.startswith("killed"):
            self._fate.doubts += 1
        if what == "killed":
            raise Killed
        result = await write()
        if what == "after":
            raise BrokerUnavailable("acknowledgement lost")
        if what == "killed after":
            raise Killed
        return result

    async def create(self, key, value):
        return await self._write(lambda: self._bucket.create(key, value))

    async def update(self, key, change):
        return await self._write(lambda: self._bucket.update(key, change))


class FatefulWeChat:
    def __init__(self, fate):
        self._fate = fate
        self.shown = []
        self.api = None

    async def typing(self, openid):
        raise AssertionError("nobody asked for it")

    async def send_text(self, openid, text, *, ai):
        what = self._fate.next()
        if what == "before":
            raise UnreachableError("down")
        if what == "killed":
            self._fate.doubts += 1
            raise Killed
        self.shown.append((text, ai))
        if what == "after":
            self._fate.doubts += 1
            raise AmbiguousError("time-out")
        if what == "killed after":
            self._fate.doubts += 1
            raise Killed


async def run(make_world, mode, fate, *, takes):
    world = make_world(mode=mode, settings=Settings(max_bytes=300, quota=40), takes=takes)
    world.wechat = FatefulWeChat(fate)
    for name in ("sent", "boxes", "ledgers"):
        setattr(world, name, FatefulBucket(getattr(world, name), fate))
    process = world.another("p0")
    deaths = 0
    for number, text in enumerate(TEXTS, 1):
        piece = delivery(text, id=f"{TURN}.{number}", final=number == len(TEXTS))
        for attempt in range(1, 400):  # each death takes a few
            try:
                result = await world.deliver(piece, attempt=attempt, process=process)
                break
            except TransientError as error:
                world.now_ms += int((error.after or 1) * 1000)
            except Killed:
                deaths += 1
                world.kill(process)
                process = world.another(f"p{deaths}")
                world.now_ms += 15_000
        else:
            raise AssertionError("never ended")
    return world, result


def sentences(texts):
    return re.findall(r"第\d+句", "".join(texts))


@settings(max_examples=200)
@given(
    draws=st.lists(
        st.sampled_from(["ok", "ok", "before", "after", "killed", "killed after"]), max_size=40
    ),
    mode=st.sampled_from(["active", "auto", "passive"]),
    takes=st.booleans(),
)
def test_every_part_is_read_in_order_and_twice_only_where_it_was_in_doubt(
    world, draws, mode, takes
):
    fate = Fate(draws)

    world, result = asyncio.run(run(world, mode, fate, takes=takes))

    whole = sentences(TEXTS)
    box = world.boxes.documents.get(f"{ACCOUNT}.{CONV}")
    waits = sentences(item.text for item in box.value.items) if box else []
    shown = [text for text, _ in world.wechat.shown]
    read = sentences(world.answered + shown)
    assert list(dict.fromkeys(read + waits)) == whole
    assert result.status in ("delivered", "parked")
    assert bool(result.parked) == bool(waits)
    repeated = [text for text in set(shown) if shown.count(text) > 1]
    assert len(read) == len(whole) - len(waits) or repeated
    assert sum(shown.count(text) - 1 for text in repeated) <= fate.doubts
    assert waits == [] or mode == "passive"
