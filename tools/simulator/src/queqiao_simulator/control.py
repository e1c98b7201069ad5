"""The control API: tests and the chat page act as users and read what they see."""

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from operator import attrgetter
from typing import Annotated, Any, TypeAlias

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from msgspec import Meta, Struct, field
from msgspec.json import decode

from queqiao_simulator import acting, faults, stagecraft, views
from queqiao_simulator.accounts import Conversation, UnknownError
from queqiao_simulator.transcript import Call, Observation, Push
from queqiao_simulator.world import World
from queqiao_simulator.writings import VOICE_SECONDS, Writing

Query: TypeAlias = Mapping[str, str]
Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]

BY_ID = attrgetter("id")
HEARTBEAT_SECONDS = 15.0
RESERVED = frozenset(
    {
        "account", "user", "text", "msgid", "kind", "event", "event_key", "file", "seconds",
        "chatid",
    }
)  # fmt: skip


class Act(Struct):
    """Who does it, with whom. Unlisted keys become elements of the push."""

    account: str
    user: Annotated[str, Meta(min_length=1, description="openid, or a name")]


class Say(Act):
    """`POST /control/messages`."""

    text: str = ""
    kind: str = "text"
    msgid: Annotated[int, Meta(ge=1)] | Annotated[str, Meta(pattern="^[0-9]{1,19}$")] | None = None
    file: Annotated[bytes | None, Meta(description="base64: a picture, a sound")] = None
    seconds: Annotated[float, Meta(gt=0, le=60, description="of a sound")] = VOICE_SECONDS
    chatid: Annotated[str, Meta(description="an AI bot's group chat")] = ""


class Happen(Act):
    """`POST /control/events`."""

    event: str
    event_key: str | None = None
    chatid: Annotated[str, Meta(description="an AI bot's group chat")] = ""


class UserPatch(Act):
    """`PUT /control/users`; what is left out stays."""

    subscribed: bool | None = None
    blacklisted: bool | None = None
    refusing: bool | None = None
    minor: bool | None = None


class Observed(Observation):
    """`POST /control/observations`: names messages, or a user whose last message is meant."""

    msgid: str | int | None = None
    msgids: list[str] = field(default_factory=list)
    account: str = ""
    user: str = ""


class Advance(Struct):
    """`POST /control/clock`."""

    advance: Annotated[float, Meta(ge=0, description="seconds")]


class Patience(Struct):
    """`POST /control/settle`."""

    timeout: Annotated[float, Meta(gt=0, le=600, description="seconds")] = 60.0


class Callbacks(Struct):
    """`PUT /control/callbacks`."""

    account: str
    urls: tuple[str, ...]


class Named(Struct):
    """A body that names an account."""

    account: str


def say(world: World, given: dict[str, Any]) -> dict[str, Any]:
    """A user writes a message; answers its id at once."""
    act = msgspec.convert(given, Say)
    account = world.account(act.account)
    chat = account.conversation(act.user)
    writing = Writing(
        kind=act.kind,
        text=act.text,
        fields=_elements(given),
        msgid=None if act.msgid is None else str(act.msgid),
        file=act.file,
        seconds=act.seconds,
        chatid=act.chatid,
    )
    push = acting.write(world, account, chat, writing)
    return {"msgid": push.msgid, "openid": chat.openid}


def happen(world: World, given: dict[str, Any]) -> dict[str, Any]:
    """A user does something that is not a message."""
    act = msgspec.convert(given, Happen)
    account = world.account(act.account)
    chat = account.conversation(act.user)
    fields = _elements(given)
    push = acting.happen(world, account, chat, act.event, act.event_key, fields, act.chatid)
    return {"push": push.id, "openid": chat.openid}


def observe(world: World, seen: Observed) -> dict[str, int]:
    """A pipeline reports what it did."""
    msgids = list(seen.msgids)
    if seen.msgid is not None:
        msgids.append(str(seen.msgid))
    if not msgids and seen.account and seen.user:
        chat = world.account(seen.account).find(seen.user)
        entries = reversed(chat.entries) if chat else ()
        msgids = [entry.msgid for entry in entries if entry.msgid][:1]
    plain = Observation(
        via=seen.via,
        reasons=seen.reasons,
        trace_id=seen.trace_id,
        plan=seen.plan,
        detail=seen.detail,
    )
    return {"noted": world.observe(plain, msgids)}


def patch_user(world: World, patch: UserPatch) -> dict[str, Any]:
    """Set a user's flags; a user who is not known is added."""
    account = world.account(patch.account)
    chat = account.conversation(patch.user)
    for flag in ("subscribed", "blacklisted", "refusing", "minor"):
        value = getattr(patch, flag)
        if value is not None:
            setattr(chat, flag, value)
    world.changed("user", account, chat)
    return views.user_view(world, account, chat)


async def verify(world: World, given: Named) -> list[dict[str, Any]]:
    """Run the GET verification against every replica, rightly and wrongly signed."""
    account = world.account(given.account)
    results = []
    for url in account.callbacks:
        right = await world.pusher.verify(account, url, right=True)
        wrong = await world.pusher.verify(account, url, right=False)
        results.append(
            {
                "url": url,
                "ok": right[0] and wrong[0],
                "right": {"ok": right[0], "said": right[1]},
                "wrong": {"ok": wrong[0], "said": wrong[1]},
            }
        )
    return results


def advance(world: World, given: Advance) -> dict[str, float]:
    """Let the platform's time pass."""
    now = world.clock.advance(given.advance)
    world.timers.wake()
    return {"now": now}


