"""Two releases of every service side by side, and events of every release there was."""

import asyncio
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from queqiao_cli.dead import letters
from queqiao_common.events import EVENT_TYPES, DeadLetter, InboundMessage, PullWanted
from queqiao_common.testing import eventually
from queqiao_common.topology import CHAT, CONSUMERS, CONVERSATIONS, SCREENED, SERVICES, SUBJECT_OF
from queqiao_testbed.configuration import Options
from queqiao_testbed.judging import accepted
from queqiao_testbed.ledger import judge, mark
from queqiao_testbed.system import running

pytestmark = pytest.mark.broker

ROOT = Path(__file__).parents[3]
GOLDEN = sorted(ROOT.glob("tests/golden/*/*.json"))
TYPES = {kind.__name__: kind for kind in EVENT_TYPES}
NO_LIMIT = Options(
    settings={"moderation": {"messages_per_minute": 0}}, variables={"QUEQIAO_LOG_LEVEL": "DEBUG"}
)

MAKE_TOPOLOGY = """
import asyncio, sys
from queqiao_common import bus, provision, settings

async def make():
    connected = await bus.connect(settings.Nats(url=sys.argv[1]), "upgrade")
    await provision.apply(connected)
    await connected.close()

asyncio.run(make())
"""


async def replaced(system, service, other, number=0):
    """Let another process take a replica's place; returns the one that had it."""
    before = system.replica(service, number)
    await asyncio.to_thread(before.stop)
    system.children[service][number] = other
    other.start()
    await system.ready()
    return before


async def test_two_releases_side_by_side_answer_every_question_once(
    own_broker, bus, tmp_path, variant
):
    """An upgrade replaces one replica after the other: for minutes both read what both write."""
    options = NO_LIMIT
    async with running(tmp_path, broker_url=own_broker.url, replicas=2, options=options) as system:
        for service in SERVICES:
            newer = variant(system, own_broker.url, service, "newer.py", service, number=1)
            await replaced(system, service, newer, number=1)
        await answer_every_question_once(system)
        document = await bus.api(
            f"STREAM.MSG.GET.{CONVERSATIONS.stream}", {"seq": 1, "next_by_subj": "$KV.>"}
        )

    assert document


@pytest.mark.slow
async def test_the_previous_release_and_this_one_answer_every_question_once(
    own_broker, tmp_path, previous_release
):
    """Not what a release might be, but what one was: its own code, on the same broker."""
    path = {"PYTHONPATH": ":".join(map(str, previous_release.glob("*/*/src")))}
    argv = [sys.executable, "-c", "import queqiao_context; print(queqiao_context.__file__)"]
    found = await asyncio.to_thread(subprocess.check_output, argv, env=path, text=True)
    assert found.startswith(str(previous_release)), "this release's code would run twice"
    make = [sys.executable, "-c", MAKE_TOPOLOGY, own_broker.url]
    await asyncio.to_thread(subprocess.check_call, make, env=path)  # which was there before us
    own = {f"{service}-1": path for service in SERVICES}
    options = replace(NO_LIMIT, own_variables=own)
    async with running(tmp_path, broker_url=own_broker.url, replicas=2, options=options) as system:
        await answer_every_question_once(system)


@pytest.fixture
def previous_release(tmp_path_factory):
    """The code of the commit that `tests/golden/previous-release.txt` names."""
    commit = (ROOT / "tests" / "golden" / "previous-release.txt").read_text().strip()
    folder = tmp_path_factory.mktemp("previous-release")
    archive = folder / "code.zip"
    git = shutil.which("git")
    if git is None:
        pytest.skip("needs git, for the code of the previous release")
    argv = [git, "-C", str(ROOT), "archive", f"--output={archive}", commit, "libs", "services"]
    if subprocess.run(argv, check=False, capture_output=True).returncode:
        pytest.skip(f"needs the history of the repository: {commit[:7]} is not in it")
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    return folder


