"""Asking as a person does whom WeChat has told that the account does not answer: once more."""

from queqiao_common.testing import eventually
from queqiao_testbed.system import System


async def insist(system: System, account: str, user: str, text: str) -> None:
    """Say something, and say it again whenever it could not be delivered, until it is answered.

    All three deliveries of a message may be over before a service has found its broker again:
    nobody has accepted it then, so nobody owes an answer to it.
    """
    await system.say(account, user, text)

    async def is_answered() -> bool:
        if any(text in one for one in await system.replies(account, user)):
            return True
        where = {"account": account, "user": user}
        pushes = await system.control("GET", "/pushes", params=where)
        if pushes[-1]["result"] == "failed":
            await system.say(account, user, text)
        return False

    await eventually(is_answered, within=60, every=0.2)
