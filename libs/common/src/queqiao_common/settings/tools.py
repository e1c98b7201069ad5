"""Tools that models may call, by the Model Context Protocol."""

from typing import Annotated

from msgspec import Meta

from queqiao_common.settings.base import Name, Section


class ToolServer(Section, frozen=True, kw_only=True):
    """One `[[tools.servers]]` entry: an MCP server, started as a process or reached by HTTP."""

    id: Annotated[Name, Meta(description="the name that personas use")]


class Tools(Section, frozen=True, kw_only=True):
    """`[tools]`: what models may do."""

    servers: tuple[ToolServer, ...] = ()
