"""Every crash window: killed there, a service costs nobody an answer, and shows none twice.

Only a message that was on its way to WeChat's API when egress died is in doubt: nobody knows
whether it was shown. That one is repeated or not, as configured, and counted. (A broker that is
killed: `failure/test_kills.py`; one that loses its power: `broker/test_power_cut.py`.)
"""

import pytest
from queqiao_testbed.faults import SEND
from queqiao_testbed.ledger import mark

CERTAIN = [
    ("ingress.before_publish", "active", ""),
    ("ingress.after_publish", "active", ""),
    ("ingress.after_claim", "auto", ""),
    ("moderation-inbound.before_publish", "active", ""),
    ("moderation-inbound.before_ack", "active", ""),
    ("moderation-drafts.before_ack", "active", ""),
    ("context-screened.before_publish", "active", ""),
    ("context-screened.before_ack", "active", ""),
    ("context-segments.before_publish", "active", ""),
    ("context-segments.before_ack", "active", ""),
    ("llm.during_call", "active", "[delay=2]"),
    ("llm-requests.before_publish", "active", ""),
    ("llm-requests.before_ack", "active", ""),
    ("egress.before_claim", "active", ""),
    ("egress.after_marker", "active", ""),
    ("egress-ready.before_ack", "active", ""),
]
"""Where a process dies, for whose message, and what that asks of the model."""

AMBIGUOUS = [("egress.before_send", 0), ("egress.during_call", 1), ("egress.after_send", 1)]
"""Where egress dies, and how often WeChat has then already shown the message."""

SLOW_ANSWER = {"kind": "delay_after", "path": SEND, "seconds": 4.0, "count": 1}
"""WeChat shows the message at once and says so late: so egress dies in the middle of its call."""


@pytest.mark.parametrize(("point", "account", "wish"), CERTAIN, ids=[one for one, *_ in CERTAIN])
async def test_a_crash_is_answered_exactly_once(stage, point, account, wish):
    user = point.replace(".", "").replace("-", "").replace("_", "")
    before, after = mark(user, 1), mark(user, 2)

    await stage.crash(point, account, user, f"{before} 在吗{wish}")

    assert await stage.shown(account, user) == {before: 1}
    assert not await stage.doubts("resend")
    await stage.say(account, user, f"{after} 在吗")
    assert await stage.shown(account, user) == {before: 1, after: 1}


@pytest.mark.parametrize("policy", ["resend", "drop"])
@pytest.mark.parametrize(("point", "seen"), AMBIGUOUS, ids=[one for one, _ in AMBIGUOUS])
async def test_a_message_in_doubt_is_repeated_or_not_as_configured_and_counted(
    stage, point, seen, policy
):
    user = f"{point.partition('.')[2].replace('_', '')}{policy}"
    before, after = mark(user, 1), mark(user, 2)
    if point == "egress.during_call":
        await stage.system.control("PUT", "/faults", json=[SLOW_ANSWER])

    await stage.crash(point, "active", user, f"{before} 在吗", delivery={"ambiguous": policy})

    assert (await stage.shown("active", user))[before] == seen + (policy == "resend")
    assert await stage.doubts(policy) == 1
    await stage.say("active", user, f"{after} 在吗")
    assert (await stage.shown("active", user))[after] == 1
