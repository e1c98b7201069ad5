"""Secrets, openids and message texts never appear in logs."""

from queqiao_common.testing import eventually
from queqiao_testbed.configuration import AES_KEY, MODEL_KEY, SECRET, TOKEN

CANARY = "金丝雀暗号七三九一"


async def test_the_logs_of_a_whole_run_hold_no_secret_and_no_text(system):
    """An operator may send them to anybody."""
    for account in ("auto", "active", "sub"):
        await system.say(account, "canary", f"{CANARY}{account}")

        async def answered(account=account):
            return any(CANARY in text for text in await system.replies(account, "canary"))

        await eventually(answered, within=60.0)
    await system.say("auto", "canary", f"{CANARY}[status=500]")
    entries = await system.control("GET", "/users", params={"account": "auto"})
    openids = [user["openid"] for user in entries]
    tokens = await system.control("GET", "/stats")

    logs = system.logs()

    assert "event.handled" in logs
    for secret in (CANARY, AES_KEY, MODEL_KEY, SECRET, TOKEN, "access_token=", *openids):
        assert secret not in logs
    assert tokens
