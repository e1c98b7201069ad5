"""A planned stop turns nobody away: first others are let know, then the door is closed."""

import asyncio
from pathlib import Path

import httpx
import pytest
import yaml
from queqiao_common.runtime import STOP_WITHIN
from queqiao_common.settings import IngressSettings
from queqiao_common.testing import eventually
from queqiao_common.topology import SERVICES
from queqiao_testbed.balancer import balanced
from queqiao_testbed.configuration import Options
from queqiao_testbed.judging import settled
from queqiao_testbed.ledger import mark
from queqiao_testbed.system import running

ROOT = Path(__file__).parents[3]
RATE = 12.0
ACCOUNTS = ("auto", "active", "sub")
PATIENT = {"publish_timeout": 3.5}
"""A broker that the machine keeps waiting for a second is no door that is closed."""
LONG_OPEN = Options(settings={"ingress": {"linger": 100.0} | PATIENT})
"""A door that stays open for longer than any test waits for an end."""


async def readiness(system):
    port = system.ports.services["ingress"][0]
    async with httpx.AsyncClient() as http:
        return await http.get(f"http://127.0.0.1:{port}/readyz")


async def deliveries(system, account):
    pushes = await system.control("GET", "/pushes", params={"account": account})
    return [delivery for push in pushes for delivery in push["deliveries"]]


async def test_ingress_takes_callbacks_after_it_has_said_that_it_stops(own_broker, tmp_path):
    """A load balancer needs seconds to notice; what it sends meanwhile is answered."""
    async with running(tmp_path, broker_url=own_broker.url, options=LONG_OPEN) as system:
        child = system.replica("ingress")
        child.terminate()

        async def is_told():
            return (await readiness(system)).status_code == 503

        await eventually(is_told)
        assert (await readiness(system)).text == "not ready: stopping\n"
        await system.say("auto", "late", "还开着吗")

        async def answered():
            return any("还开着吗" in text for text in await system.replies("auto", "late"))

        await eventually(answered, within=60.0)
        assert [one["status"] for one in await deliveries(system, "auto")] == [200]
        assert child.exit_code is None
        child.terminate()  # said twice: at once
        assert await asyncio.to_thread(child.wait) == 0


async def test_an_interactive_stop_keeps_no_door_open(own_broker, tmp_path):
    """Ctrl-C ends everything together: there is nobody to be let know."""
    async with running(tmp_path, broker_url=own_broker.url, options=LONG_OPEN) as system:
        child = system.replica("ingress")
        child.interrupt()

        assert await asyncio.to_thread(child.wait) == 0


def troubles(system):
    """Return what ingress said of callbacks that it did not take."""
    return [
        line for line in system.logs().splitlines() if "callback." in line and '"error"' in line
    ]


def may_time_out(account, delivery):
    """Whether WeChat is left waiting on purpose: it comes again, and carries a late answer then."""
    return account == "sub" and delivery["outcome"] == "timeout"


async def keep_asking(system, account, until):
    """A crowd asks one after the other; returns what each of them asked."""
    asked, number = {}, 0
    while not until.is_set():
        user = f"r{number % 24}"
        asked.setdefault(user, []).append(mark(user, number))
        await system.say(account, user, f"{mark(user, number)} 在吗")
        number += 1
        await asyncio.sleep(len(ACCOUNTS) / RATE)
    return asked


@pytest.mark.slow
async def test_a_rolling_restart_of_everything_is_noticed_by_nobody(own_broker, tmp_path):
    """All ways of answering: no callback refused, no apology, no repeat, no doubt."""
    options = Options(settings={"moderation": {"messages_per_minute": 0}, "ingress": PATIENT})
    async with running(tmp_path, broker_url=own_broker.url, replicas=2, options=options) as system:
        async with balanced(system):
            done = asyncio.Event()
            asking = {
                account: asyncio.create_task(keep_asking(system, account, done))
                for account in ACCOUNTS
            }
            for service in SERVICES:
                for child in system.children[service]:
                    child.terminate()
                    assert await asyncio.to_thread(child.wait) == 0
                    child.start()
                    await system.ready()
            done.set()
            for account, task in asking.items():
                asked = await task
                result = await settled(system, account, asked)

                assert result.clean, str(result)
                assert not result.apologies, str(result)
                assert not result.errors, str(result)
                made = await deliveries(system, account)
                assert len(made) >= result.questions
                statuses = {one["status"] for one in made if not may_time_out(account, one)}
                assert statuses == {200}, troubles(system)
        assert "delivery.ambiguous" not in system.logs()


def test_who_ends_containers_gives_them_the_time_that_they_may_take():
    """SIGKILL before the end of a planned stop would make it a crash."""
    services = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]

    for name in SERVICES:
        grace = float(services[name]["stop_grace_period"].removesuffix("s"))
        assert grace >= STOP_WITHIN + IngressSettings().linger
