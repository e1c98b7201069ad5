"""Sessions with real MCP servers: over stdio, and over streamable HTTP."""

import asyncio
import contextlib
import logging
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from mcp import Client
from queqiao_common.settings import Config, Persona, Secret, Tools, ToolServer
from queqiao_common.testing import eventually, request
from queqiao_llm.completion import question_of
from queqiao_llm.preparing import Prepared
from queqiao_llm.tools.results import CUT, Outcome
from queqiao_llm.tools.sessions import Session, open_client, secrets_of
from queqiao_llm.tools.toolbox import open_toolbox

from services.llm.tests.fakes.mcp_server import create

FAKE = str(Path(__file__).parent / "fakes" / "mcp_server.py")
PATIENCE = 60.0


def server(**settings):
    defaults: dict[str, Any] = {
        "id": "fake",
        "command": sys.executable,
        "args": (FAKE,),
        "timeout": 10.0,
    }
    return ToolServer(**(defaults | settings))


@contextlib.asynccontextmanager
async def in_process(_):
    async with Client(create(), cache=None) as client:
        yield client


@contextlib.asynccontextmanager
async def open_session(settings, connect=open_client):
    session = Session(settings, connect)
    running = asyncio.create_task(session.run())
    try:
        await session.settle(PATIENCE)
        yield session
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr("queqiao_llm.tools.sessions.FIRST_PAUSE", 0.01)


async def test_a_server_over_stdio_lists_its_tools_and_answers():
    async with open_session(server()) as session:
        result = await session.call("weather", {"city": "北京"}, PATIENCE)

        assert "weather" in [tool.name for tool in session.tools]
        assert (result.outcome, result.text) == (Outcome.OK, "北京：晴，25 度")


async def test_a_tool_that_never_returns_is_given_up_and_the_others_go_on():
    async with open_session(server()) as session:
        hanging = await session.call("hang", {}, 0.2)
        result = await session.call("weather", {"city": "北京"}, PATIENCE)

    assert hanging.outcome is Outcome.TIMEOUT
    assert result.outcome is Outcome.OK


async def test_a_result_is_cleaned_and_cut():
    async with open_session(server(max_result=300), in_process) as session:
        orders = await session.call("orders", {}, PATIENCE)
        long = await session.call("long", {}, PATIENCE)

    assert "\u200b" not in orders.text
    assert "\x1b" not in orders.text
    assert len(long.text.encode()) <= 300
    assert long.text.endswith(CUT)


async def test_a_tool_that_fails_says_why():
    async with open_session(server(), in_process) as session:
        refused = await session.call("boom", {}, PATIENCE)
        wrong = await session.call("weather", {}, PATIENCE)
        unknown = await session.call("nothing", {}, PATIENCE)

    assert {one.outcome for one in (refused, wrong, unknown)} == {Outcome.FAILED}
    assert refused.text.endswith("no such city")
    assert "city" in wrong.text
    assert "nothing" in unknown.text


async def test_a_server_that_dies_is_started_again():
    async with open_session(server()) as session:
        dying = await session.call("die", {}, PATIENCE)

        async def again():
            return (await session.call("weather", {"city": "北京"}, 5.0)).outcome is Outcome.OK

        await eventually(again, within=PATIENCE)

    assert dying.outcome is not Outcome.OK


async def test_a_server_is_given_nothing_of_ours(monkeypatch):
    """Our environment holds the keys of models and accounts."""
    monkeypatch.setenv("QUEQIAO_TEST_KEY", "secret")

    async with open_session(server(env={"PLACE": Secret("here")})) as session:
        result = await session.call("secrets", {}, PATIENCE)

    assert "PLACE" in result.text
    assert "QUEQIAO_TEST_KEY" not in result.text


async def test_a_tool_with_too_large_a_schema_is_left_out_and_named(caplog, monkeypatch):
    monkeypatch.setattr("queqiao_llm.tools.functions.MAX_SCHEMA", 100)

    with caplog.at_level(logging.WARNING):
        async with open_session(server(), in_process) as session:
            assert {"weather", "boom"} <= {tool.name for tool in session.tools}
            assert "weather" not in session.functions
            assert "boom" in session.functions

    left_out = [one for one in caplog.records if one.message == "tools.schema_too_large"]
    assert [one.__dict__["tool"] for one in left_out] == ["weather"]


