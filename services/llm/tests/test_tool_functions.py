import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_common.settings import ToolServer
from queqiao_llm.tools.functions import (
    MAX_SCHEMA,
    Listed,
    allowed,
    arguments_of,
    function_name,
    function_of,
    is_wanted,
)

MAP = ToolServer(id="map", command="x")
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
servers = st.from_regex("[a-z0-9_-]{1,20}", fullmatch=True)


@pytest.mark.parametrize(
    ("wanted", "tool", "may"),
    [
        (("map",), "weather", True),
        (("map.weather",), "weather", True),
        (("map.weather",), "route", False),
        (("map.v1.weather",), "v1.weather", True),
        (("clock",), "weather", False),
        ((), "weather", False),
        (("mapper",), "weather", False),
    ],
)
def test_a_persona_may_call_what_it_names(wanted, tool, may):
    assert allowed(wanted, MAP, tool) is may


def test_a_tool_that_the_server_does_not_list_is_for_nobody():
    """The operator's list holds for every persona."""
    server = ToolServer(id="map", command="x", tools=("weather",))

    assert allowed(("map",), server, "weather")
    assert not allowed(("map", "map.route"), server, "route")


def test_only_servers_that_a_persona_names_are_asked():
    assert is_wanted(("map.weather",), MAP)
    assert not is_wanted(("mapper", "clock.map"), MAP)


def test_a_tool_becomes_a_function():
    listed = Listed("weather", "天气\x00\u202e", {"$schema": "x", **SCHEMA})

    function = function_of("map", listed)

    assert function is not None
    assert (function.name, function.description, function.parameters) == (
        "map__weather",
        "天气",
        SCHEMA,
    )


def test_a_tool_without_arguments_still_has_a_schema_that_endpoints_accept():
    function = function_of("map", Listed("now", "", {}))

    assert function is not None
    assert function.parameters == {"type": "object", "properties": {}}


def test_a_tool_whose_schema_would_fill_the_prompt_is_left_out():
    assert function_of("map", Listed("x", "", {"description": "x" * MAX_SCHEMA})) is None


@given(servers, st.text(min_size=1, max_size=100))
def test_every_name_is_legal(server, tool):
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", function_name(server, tool))


@given(servers, st.text("ab_.-", max_size=8), servers, st.text("ab_.-", max_size=8))
def test_no_two_tools_have_one_name(server, tool, other_server, other_tool):
    """A model that calls one must not get the other."""
    if (server, tool) != (other_server, other_tool):
        assert function_name(server, tool) != function_name(other_server, other_tool)


@pytest.mark.parametrize("server", ["a", "a_", "a__b"])
@pytest.mark.parametrize("tool", ["b", "_b", "b__b", "__b"])
def test_a_name_that_could_be_read_in_two_ways_is_made_clear(server, tool):
    names = {
        function_name(one, other) for one in ("a", "a_", "a__b") for other in (tool, "_" + tool)
    }

    assert len(names) == 6


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ('{"city": "北京"}', {"city": "北京"}),
        ("", {}),
        (" ", {}),
        ("{}", {}),
        ("[1]", None),
        ('"x"', None),
        ("null", None),
        ('{"city": "北', None),
        ("{'city': 1}", None),
        ("[" * 100_000, None),
    ],
)
def test_arguments_are_a_json_object_or_nothing(text, arguments):
    assert arguments_of(text) == arguments
