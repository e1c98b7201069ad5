"""Tools that models may call, by the Model Context Protocol."""

from typing import Annotated

from msgspec import Meta, field

from queqiao_common.settings.base import Name, Secret, Section


class ToolServer(Section, frozen=True, kw_only=True):
    """One `[[tools.servers]]` entry: an MCP server, started as a process or reached by HTTP."""

    id: Annotated[Name, Meta(description="the name that personas use")]
    command: Annotated[
        str,
        Meta(description="what starts it, speaking over stdio; `python`: the service's own Python"),
    ] = ""
    args: Annotated[tuple[str, ...], Meta(description="of the command")] = ()
    env: Annotated[
        dict[str, Secret],
        Meta(description="variables of its process; besides PATH and HOME it has no others"),
    ] = field(default_factory=dict)
    url: Annotated[Secret, Meta(description="address of streamable HTTP; instead of a command")] = (
        field(default_factory=Secret)
    )
    headers: Annotated[dict[str, Secret], Meta(description="sent with every HTTP request")] = field(
        default_factory=dict
    )
    timeout: Annotated[float, Meta(gt=0, description="seconds for one call")] = 10.0
    max_result: Annotated[
        int, Meta(ge=200, description="bytes of a result; what is longer is cut, and says so")
    ] = 8000
    tools: Annotated[
        tuple[str, ...], Meta(description="names that may be used at all; none: all it has")
    ] = ()


class Tools(Section, frozen=True, kw_only=True):
    """`[tools]`: what models may do."""

    servers: tuple[ToolServer, ...] = ()
    max_rounds: Annotated[
        int, Meta(ge=1, le=20, description="answers of a model that may call tools, in one turn")
    ] = 4
    max_calls: Annotated[
        int, Meta(ge=1, le=32, description="calls in one such answer; more are refused")
    ] = 4
