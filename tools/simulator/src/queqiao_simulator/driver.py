"""The control API as methods: how a test makes users act, and reads what they see."""

import base64
from typing import Any

import httpx


class Driver:
    """Drives a running simulator. Every `account` is an id, every `user` a name or an id.

    Raises:
        httpx.HTTPStatusError: the simulator refused what was asked; the body says why.
    """

    def __init__(self, http: httpx.AsyncClient) -> None:
        """`http` has the simulator's address as its `base_url`."""
        self._http = http

    async def control(self, method: str, path: str, **options: Any) -> Any:
        """Call the control API; answers its JSON."""
        answer = await self._http.request(method, f"/control{path}", **options)
        answer.raise_for_status()
        return answer.json()

    async def say(self, account: str, user: str, text: str = "", **fields: Any) -> dict[str, Any]:
        """Write a text; answers `{msgid, openid}` at once. Unknown fields join the push."""
        body = {"account": account, "user": user, "text": text, **fields}
        answer: dict[str, Any] = await self.control("POST", "/messages", json=body)
        return answer

    async def picture(
        self, account: str, user: str, file: bytes | None = None, **fields: Any
    ) -> dict[str, Any]:
        """Send a picture: this file, or a small JPEG made for the occasion."""
        return await self.say(account, user, kind="image", **_file(file), **fields)

    async def voice(
        self, account: str, user: str, file: bytes | None = None, **fields: Any
    ) -> dict[str, Any]:
        """Send a voice message: this file, or AMR of `seconds` seconds."""
        return await self.say(account, user, kind="voice", **_file(file), **fields)

    async def happen(self, account: str, user: str, event: str, **fields: Any) -> dict[str, Any]:
        """Do something that is not a message: `subscribe`, `enter_session`, `enter_chat`, …."""
        body = {"account": account, "user": user, "event": event, **fields}
        answer: dict[str, Any] = await self.control("POST", "/events", json=body)
        return answer

    async def tap(self, account: str, user: str, button: str) -> dict[str, Any]:
        """Tap a button of the account's menu."""
        return await self._act("/taps", account, user, button=button)

    async def choose(self, account: str, user: str, item: str) -> dict[str, Any]:
        """Tap an item of a msgmenu."""
        return await self._act("/choices", account, user, item=item)

    async def scan(self, account: str, user: str, ticket: str) -> dict[str, Any]:
        """Scan a QR code of the account."""
        return await self._act("/scans", account, user, ticket=ticket)

    async def agent(self, account: str, user: str, act: str, **fields: Any) -> dict[str, Any]:
        """Be the person who takes over: `take`, `say` (text), `switch` (agent), `close`."""
        return await self._act("/agents", account, user, act=act, **fields)

    async def transcript(self, account: str, user: str = "") -> list[dict[str, Any]]:
        """What a user has seen, in order."""
        query = {"account": account} | ({"user": user} if user else {})
        answer: list[dict[str, Any]] = await self.control("GET", "/transcript", params=query)
        return answer

    async def replies(self, account: str, user: str) -> list[str]:
        """The texts that the account has shown to a user, in order."""
        entries = await self.transcript(account, user)
        return [entry["text"] for entry in entries if entry["who"] == "account"]

    async def pushes(self, account: str, user: str = "") -> list[dict[str, Any]]:
        """What was pushed because of a user, with every delivery."""
        query = {"account": account} | ({"user": user} if user else {})
        answer: list[dict[str, Any]] = await self.control("GET", "/pushes", params=query)
        return answer

    async def findings(self, account: str, label: str = "") -> list[dict[str, Any]]:
        """What is wrong in the chats of an account; no `label`: none is asked for."""
        query = {"account": account, "label": label}
        answer: list[dict[str, Any]] = await self.control("GET", "/findings", params=query)
        return answer

    async def settle(self, timeout: float = 30.0) -> int:
        """Wait until nothing is in flight; answers what still is after `timeout` seconds."""
        answer = await self.control("POST", "/settle", json={"timeout": timeout})
        return int(answer["in_flight"])

    async def advance(self, seconds: float) -> None:
        """Let the platform's time pass."""
        await self.control("POST", "/clock", json={"advance": seconds})

    async def misbehave(self, *rules: dict[str, Any]) -> None:
        """Have these faults in the place of all others; none: all is well again."""
        await self.control("PUT", "/faults", json=list(rules))

    async def _act(self, path: str, account: str, user: str, **fields: Any) -> dict[str, Any]:
        body = {"account": account, "user": user, **fields}
        answer: dict[str, Any] = await self.control("POST", path, json=body)
        return answer


def _file(file: bytes | None) -> dict[str, str]:
    return {} if file is None else {"file": base64.b64encode(file).decode()}
