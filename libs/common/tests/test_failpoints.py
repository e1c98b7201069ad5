"""A process dies where it was told to, once, and nowhere else."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from queqiao_common.errors import SettingsError
from queqiao_common.failpoints import EXIT_CODE, POINTS, arm
from queqiao_common.topology import CONSUMERS

ROOT = Path(__file__).parents[3]
REACHES = """
from queqiao_common.failpoints import arm, failpoint
arm({text!r})
for number in range(3):
    failpoint("egress.after_send")
    print(number)
"""


def reached(text):
    script = REACHES.format(text=text)
    return subprocess.run([sys.executable, "-uc", script], capture_output=True, check=False)


@pytest.mark.parametrize(
    ("text", "passed", "code"),
    [
        ("egress.after_send", 0, EXIT_CODE),
        ("egress.after_send:3", 2, EXIT_CODE),
        ("egress.before_send", 3, 0),
        ("", 3, 0),
    ],
)
def test_a_process_dies_the_nth_time_it_reaches_the_line(text, passed, code):
    ended = reached(text)

    assert len(ended.stdout.split()) == passed
    assert ended.returncode == code


@pytest.mark.parametrize(
    "text", ["egress.after_sent", "egress.after_send:0", "egress.after_send:x"]
)
def test_a_misspelt_fail_point_is_refused_at_the_start(text):
    """A test that waits for a death which never comes would prove nothing."""
    with pytest.raises(SettingsError):
        arm(text)


def test_every_line_to_die_at_is_in_the_table_and_every_one_of_the_table_is_in_the_code():
    sources = [path.read_text() for path in ROOT.glob("*/*/src/**/*.py")]
    named = {name for text in sources for name in re.findall(r'failpoint\("([^"{]+)"\)', text)}
    moments = {name for text in sources for name in re.findall(r'consumer\.name}\.(\w+)"', text)}

    ours = {f"{consumer.name}.{moment}" for consumer in CONSUMERS for moment in moments}
    assert named | ours == set(POINTS)
