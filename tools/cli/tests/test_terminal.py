import errno
import io

from hypothesis import given
from hypothesis import strategies as st
from queqiao_cli.processes import Lines
from queqiao_cli.terminal import Terminal, readable

LOG = '{"time":"2026-01-01T00:00:00.000Z","level":"info","service":"llm","event":"a.b","ms":1.5}'


def shown(line: str, *, pretty: bool, colour: bool = False) -> str:
    stream = io.StringIO()
    Terminal(["llm"], stream=stream, pretty=pretty, colour=colour).show("llm", line)
    return stream.getvalue()


def test_a_pipe_gets_lines_as_they_are():
    """Whoever collects logs wants the JSON."""
    assert shown(LOG, pretty=False) == f"llm     | {LOG}\n"


def test_a_person_gets_words():
    assert shown(LOG, pretty=True).endswith(" a.b ms=1.5\n")


def test_what_is_no_log_line_of_ours_is_shown_as_it_is():
    assert readable("Traceback (most recent call last):") == (
        "Traceback (most recent call last):",
        "",
    )
    assert readable('{"other": "json"}') == ('{"other": "json"}', "")


def test_the_brokers_chatter_is_left_out_but_not_its_warnings():
    assert readable("[7] 2026/01/01 00:00:00.000000 [INF] Server is ready") is None
    assert readable("[7] 2026/01/01 00:00:00.000000 [WRN] slow") is not None
    assert readable("a text that says [INF]") is not None


def test_every_line_of_an_exception_has_the_prefix():
    line = LOG.replace('"ms":1.5', '"exception":"Traceback\\n  File"')

    lines = shown(line, pretty=True).splitlines()

    assert len(lines) == 3
    assert all(one.startswith("llm     | ") for one in lines)


def test_colour_is_only_for_those_who_can_see_it():
    assert "\x1b" not in shown(LOG, pretty=True)
    assert "\x1b" in shown(LOG, pretty=True, colour=True)


@given(chunks=st.lists(st.binary(max_size=8)))
def test_lines_do_not_depend_on_how_the_bytes_arrive(chunks):
    lines = Lines()

    found = [line for chunk in chunks if chunk for line in lines.feed(chunk)] + lines.feed(b"")

    whole = b"".join(chunks)
    expected = whole.split(b"\n")
    if not expected[-1]:
        expected.pop()
    assert found == [line.decode(errors="replace").rstrip("\r") for line in expected]


def test_a_line_that_never_ends_is_cut():
    """A process that writes no line ends must not fill our memory."""
    lines = Lines()

    assert lines.feed(b"x" * 70_000) == ["x" * 70_000]
    assert lines.feed(b"") == []


class Closed(io.StringIO):
    def write(self, text):
        raise OSError(errno.EIO, "the terminal was closed")


def test_a_terminal_that_was_closed_stops_nobody():
    """An error here would leave processes behind that nobody stops."""
    Terminal([], stream=Closed(), pretty=False, colour=False).note("still here")
