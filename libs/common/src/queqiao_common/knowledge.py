"""What answers are looked up in: documents in chunks, and the terms they are found by. Pure.

The object store `knowledge` holds one object for each document; `queqiao knowledge add` writes it,
and every llm replica reads it. Both cut a text into terms by the same rules.
"""

import base64
import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Annotated
from zlib import crc32

import msgspec
from msgspec import Meta, Struct

from queqiao_common.events import Millis

META_SUBJECT = "$O.knowledge.M."
"""Where the broker tells of each object; the object's name follows in base64."""
HEADING_COUNTS = 2
WORD_CODES = 0x2E80 << 16
"""Codes of words lie below; those of pairs of characters begin here, with the first that is one."""

_RUN = re.compile(r"(?P<word>[a-z0-9À-ɏͰ-ӿ]+)|(?P<ideographs>[\u2e80-\U0010ffff]+)")
_NOT_WRITTEN = re.compile(r"[\u3000-\u3004\u3008-\u3020\u30fb\ufe10-\ufe6f\uff00-\uffef]+")


class Chunk(Struct, frozen=True, array_like=True):
    """A part of a document: what it stands under, the text, and where it was (`第 3 页`).

    Of a frequent question, `heading` is the question and `text` the answer.
    """

    heading: str
    text: str
    place: str = ""


class Document(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One document of a collection. `digest` is that of the file, so that a repeat is recognised.

    `vectors` holds a vector for each chunk: `dimensions` half-precision numbers, little endian,
    written by the model `embed`.
    """

    title: str
    source: Annotated[str, Meta(description="name of the file")]
    digest: str
    added_ms: Millis
    chunks: tuple[Chunk, ...]
    embed: str = ""
    dimensions: int = 0
    vectors: bytes = b""


class ObjectMeta(Struct, frozen=True):
    """What the broker tells of an object, as far as we care."""

    name: str
    digest: str = ""
    size: int = 0
    deleted: bool = False


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Document)
read_meta = msgspec.json.Decoder(ObjectMeta).decode
"""Read what stands on a subject below `META_SUBJECT`; raises `msgspec.MsgspecError`."""


def encode_document(document: Document) -> bytes:
    """Return a document as it is stored."""
    return _encoder.encode(document)


def decode_document(stored: bytes) -> Document:
    """Read a stored document.

    Raises:
        msgspec.MsgspecError: it is none.
    """
    return _decoder.decode(stored)


def document_key(collection: str, name: str) -> str:
    """Return the key of a document in the object store."""
    return f"{collection}/{name}"


def collection_of(key: str) -> str:
    """Return the collection of a key."""
    return key.partition("/")[0]


def object_digest(stored: bytes) -> str:
    """Return the digest of an object as the broker tells it."""
    return "SHA-256=" + base64.urlsafe_b64encode(hashlib.sha256(stored).digest()).decode()


def version_of(digests: Mapping[str, str], collections: Iterable[str]) -> str:
    """Return what changes whenever one of these collections does; `digests` are by key.

    Where nothing is looked up it is `0`.
    """
    wanted = frozenset(collections)
    if not wanted:
        return "0"
    lines = [f"{key}={digests[key]}" for key in sorted(digests) if collection_of(key) in wanted]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def fold(text: str) -> str:
    """Return a text without differences of width and case."""
    return unicodedata.normalize("NFKC", text).lower()


def codes(folded: str) -> list[int]:
    """Return the terms of a folded text as numbers of 32 bits, in their order, with repetitions.

    Terms are the words of alphabets, and the pairs of ideographs that stand side by side (one that
    stands alone is a term itself). Words share fewer numbers than there are words: two may have
    the same one, which is rare enough to do no harm.
    """
    found: list[int] = []
    for run in _RUN.finditer(_NOT_WRITTEN.sub(" ", folded)):
        text = run[0]
        if run.lastgroup == "word":
            found.append(crc32(text.encode()) % WORD_CODES)
        elif len(text) == 1:
            found.append((ord(text) & 0xFFFF) << 16)
        else:
            found += [(ord(a) & 0xFFFF) << 16 | ord(b) & 0xFFFF for a, b in pairwise(text)]
    return found


def singles(folded: str) -> list[int]:
    """Return the single ideographs of a folded text as terms: of a few words, they say enough."""
    runs = _RUN.finditer(_NOT_WRITTEN.sub(" ", folded))
    return [
        (ord(one) & 0xFFFF) << 16
        for run in runs
        if run.lastgroup == "ideographs" and len(run[0]) > 1
        for one in run[0]
    ]


def terms_of(chunk: Chunk) -> list[int]:
    """Return what a chunk is found by: its terms, and those of its heading as if said twice more.

    Of a heading, the single ideographs count, too.
    """
    heading = fold(chunk.heading)
    return codes(fold(chunk.text)) + codes(heading) * HEADING_COUNTS + singles(heading)