async def settle(world: World, given: Patience) -> dict[str, int]:
    """Wait until nothing is in flight, or `timeout` seconds; answers what still is.

    What is due later by the platform's clock (a finish event) is not waited for.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(given.timeout):
            await world.pusher.until_settled()
    return {"in_flight": world.pusher.in_flight}


def chats(world: World, query: Query) -> Iterable[Conversation]:
    """The chats that a query names: one user's, or all of an account's."""
    account = world.account(query.get("account", ""))
    if not query.get("user"):
        return account.conversations.values()
    chat = account.find(query["user"])
    return () if chat is None else (chat,)


def users(world: World, query: Query) -> list[dict[str, Any]]:
    """Everyone who chats with an account."""
    account = world.account(query.get("account", ""))
    return [views.user_view(world, account, chat) for chat in chats(world, query)]


def transcript(world: World, query: Query) -> list[dict[str, Any]]:
    """What one user (or all of an account's) saw, in order, with the user's name."""
    seen = [(entry, chat.name) for chat in chats(world, query) for entry in chat.entries]
    seen.sort(key=lambda one: one[0].id)
    return [{"user": name, **msgspec.structs.asdict(entry)} for entry, name in seen]


def pushes(world: World, query: Query) -> list[Push]:
    """What the platform pushed, with every delivery."""
    return sorted((push for chat in chats(world, query) for push in chat.pushes), key=BY_ID)


def conversation(world: World, query: Query) -> dict[str, Any]:
    """Everything about one chat, in one answer: what the page shows.

    Raises:
        UnknownError: there is no such chat.
    """
    account, user = world.account(query.get("account", "")), query.get("user", "")
    chat = account.find(user)
    if chat is None:
        raise UnknownError(f"user {user!r} has no chat with account {account.settings.id!r}")
    state = views.user_view(world, account, chat)
    return {"user": state, "entries": [*chat.entries], "pushes": [*chat.pushes]}


def set_callbacks(world: World, given: Callbacks) -> dict[str, Any]:
    """Send the account's pushes elsewhere from now on."""
    account = world.account(given.account)
    account.callbacks = given.urls
    return views.account_view(account)


def set_faults(world: World, body: bytes) -> list[faults.Fault]:
    """Replace the faults in force, by rules in JSON or a file of rules in TOML."""
    world.faults.replace(faults.decode(body))
    return world.faults.listed()


def calls(world: World, query: Query) -> list[Call]:
    """The API call log, of one account or path if the query says so."""
    account, path = query.get("account", ""), query.get("path", "")
    return [c for c in world.calls if account in ("", c.account) and path in ("", c.path)]


async def notices(world: World) -> AsyncIterator[bytes]:
    """Server-sent events: which chat has changed."""
    with world.listeners.listening() as queue:
        yield b": ready\n\n"
        while True:
            try:
                notice = await asyncio.wait_for(queue.get(), HEARTBEAT_SECONDS)
            except TimeoutError:
                yield b": still here\n\n"
            else:
                if notice is None:
                    return
                yield b"data: " + msgspec.json.encode(notice) + b"\n\n"


Acting: TypeAlias = Callable[[World, bytes], object]
Reading: TypeAlias = Callable[[World, Query], object]

ACTIONS: list[tuple[str, str, Acting]] = [
    ("POST", "/messages", lambda world, body: _each(body, lambda given: say(world, given))),
    ("POST", "/events", lambda world, body: _each(body, lambda given: happen(world, given))),
    ("POST", "/observations", lambda world, body: observe(world, decode(body, type=Observed))),
    ("POST", "/verify", lambda world, body: verify(world, decode(body, type=Named))),
    ("POST", "/clock", lambda world, body: advance(world, decode(body, type=Advance))),
    ("POST", "/settle", lambda world, body: settle(world, decode(body, type=Patience))),
    ("POST", "/reset", lambda world, _: world.reset()),
    ("PUT", "/users", lambda world, body: patch_user(world, decode(body, type=UserPatch))),
    ("PUT", "/callbacks", lambda world, body: set_callbacks(world, decode(body, type=Callbacks))),
    ("PUT", "/faults", set_faults),
    *stagecraft.ACTIONS,
]

READINGS: dict[str, Reading] = {
    "/about": lambda world, _: views.about(world),
    "/stats": lambda world, _: views.stats(world),
    "/faults": lambda world, _: world.faults.listed(),
    "/calls": calls,
    "/users": users,
    "/conversation": conversation,
    "/transcript": transcript,
    "/pushes": pushes,
    **stagecraft.READINGS,
}


def routes(world: World) -> APIRouter:
    """Everything under `/control`."""
    router = APIRouter(prefix="/control")
    for method, path, act in ACTIONS:
        router.add_api_route(path, _acting(world, act), methods=[method])
    for path, read in READINGS.items():
        router.add_api_route(path, _reading(world, read), methods=["GET"])

    async def stream() -> Response:
        headers = {"Cache-Control": "no-store"}
        return StreamingResponse(notices(world), media_type="text/event-stream", headers=headers)

    router.add_api_route("/stream", stream, methods=["GET"])
    return router


def _acting(world: World, act: Acting) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        if not world.settings.public_url:
            world.base_url = str(request.base_url).rstrip("/")
        result = act(world, await request.body())
        return _json(await result if inspect.isawaitable(result) else result)

    return endpoint


def _reading(world: World, read: Reading) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return _json(read(world, request.query_params))

    return endpoint


def _each(body: bytes, act: Callable[[dict[str, Any]], dict[str, Any]]) -> object:
    """One object, or a list of them: a load test saves most of its requests."""
    given = decode(body, type=dict[str, Any] | list[dict[str, Any]])
    return [act(one) for one in given] if isinstance(given, list) else act(given)


def _elements(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name not in RESERVED}


def _json(content: object) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")
