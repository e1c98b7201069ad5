import sys
from datetime import UTC, datetime

import pytest
from mcp import Client, StdioServerParameters
from queqiao_toolserver.server import create

NOW = datetime(2026, 3, 1, 18, 30, 5, tzinfo=UTC)


def text(result):
    return "\n".join(block.text for block in result.content)


async def test_every_tool_says_what_it_is_for():
    """A model chooses by the description alone."""
    async with Client(create(lambda: NOW)) as client:
        listed = await client.list_tools()

    assert {tool.name for tool in listed.tools} == {
        "now",
        "shift_date",
        "days_between",
        "calculate",
        "convert_unit",
    }
    assert all(len(tool.description or "") > 10 for tool in listed.tools)


@pytest.mark.parametrize(
    ("name", "arguments", "answer"),
    [
        ("now", {}, "2026-03-02 02:30:05 星期一 (Asia/Shanghai, UTC+08:00)"),
        ("shift_date", {"days": 1}, "2026-03-03 星期二"),
        ("days_between", {"first": "today", "second": "2026-03-02"}, "0 days from"),
        ("calculate", {"expression": "1/4"}, "0.25"),
        ("convert_unit", {"value": 3, "source": "斤", "target": "kg"}, "1.5 kg"),
    ],
)
async def test_the_tools_answer(name, arguments, answer):
    async with Client(create(lambda: NOW)) as client:
        result = await client.call_tool(name, arguments)

    assert not result.is_error
    assert text(result).startswith(answer)


async def test_what_cannot_be_done_is_an_error_that_the_model_can_read():
    async with Client(create()) as client:
        result = await client.call_tool("calculate", {"expression": "1/0"})

    assert result.is_error
    assert "division by zero" in text(result)


async def test_it_works_over_stdio():
    command = StdioServerParameters(command=sys.executable, args=["-m", "queqiao_toolserver"])

    async with Client(command) as client:
        result = await client.call_tool("calculate", {"expression": "6*7"})

    assert text(result) == "42"
