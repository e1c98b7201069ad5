"""What users see, and what WeChat did to get there: records, bounded, with notices of change."""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Generic, Literal, TypeVar

from msgspec import Struct, field

NOTICES = 1000  # that a slow listener may be behind

Who = Literal["user", "account", "platform"]
Via = Literal["passive", "api", "stream", "webhook", "agent"]
"""`stream`: an AI bot's; `webhook`: its response_url; `agent`: a person who has taken over."""
Outcome = Literal[
    "reply", "success", "empty", "timeout", "refused", "reset", "server_error", "invalid"
]
Result = Literal["pending", "replied", "silent", "failed", "invalid", "suspended", "dropped"]

T = TypeVar("T")


class Observation(Struct, kw_only=True):
    """What a pipeline says it did with a message: free in form, shown beside it."""

    via: str = ""
    reasons: list[str] = field(default_factory=list)
    trace_id: str = ""
    plan: Any = None
    detail: dict[str, Any] = field(default_factory=dict)
    at: float = 0.0


class Entry(Struct, kw_only=True):
    """One line of a chat, as the user sees it. `at` is Unix seconds of the platform's clock.

    What the user did has the `key` of its push (`observer.key_of`), a message its `msgid` as well.
    `content` holds what is more than text: `media` (id, kind, path), `items` (of a msgmenu),
    `articles`, `agent`, or the state of an AI bot's stream.
    """

    id: int
    at: float
    who: Who
    text: str
    kind: str = "text"
    msgid: str | None = None
    key: str = ""
    via: Via | None = None
    ai: bool = False
    in_reply_to: str | None = None
    detail: list[Observation] = field(default_factory=list)
    content: dict[str, Any] = field(default_factory=dict)


class Delivery(Struct, kw_only=True):
    """One POST of a push. `ms` counts from sending the request to the answer's last byte."""

    number: int
    url: str
    at: float
    ms: float | None = None
    outcome: Outcome | None = None
    status: int | None = None
    reason: str = ""


class Push(Struct, kw_only=True):
    """One message or event on its way to the callback, with everything tried."""

    id: int
    at: float
    account: str
    openid: str
    user: str
    msgid: str | None
    key: str
    what: str
    result: Result = "pending"
    fault: str = ""
    ms: float | None = None
    deliveries: list[Delivery] = field(default_factory=list)


class Call(Struct, frozen=True, kw_only=True):
    """One API call, for the log. It never holds a token, a secret or a text."""

    at: float
    path: str
    account: str
    errcode: int
    ms: float
    openid: str = ""
    what: str = ""
    fault: str = ""


class Alarm(Struct, frozen=True, kw_only=True):
    """What the platform would tell the account's owner (接口报警). `at` as in an entry."""

    at: float
    account: str
    push: int
    kind: str
    reason: str


class Notice(Struct, frozen=True):
    """Something about a chat has changed; `lost` says that earlier notices were dropped."""

    what: Literal["entry", "push", "typing", "detail", "user", "reset"]
    account: str = ""
    openid: str = ""
    user: str = ""
    lost: bool = False


class Shelves(Generic[T]):
    """Appends to many shelves that together never hold more than `limit` items."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._order: deque[deque[T]] = deque()

    def append(self, shelf: deque[T], item: T) -> T | None:
        """Put an item on a shelf; answers the oldest of all when it had to go."""
        shelf.append(item)
        self._order.append(shelf)
        return self._order.popleft().popleft() if len(self._order) > self._limit else None


class Listeners:
    """Everyone who wants notices: the chat pages that are open."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[Notice | None]] = set()

    def __bool__(self) -> bool:
        return bool(self._queues)

    def tell(self, notice: Notice) -> None:
        """Tell all of them, without waiting for any."""
        for queue in self._queues:
            if queue.full():
                queue.get_nowait()
                notice = Notice(notice.what, notice.account, notice.openid, notice.user, lost=True)
            queue.put_nowait(notice)

    def close(self) -> None:
        """Tell everyone that nothing more will come."""
        for queue in self._queues:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(None)

    @contextmanager
    def listening(self) -> Iterator[asyncio.Queue[Notice | None]]:
        """A queue that receives notices until the block ends, or None: the last one."""
        queue: asyncio.Queue[Notice | None] = asyncio.Queue(NOTICES)
        self._queues.add(queue)
        try:
            yield queue
        finally:
            self._queues.discard(queue)
