"""From the tools of MCP servers to the functions that models know. Pure."""

import hashlib
import re
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct
from queqiao_common.settings import ToolServer

from queqiao_llm.completion import Tool
from queqiao_llm.tools.results import clean

LEGAL = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What an OpenAI function may be called."""
ILLEGAL = re.compile(r"[^A-Za-z0-9_-]")
BETWEEN = "__"
KEPT = 55
"""Characters of a name that must be changed: its checksum follows."""
MAX_DESCRIPTION = 1024
MAX_SCHEMA = 16 * 1024
"""Bytes: a tool with a larger schema would fill the prompt, and is left out."""


class Listed(Struct, frozen=True):
    """A tool as its server lists it."""

    name: str
    description: str
    schema: dict[str, Any]


def allowed(wanted: Iterable[str], server: ToolServer, tool: str) -> bool:
    """Tell whether a persona that wants these may call a tool.

    It must be named by the persona (`server` or `server.tool`), and not be left out of the server's
    own list where there is one.
    """
    if server.tools and tool not in server.tools:
        return False
    return any(one in (server.id, f"{server.id}.{tool}") for one in wanted)


def is_wanted(wanted: Iterable[str], server: ToolServer) -> bool:
    """Tell whether a persona that wants these may call any tool of a server."""
    return any(one.partition(".")[0] == server.id for one in wanted)


def function_of(server: str, listed: Listed) -> Tool | None:
    """Return a tool as a function; None where its schema is too large to be shown."""
    schema = {key: value for key, value in listed.schema.items() if key != "$schema"}
    if len(msgspec.json.encode(schema)) > MAX_SCHEMA:
        return None
    return Tool(
        name=function_name(server, listed.name),
        description=clean(listed.description)[:MAX_DESCRIPTION],
        parameters={"type": "object", "properties": {}} | schema,
    )


def function_name(server: str, tool: str) -> str:
    """Name a tool so that models and endpoints accept it, and no two tools have one name.

    `server__tool` where that is legal and can be read in one way only; else what is legal of it and
    a checksum. It does not depend on other tools: what a model was told stays true.
    """
    name = f"{server}{BETWEEN}{tool}"
    is_clear = BETWEEN not in server and not server.endswith("_") and not tool.startswith("_")
    if is_clear and LEGAL.fullmatch(name):
        return name
    checksum = hashlib.sha256(f"{server}\0{tool}".encode()).hexdigest()[:8]
    return f"{ILLEGAL.sub('_', name)[:KEPT]}_{checksum}"


def arguments_of(text: str) -> dict[str, Any] | None:
    """Read the arguments of a call; None where they are no JSON object. Nothing at all is `{}`."""
    if not text.strip():
        return {}
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
