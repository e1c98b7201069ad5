import tomllib

import pytest
from queqiao_common.errors import SettingsError
from queqiao_common.settings import SERVICE_SECRETS, Secret, parse

TOOLS = """
[[tools.servers]]
id = "map"
url = "https://maps.example.com/mcp?key=${MAP_KEY}"
headers = { Authorization = "Bearer ${MAP_TOKEN}" }

[[tools.servers]]
id = "basics"
command = "python"
args = ["-m", "queqiao_toolserver"]
env = { PLACE = "${PLACE}" }

[personas.guide]
tools = ["map.maps_weather", "basics"]
"""

REALTIME = """
[[models]]
id = "m"
protocol = "realtime"
base_url = "wss://h/v1"
model = "m"
"""


def problems(text, environ=None, needs=()):
    with pytest.raises(SettingsError) as error:
        parse(tomllib.loads(text), environ or {}, needs=needs)
    return error.value.problems


def test_what_a_tool_server_is_told_is_secret():
    """The address of a map service holds its key."""
    environ = {"MAP_KEY": "k1", "MAP_TOKEN": "t1", "PLACE": "p1"}
    server = parse(tomllib.loads(TOOLS), environ).tools.servers[0]

    assert server.url.reveal().endswith("key=k1")
    assert {name: one.reveal() for name, one in server.headers.items()} == {
        "Authorization": "Bearer t1"
    }
    assert "k1" not in repr(server)
    assert isinstance(server.headers["Authorization"], Secret)


def test_llm_is_told_at_start_which_secrets_of_its_tools_are_missing():
    assert parse(tomllib.loads(TOOLS), {}).tools.max_rounds == 4
    assert problems(TOOLS, needs=SERVICE_SECRETS["llm"]) == (
        "tools.servers[basics].env.PLACE: environment variable PLACE is not set",
        "tools.servers[map].headers.Authorization: environment variable MAP_TOKEN is not set",
        "tools.servers[map].url: environment variable MAP_KEY is not set",
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            '[[tools.servers]]\nid = "x"\n',
            "tools.servers[x]: needs either `command` or `url`",
        ),
        (
            '[[tools.servers]]\nid = "x"\ncommand = "c"\nurl = "https://h"\n',
            "tools.servers[x]: needs either `command` or `url`",
        ),
        (
            '[personas.p]\ntools = ["clock.now"]\n',
            "personas.p.tools: no tool server has the id 'clock'",
        ),
        ('[media]\ntranscribe = "ears"\n', "media.transcribe: no model has the id 'ears'"),
        (
            REALTIME + '[media]\nspeak = "m"\n',
            "media.speak: model 'm' must speak the protocol 'openai'",
        ),
    ],
)
def test_what_cannot_work_is_named_by_its_key(text, problem):
    assert problems(text) == (problem,)