async def answer_every_question_once(system):
    """Ask in two accounts, and judge what the users saw; both replicas must have worked."""
    asked = {}
    for number in range(60):
        account = "auto" if number % 3 else "active"
        user = f"v{number % 10}{account}"  # the order that is promised is one account's
        asked.setdefault(user, []).append(mark(user, number))
        await system.say(account, user, f"{mark(user, number)} 在吗")

    async def verdict():
        seen = {}
        for entry in [*await system.transcript("auto"), *await system.transcript("active")]:
            seen.setdefault(entry["user"], []).append(entry)
        result = judge(asked, seen, apology="没能答上来", accepted=await accepted(system))
        return None if result.lost else result

    result = await eventually(verdict, within=60.0, every=0.5)
    logs = [system.replica(service, 1).log.read_text() for service in SERVICES]
    assert not result.doubled, str(result)
    assert not result.swapped, str(result)
    assert not result.crossed, str(result)
    assert result.apologies == 0
    assert all("event.handled" in log for log in logs[1:]), "the other replicas had no work"


async def test_a_conversation_of_a_newer_version_waits_for_a_newer_replica(
    own_broker, bus, tmp_path, variant, answered
):
    """However often older ones meet its events: they are not theirs to bury."""
    async with running(tmp_path, broker_url=own_broker.url, options=NO_LIMIT) as system:
        newer = variant(system, own_broker.url, "context", "newer.py", "context", "raised")
        older = await replaced(system, "context", newer)
        await system.say("active", "n1", "新版本写的")
        await answered(system, "active", "n1", "新版本写的")
        await replaced(system, "context", older)
        await system.say("active", "n1", "旧版本读不了")

        async def has_begun_anew():
            after = 0
            while stored := await bus.read_next(CHAT, SCREENED.filter, after):
                if stored.headers["Nats-Msg-Id"].endswith("~1"):
                    return True
                after = stored.sequence
            return False

        await eventually(has_begun_anew, within=60.0, every=0.5)
        await replaced(system, "context", newer)
        await answered(system, "active", "n1", "旧版本读不了")
        found = [one async for one in letters(bus)]
        replies = await system.replies("active", "n1")

    assert found == []
    assert len(replies) == 2


class Progress(msgspec.Struct):
    num_pending: int
    num_ack_pending: int


async def test_the_events_of_every_release_are_handled(own_broker, bus, tmp_path, answered):
    """As they lie in the streams when a new release starts: none may be buried."""
    async with running(tmp_path, broker_url=own_broker.url, options=NO_LIMIT) as system:
        await system.say("active", "g1", "先认识一下")
        await answered(system, "active", "g1", "先认识一下")
        place = 0
        for path in GOLDEN:
            kind = TYPES[path.stem]
            if kind in (DeadLetter, PullWanted):  # an operator's; of another kind of account
                continue
            table = msgspec.json.decode(path.read_bytes()) | {"account": "active"}
            if "sequence" in table:  # what is said of a message names its place in this stream
                table |= {"sequence": place, "message": table["message"] | {"account": "active"}}
            event = msgspec.convert(table, kind)
            event_id = f"{path.parent}{event.id}"
            ack = await bus.publish(
                SUBJECT_OF[kind].of(event), msgspec.json.encode(table), event_id=event_id
            )
            place = ack.seq if kind is InboundMessage else place

        async def all_handled():
            left = [
                msgspec.json.decode(
                    await bus.api(f"CONSUMER.INFO.{one.reads.stream.name}.{one.name}"),
                    type=Progress,
                )
                for one in CONSUMERS
            ]
            return not any(one.num_pending or one.num_ack_pending for one in left)

        await eventually(all_handled, within=60.0)
        assert [one async for one in letters(bus)] == []

        await system.say("active", "g1", "还在吗")
        await answered(system, "active", "g1", "还在吗")