async def test_a_key_that_a_server_lets_out_reaches_no_model(monkeypatch):
    """Servers of maps put the whole address that failed into the error; the user would read it."""
    monkeypatch.setenv("MAP_KEY", "very-secret")
    settings = server(env={"MAP_KEY": Secret("very-secret")})

    async with open_session(settings, in_process) as session:
        result = await session.call("leak", {}, PATIENCE)

    assert result.text.endswith("GET https://maps/weather?key=*** failed")


def test_what_is_secret_about_a_server_is_known():
    settings = server(
        command="",
        url=Secret("https://maps/mcp?key=k%2F12345&v=1"),
        headers={"Authorization": Secret("Bearer t-123456")},
        env={"DEBUG": Secret("true")},
    )

    assert secrets_of(settings) >= {"k/12345", "t-123456", "Bearer t-123456"}
    assert "true" not in secrets_of(settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"command": "/nowhere/at-all"},
        {"args": ("-c", "pass")},
        {"args": ("-c", "print('this is no protocol')")},
        {"command": "", "url": Secret("http://127.0.0.1:9/mcp?key=very-secret")},
    ],
)
async def test_a_server_that_cannot_be_opened_stops_nothing(settings, caplog):
    with caplog.at_level(logging.WARNING):
        async with open_session(server(**settings)) as session:
            result = await session.call("weather", {}, PATIENCE)

    assert (result.outcome, session.tools) == (Outcome.UNREACHABLE, ())
    assert "tools.server_lost" in [record.message for record in caplog.records]
    ours = [record for record in caplog.records if record.name.startswith("queqiao")]
    assert not any("very-secret" in str(record.__dict__) for record in ours)


@contextlib.asynccontextmanager
async def serving_http():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        app = create().streamable_http_app()
        config = uvicorn.Config(app, log_config=None, lifespan="on", timeout_graceful_shutdown=1)
        serving = uvicorn.Server(config)
        task = asyncio.create_task(serving.serve(sockets=[listening]))
        await eventually(lambda: serving.started)
        try:
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            serving.should_exit = True
            await task


async def test_a_server_over_http_lists_its_tools_and_answers():
    async with serving_http() as url:
        settings = server(command="", args=(), url=Secret(url), headers={"X-Key": Secret("k")})
        async with open_session(settings) as session:
            result = await session.call("weather", {"city": "上海"}, PATIENCE)
            failing = await session.call("boom", {}, PATIENCE)

    assert (result.outcome, result.text) == (Outcome.OK, "上海：晴，25 度")
    assert failing.outcome is Outcome.FAILED


CONFIG = Config(
    tools=Tools(
        servers=(
            ToolServer(id="basics", command="python", args=("-m", "queqiao_toolserver")),
            server(),
            server(id="lost", command="/nowhere/at-all"),
        )
    ),
    personas={
        "tutor": Persona(tools=("basics.calculate",)),
        "guide": Persona(tools=("fake.weather", "basics", "lost")),
    },
)


async def offered(toolbox, **fields):
    turn = request(**fields)
    prepared = await toolbox.prepare(turn, Prepared(question_of(turn.prompt)))
    return [tool.name for tool in prepared.question.tools]


async def is_offered(toolbox, persona, many):
    return len(await offered(toolbox, persona=persona)) >= many


async def test_each_persona_is_offered_its_own_tools():
    async with open_toolbox(CONFIG) as toolbox:
        await eventually(lambda: is_offered(toolbox, "guide", 6), within=PATIENCE)
        tutor = await offered(toolbox, persona="tutor")
        guide = await offered(toolbox, persona="guide")
        nobody = await offered(toolbox, persona="assistant")
        summary = await offered(toolbox, persona="tutor", purpose="summary")
        result = await toolbox.call("basics__calculate", {"expression": "0.1+0.2"}, PATIENCE)
        unknown = await toolbox.call("fake__hang", {}, PATIENCE)

    assert tutor == ["basics__calculate"]
    assert sorted(guide) == [
        "basics__calculate",
        "basics__convert_unit",
        "basics__days_between",
        "basics__now",
        "basics__shift_date",
        "fake__weather",
    ]
    assert (nobody, summary) == ([], [])
    assert (result.outcome, result.text) == (Outcome.OK, "0.3")
    assert unknown.outcome is Outcome.UNKNOWN
