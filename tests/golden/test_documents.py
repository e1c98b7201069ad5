"""Every document that a bucket holds is read by later releases: the rule of events, and its proof.

Fields are added, with a default that older replicas may drop without harm; none is renamed or used
for something else. What cannot be said like that needs a version, as conversations have.

`python -m tests.golden.test_documents VERSION` adds the folder of a new release.
"""

import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from queqiao_common.claims import Claim, Given, Tries
from queqiao_common.displays import Display
from queqiao_common.pages import Page
from queqiao_common.topology import BUCKETS
from queqiao_context.document import Conversation, read
from queqiao_context.notes import Remembered
from queqiao_egress.cursors import Cursor, Peers
from queqiao_egress.mailbox import Box
from queqiao_egress.quota import Ledger
from queqiao_egress.sent import Marker
from queqiao_egress.tokens import Held
from queqiao_llm.answers import Answer
from queqiao_llm.loads import Load
from queqiao_llm.usage import Shard, UserDay
from queqiao_moderation.limits import Pace
from queqiao_moderation.lists import ListDocument

from tests.golden.filling import filled

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("*/buckets/*.json"))
HELD: dict[str, tuple[type[Any], ...]] = {
    "conversations": (Conversation,),
    "claims": (Claim, Tries, Given),
    "mailbox": (Box,),
    "quota": (Ledger,),
    "sent": (Marker,),
    "tokens": (Held,),
    "answers": (Answer,),
    "policy": (ListDocument,),
    "limits": (Pace,),
    "notes": (Remembered,),
    "pages": (Page,),
    "displays": (Display,),
    "cursors": (Cursor, Peers),
    "loads": (Load,),
    "usage": (Shard, UserDay),
}
"""What the documents of each bucket are."""
STRICT = {ListDocument}
"""Written by hand, so that a misspelt field is refused: new ones wait for the last replica."""
TYPES = {f"{bucket}.{kind.__name__}": kind for bucket, kinds in HELD.items() for kind in kinds}


def decoded(name: str, body: bytes) -> Any:
    """Read a document as its service does."""
    kind = TYPES[name]
    return read(body) if kind is Conversation else msgspec.json.decode(body, type=kind)


def test_every_bucket_is_here():
    assert set(HELD) == {bucket.name for bucket in BUCKETS}


def test_every_document_is_kept():
    assert {path.stem for path in FILES} == set(TYPES), (
        "run: python -m tests.golden.test_documents VERSION"
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parts[-3]}/{path.stem}")
def test_a_document_of_an_older_release_is_read(path):
    """Nothing of it may be lost: what is not read is not written back."""
    body = path.read_bytes()
    document = decoded(path.stem, body)

    assert decoded(path.stem, msgspec.json.encode(document)) == document
    stored, again = msgspec.json.decode(body), msgspec.json.decode(msgspec.json.encode(document))
    assert shown(stored) <= shown(again), "fields were renamed or dropped"


def shown(value: Any, path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """Return the paths of everything in a document, but for what a migration may change."""
    if isinstance(value, dict):
        return {found for key, one in value.items() for found in shown(one, (*path, key))}
    if isinstance(value, list | tuple):
        return {found for one in value for found in shown(one, (*path, "[]"))}
    return {path} if path == ("version",) else {(*path, repr(value))}


@pytest.mark.parametrize("name", [name for name, kind in TYPES.items() if kind not in STRICT])
def test_a_document_of_a_newer_release_is_read_by_this_one(name):
    """For minutes, while replicas are replaced one by one, both write what both read."""
    sample = filled(TYPES[name])
    body = msgspec.json.encode(sample)
    if body.startswith(b"{"):
        table = msgspec.json.decode(body) | {"said_by_a_newer_release": [1, 2]}
        table |= {"version": 2} if TYPES[name] is Conversation else {}
        body = msgspec.json.encode(table)

    document = decoded(name, body)

    if TYPES[name] is Conversation:
        sample = msgspec.structs.replace(sample, version=document.version)
    assert document == sample


if __name__ == "__main__":
    folder = HERE / sys.argv[1] / "buckets"
    folder.mkdir(parents=True, exist_ok=True)
    for title, one in TYPES.items():
        document = filled(one)
        if one is Conversation:
            document = msgspec.structs.replace(document, version=2)
        body = msgspec.json.format(msgspec.json.encode(document), indent=2)
        (folder / f"{title}.json").write_bytes(body + b"\n")
