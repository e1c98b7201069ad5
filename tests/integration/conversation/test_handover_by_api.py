"""Where any answer may end with a person, each callback is held until that is known."""

import json

import pytest
from queqiao_common.testing import eventually
from queqiao_testbed.configuration import Options
from queqiao_testbed.system import running

from tests.integration.conversation.watching import replies

pytestmark = pytest.mark.broker

OPTIONS = Options(
    settings={"moderation": {"messages_per_minute": 0}, "handover": {"failures": 1}},
)
PASSED_ON = "transfer_customer_service"


def answered(system, account):
    """How ingress has answered the account's callbacks, in their order."""
    text = system.replica("ingress").log.read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    found = [one for one in lines if one["event"] == "callback.answered"]
    return [one["answer"] for one in found if one.get("account") == account]


async def test_a_failure_of_the_model_hands_over_in_the_callback_that_it_answers(
    own_broker, tmp_path
):
    """An account whose replies go by API; and what was held in vain is let go, not timed out."""
    async with running(tmp_path, broker_url=own_broker.url, options=OPTIONS) as system:

        async def kinds():
            entries = await system.transcript("active", "a1")
            return [one["kind"] for one in entries if one["who"] == "account"]

        async def is_passed_on(count):
            return (await kinds()).count(PASSED_ON) == count

        await system.say("active", "a1", "你好")
        await replies(system, "active", "a1")
        await eventually(lambda: answered(system, "active"), within=60)
        await system.say("active", "a1", "问[status=400]")
        await eventually(lambda: is_passed_on(1), within=60)
        await system.say("active", "a1", "有人吗")
        await eventually(lambda: is_passed_on(2), within=60)

        said = await system.replies("active", "a1")
        assert any("正在为您转接人工客服" in text for text in said)
        assert not any("有人吗" in text for text in said)
        # WeChat comes again where the machine kept the broker waiting.
        assert [one for one in answered(system, "active") if one != "unavailable"] == ["reply"] * 3
