"""What tests of a conversation look at: what the user was shown, and what the model was given."""

from typing import Any

import msgspec
from queqiao_common.testing import eventually
from queqiao_testbed.system import System


async def replies(system: System, account: str, user: str, count: int = 1) -> list[str]:
    """Wait until a user was shown so many replies, and return them."""

    async def there() -> list[str] | None:
        found = await system.replies(account, user)
        return found if len(found) >= count else None

    return list(await eventually(there, within=60.0))


async def prompts(system: System, text: str) -> list[list[Any]]:
    """Return what the model was given whenever this was the question."""
    calls = await system.model("GET", "/control/calls")
    messages = [[one["content"] for one in call["messages"]] for call in calls["requests"]]
    return [one for one in messages if one[-1] == text]


async def asked(system: System, text: str) -> list[int]:
    """Return how many pictures the model was shown whenever it was asked this."""
    calls = await system.model("GET", "/control/calls")
    bodies = [msgspec.json.encode(call["messages"]).decode() for call in calls["requests"]]
    return [body.count('"image_url":{') for body in bodies if text in body]
