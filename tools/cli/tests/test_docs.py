from pathlib import Path

import pytest
import yaml
from msgspec import Struct
from queqiao_cli.docs import asyncapi, decisions, events, settings
from queqiao_cli.docs.__main__ import stale
from queqiao_cli.docs.shapes import shapes, table
from queqiao_common.events import EVENT_TYPES
from queqiao_common.settings import Config
from queqiao_common.topology import BUCKETS, CONSUMERS, STREAMS, SUBJECTS

ROOT = Path(__file__).parents[3]


def test_the_committed_documents_are_fresh():
    """`make docs` was forgotten: readers would trust what is no longer so."""
    assert "\n".join(stale(ROOT)) == ""


def test_a_stale_document_is_named_with_what_differs(tmp_path):
    [first, *_] = stale(tmp_path)

    assert first.startswith("docs/events.md is stale: make docs")
    assert "+# Events" in first


def test_every_event_stream_consumer_and_bucket_is_listed():
    text = events.page()

    for name in [one.name for one in (*STREAMS, *CONSUMERS, *BUCKETS)]:
        assert f"| `{name}` |" in text
    for kind in EVENT_TYPES:
        assert f"### {kind.__name__}\n" in text


def test_asyncapi_refers_to_nothing_that_is_not_there():
    document = yaml.safe_load(asyncapi.page())

    def references(node):
        if isinstance(node, dict):
            yield from [node["$ref"]] if "$ref" in node else []
            node = list(node.values())
        if isinstance(node, list):
            for one in node:
                yield from references(one)

    for reference in references(document):
        found = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
    assert len(document["channels"]) == len(SUBJECTS)


def leaves(kind: type[Struct]) -> set[str]:
    return {
        f"`{one.path}.{shape.name}`".replace("`.", "`")
        for one in settings.tables(kind)
        for shape in shapes(one.kind)
    }


def test_every_key_is_described_or_has_a_section():
    text = settings.page()

    for key in leaves(Config):
        name = key.strip("`")
        assert key in text or f"[{name}" in text, key


def test_the_head_of_a_decision_is_read():
    found = decisions.read("0007-pools.md", "# 0007: Two pools\n\nStatus: accepted · 2026-01-31\n")

    assert (found.number, found.title, found.status, found.date) == (
        "0007",
        "Two pools",
        "accepted",
        "2026-01-31",
    )


def test_a_decision_without_a_status_is_refused():
    with pytest.raises(ValueError, match=r"0007-pools\.md"):
        decisions.read("0007-pools.md", "# 0007: Two pools\n")


def test_a_bar_in_a_cell_does_not_end_it():
    assert table(("a",), [("x | y",)])[-1] == r"| x \| y |"
