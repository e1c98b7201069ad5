"""Our sessions with tool servers that others wrote; a variable says where each is (README)."""

from pathlib import Path

import pytest
from queqiao_common.settings import Secret, ToolServer, environment
from queqiao_llm.tools.results import Outcome

from services.llm.tests.test_peers import needs
from services.llm.tests.test_tool_sessions import PATIENCE, open_session

pytestmark = pytest.mark.slow
needs_python = needs("QUEQIAO_MCP_PYTHON", "python that has mcp-server-time")
needs_maps = needs("QUEQIAO_MCP_MAPS", "folder in which npm installed the servers of map services")
KEY = "no-such-key"


@needs_python
async def test_the_reference_server_of_the_protocol_tells_the_time():
    python = environment("QUEQIAO_MCP_PYTHON")
    server = ToolServer(id="time", command=python, args=("-m", "mcp_server_time"))

    async with open_session(server) as session:
        result = await session.call("get_current_time", {"timezone": "Asia/Shanghai"}, PATIENCE)

    assert result.outcome is Outcome.OK
    assert '"timezone": "Asia/Shanghai"' in result.text


@needs_maps
@pytest.mark.parametrize(
    ("command", "variable", "tool", "arguments", "others"),
    [
        (
            "mcp-amap",
            "AMAP_MAPS_API_KEY",
            "maps_weather",
            {"city": "北京"},
            {"maps_around_search", "maps_direction_transit_integrated", "maps_geo"},
        ),
        (
            "mcp-server-baidu-map",
            "BAIDU_MAP_API_KEY",
            "map_weather",
            {"location": "北京"},
            {"map_search_places", "map_directions", "map_road_traffic"},
        ),
    ],
)
async def test_the_servers_of_map_services_work_as_the_scenarios_say(
    command, variable, tool, arguments, others
):
    """Without an account every call fails: with words, and without the key in them."""
    path = Path(environment("QUEQIAO_MCP_MAPS")) / "node_modules" / ".bin" / command
    server = ToolServer(id="maps", command=str(path), env={variable: Secret(KEY)})

    async with open_session(server) as session:
        result = await session.call(tool, arguments, PATIENCE)

    assert {listed.name for listed in session.tools} >= others | {tool}
    assert result.text
    assert KEY not in result.text
