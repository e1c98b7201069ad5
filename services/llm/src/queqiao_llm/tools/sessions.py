"""A session with one MCP server, kept open for as long as the service works."""

import asyncio
import base64
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import parse_qsl, quote, urlsplit

import msgspec
from queqiao_common.settings import ToolServer

from queqiao_llm import metrics
from queqiao_llm.completion import Tool
from queqiao_llm.tools.functions import Listed, function_of
from queqiao_llm.tools.results import Outcome, Picture, Result, clean, cut, redacted

if TYPE_CHECKING:
    from mcp import Client
    from mcp.client import Transport
    from mcp.types import CallToolResult, ContentBlock, ImageContent

log = logging.getLogger(__name__)

OPENING = 20.0
"""Seconds for a server to start and to say what it can do."""
CHECK = 60.0
"""Seconds between two looks at what it can do, and whether it is still there."""
CHECKING = 5.0
"""Seconds for such a look; longer than this, and the session is opened anew."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before a session is opened anew; doubled while that fails."""
SHORT = 6
"""Characters from which a configured value is taken for a secret: `true` is none."""
PAGES = 10
"""Pages of tools that are read of one server."""
MOST_PICTURES = 2
LARGEST_PICTURE = 2 * 1024 * 1024
"""Bytes. Source: protocol reference 7."""
PICTURE_TYPES: Mapping[bytes, str] = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n": "image/png"}
"""By how they begin: what a server says of them is not believed."""
SHOWN = "[图片：会随回答一起发给用户]"

Connect = Callable[[ToolServer], AbstractAsyncContextManager["Client"]]


class Session:
    """Opens, checks and opens again: nobody waits for it, and nothing that goes wrong gets out.

    `run()` holds the connection, as its parts must be closed by the task that opened them.
    """

    def __init__(self, server: ToolServer, connect: Connect | None = None) -> None:
        self.server = server
        self.tools: tuple[Listed, ...] = ()
        self.functions: dict[str, Tool] = {}
        self._connect = connect or open_client
        self._client: Client | None = None
        self._secrets: frozenset[str] = frozenset()
        self._settled = asyncio.Event()
        self._doubtful = asyncio.Event()
        self._up = metrics.TOOL_SERVERS.labels(server.id)
        self._up.set(0)

    async def settle(self, within: float) -> None:
        """Wait until the first attempt to open the session has ended, well or not."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._settled.wait()

    async def call(self, tool: str, arguments: Mapping[str, Any], limit: float) -> Result:
        """Call a tool, for at most `limit` seconds."""
        if self._client is None:
            return Result(Outcome.UNREACHABLE)
        from mcp import MCPError

        try:
            async with asyncio.timeout(limit):
                found = await self._client.call_tool(tool, dict(arguments))
        except TimeoutError:
            self._doubtful.set()
            return Result(Outcome.TIMEOUT)
        except MCPError as error:
            self._doubtful.set()
            return Result(Outcome.FAILED, self._fit(error.message))
        except Exception as error:  # of any library below: the turn goes on without this tool
            self._doubtful.set()
            log.warning("tools.call_failed", extra=self._named(error))
            return Result(Outcome.UNREACHABLE)
        if found.is_error:
            return Result(Outcome.FAILED, self._fit(text_of(found)))
        return Result(Outcome.OK, self._fit(text_of(found)), pictures=pictures_of(found))

    async def run(self) -> None:
        """Hold the session open until cancelled."""
        pause = FIRST_PAUSE
        while True:
            try:
                self._secrets = secrets_of(self.server)
                async with self._connect(self.server) as client:
                    await self._listen(client)
                    pause = FIRST_PAUSE
                    await self._watch(client)
            except Exception as error:  # of any library below: a tool server never stops llm
                log.warning("tools.server_lost", extra=self._named(error))
            finally:
                self._client = None
                self._up.set(0)
                self._settled.set()
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)

    async def _listen(self, client: "Client") -> None:
        async with asyncio.timeout(OPENING):
            self._learn(await list_tools(client))
        self._client = client
        self._up.set(1)
        self._settled.set()
        log.info("tools.server_up", extra={"server": self.server.id, "tools": len(self.tools)})

    async def _watch(self, client: "Client") -> None:
        """Return by an error alone: the server is gone, or no longer answers."""
        while True:
            self._doubtful.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(CHECK):
                    await self._doubtful.wait()
            async with asyncio.timeout(CHECKING):
                self._learn(await list_tools(client))

    def _learn(self, tools: tuple[Listed, ...]) -> None:
        """Note what the server can do now, by the names that it uses itself."""
        if tools == self.tools:
            return
        found = {listed.name: function_of(self.server.id, listed) for listed in tools}
        self.tools = tools
        self.functions = {name: one for name, one in found.items() if one is not None}
        for name in found.keys() - self.functions.keys():
            log.warning("tools.schema_too_large", extra={"server": self.server.id, "tool": name})

    def _fit(self, text: str) -> str:
        limit = self.server.max_result
        seen = clean(text[: 4 * limit]).strip()  # what follows could not be shown anyway
        return cut(redacted(seen, self._secrets), limit)

    def _named(self, error: BaseException) -> dict[str, str]:
        """Name an error by its types: its text may hold an address with a key."""
        return {"server": self.server.id, "error": ", ".join(sorted(set(kinds(error))))}


def kinds(error: BaseException) -> list[str]:
    """Return the types of an error, or of all errors of a group."""
    if isinstance(error, BaseExceptionGroup):
        return [kind for one in error.exceptions for kind in kinds(one)]
    return [type(error).__name__]


async def list_tools(client: "Client") -> tuple[Listed, ...]:
    """Ask a server for its tools."""
    tools: list[Listed] = []
    cursor: str | None = None
    for _ in range(PAGES):
        page = await client.list_tools(cursor=cursor, cache_mode="refresh")
        tools += [Listed(one.name, one.description or "", one.input_schema) for one in page.tools]
        cursor = page.next_cursor
        if cursor is None:
            break
    return tuple(tools)


def text_of(result: "CallToolResult") -> str:
    """Return what a tool answered, as text; of what is no text, only that it is there."""
    parts = [_text(block) for block in result.content]
    if not any(parts) and result.structured_content is not None:
        return msgspec.json.encode(result.structured_content).decode()
    return "\n".join(filter(None, parts))


def pictures_of(result: "CallToolResult") -> tuple[Picture, ...]:
    """Return the pictures of a result, as far as WeChat would show them."""
    found = (_picture(block) for block in result.content if block.type == "image")
    return tuple(one for one in found if one is not None)[:MOST_PICTURES]


def _picture(block: "ImageContent") -> Picture | None:
    try:
        data = base64.b64decode(block.data, validate=True)
    except ValueError:
        return None
    mime = next((mime for mark, mime in PICTURE_TYPES.items() if data.startswith(mark)), "")
    return Picture(data, mime) if mime and len(data) <= LARGEST_PICTURE else None


def _text(block: "ContentBlock") -> str:
    match block.type:
        case "text":
            return block.text
        case "resource":
            return getattr(block.resource, "text", "") or f"[{block.resource.uri}]"
        case "image":
            return SHOWN
        case "resource_link":
            return f"[{block.name}: {block.uri}]"
        case kind:
            return f"[{kind}]"


@asynccontextmanager
async def open_client(server: ToolServer) -> AsyncIterator["Client"]:
    """Start a server's process, or reach it by HTTP, and agree on the protocol."""
    # Imported late: it takes 20 MB that whoever has no tools need not spend.
    from mcp import Client

    # What it cannot read it would log as it stands, and that may be what users said.
    logging.getLogger("mcp").setLevel(logging.CRITICAL)
    opened = _over_stdio(server) if server.command else _over_http(server)
    async with opened as transport, AsyncExitStack() as held:
        client = Client(transport, cache=None)
        async with asyncio.timeout(OPENING):
            await held.enter_async_context(client)
        yield client


@asynccontextmanager
async def _over_stdio(server: ToolServer) -> AsyncIterator["Transport"]:
    from mcp import StdioServerParameters, stdio_client

    command, env = command_of(server)
    parameters = StdioServerParameters(command=command, args=list(server.args), env=env)
    # What it writes to stderr may hold what users said: no place for that in our log.
    with _nowhere() as nowhere:
        yield stdio_client(parameters, errlog=nowhere)


@asynccontextmanager
async def _over_http(server: ToolServer) -> AsyncIterator["Transport"]:
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    headers = {name: one.reveal() for name, one in server.headers.items()}
    timeout = httpx2.Timeout(OPENING, read=None)  # each call has a limit of its own
    async with httpx2.AsyncClient(headers=headers, timeout=timeout) as http:
        yield streamable_http_client(server.url.reveal(), http_client=http)


@contextmanager
def _nowhere() -> Iterator[TextIO]:
    with Path(os.devnull).open("w") as nowhere:
        yield nowhere


def secrets_of(server: ToolServer) -> frozenset[str]:
    """Return all that is secret about a server, as it may stand in what it answers."""
    url = server.url.reveal()
    values = [one.reveal() for one in (*server.env.values(), *server.headers.values())]
    values += [word for value in values for word in value.split()]
    values += [url, *(value for _, value in parse_qsl(urlsplit(url).query))]
    return frozenset(
        one for value in values for one in (value, quote(value, safe="")) if len(one) >= SHORT
    )


def command_of(server: ToolServer) -> tuple[str, dict[str, str]]:
    """Return what starts a server, and its environment, in which there is nothing of ours.

    `python` is the interpreter that runs this service, with all the packages it has.
    """
    env = {name: one.reveal() for name, one in server.env.items()}
    if server.command != "python":
        return server.command, env
    return sys.executable, {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))} | env
