"""The commands themselves: add, list, show, remove, search, sync."""

import argparse
import hashlib
import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import httpx
from msgspec import structs
from queqiao_common.bus import Bus
from queqiao_common.errors import PermanentError, SettingsError
from queqiao_common.knowledge import (
    Chunk,
    Document,
    collection_of,
    decode_document,
    document_key,
    encode_document,
)
from queqiao_common.objects import JetStreamObjects, Objects
from queqiao_common.settings import Config, Persona
from queqiao_common.topology import KNOWLEDGE
from queqiao_llm.knowledge.embedding import Embedder, packed
from queqiao_llm.knowledge.opening import collections_of, open_embedder, open_knowing, open_qdrant

from queqiao_cli.dead import aligned
from queqiao_cli.knowledge.chunking import chunks_of
from queqiao_cli.knowledge.readers import read
from queqiao_cli.knowledge.sniffing import KINDS, UnfitFileError
from queqiao_cli.knowledge.stored import digests, listed
from queqiao_cli.stored import opened
from queqiao_cli.terminal import complain, say

COLLECTION = re.compile(r"[a-z0-9_-]+")
_NOT_IN_TITLES = re.compile(r"[〔〕【】\[\]<>\n\r\t]+")
"""What would end a citation, or the tag around a passage."""


async def add(options: argparse.Namespace) -> int:
    """Take files into a collection, each in the place of the one of its name."""
    if not COLLECTION.fullmatch(options.collection):
        complain(f"--collection {options.collection!r}: only a-z, 0-9, _ and - may be in it")
        return 2
    files = _files(options.paths)
    if options.title and len(files) != 1:
        complain("--title names one document: add the others by themselves")
        return 2
    async with opened(options) as (config, bus), httpx.AsyncClient() as http:
        shelf = Shelf(config, bus, http)
        done = [await _add_one(shelf, file, options) for file in files]
    if options.collection not in collections_of(config):
        complain(f"no persona looks anything up in {options.collection!r} yet: set its `knowledge`")
    return 0 if all(done) else 1


async def _add_one(shelf: "Shelf", file: Path, options: argparse.Namespace) -> bool:
    try:
        said = await shelf.add(file, options.collection, options.title)
    except UnfitFileError as error:
        complain(f"refused: {error}")
        return False
    say(said)
    return True


async def list_documents(options: argparse.Namespace) -> int:
    """Print a line for each document."""
    async with opened(options) as (config, bus):
        objects = JetStreamObjects(bus, KNOWLEDGE)
        metas = [
            meta
            for meta in (await listed(bus)).values()
            if options.collection in {None, collection_of(meta.name)}
        ]
        documents = [(meta, await _fetch(objects, meta.name)) for meta in metas]
    rows: list[tuple[str, ...]] = [("DOCUMENT", "TITLE", "CHUNKS", "BYTES", "ADDED", "VECTORS")]
    for meta, one in documents:
        added = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.added_ms / 1000))
        vectors = one.embed or "-"
        rows.append((meta.name, one.title, str(len(one.chunks)), str(meta.size), added, vectors))
    say(*aligned(rows) if documents else ["no documents"])
    unused = {collection_of(meta.name) for meta in metas} - collections_of(config)
    for name in sorted(unused):
        complain(f"no persona looks anything up in {name!r}")
    return 0


async def show(options: argparse.Namespace) -> int:
    """Print the chunks of a document, as models are given them."""
    async with opened(options) as (_, bus):
        document = await _fetch(JetStreamObjects(bus, KNOWLEDGE), options.document)
    say(f"title     {document.title}", f"file      {document.source}")
    for number, chunk in enumerate(document.chunks, start=1):
        where = "  ".join(filter(None, (f"#{number}", chunk.place, chunk.heading)))
        say("", where, chunk.text)
    return 0


async def remove(options: argparse.Namespace) -> int:
    """Remove documents; every replica forgets them within seconds."""
    async with opened(options) as (config, bus), httpx.AsyncClient() as http:
        known = await listed(bus)
        absent = [key for key in options.documents if key not in known]
        if absent:
            raise PermanentError(f"there is no document {absent[0]!r}; see: queqiao knowledge list")
        shelf = Shelf(config, bus, http)
        for key in options.documents:
            await shelf.remove(key)
            say(f"{key}: removed")
    return 0


async def search(options: argparse.Namespace) -> int:
    """Print what would be given to a model with a question."""
    async with opened(options) as (config, bus), httpx.AsyncClient() as http:
        known = {collection_of(key) for key in await digests(bus)}
        persona = Persona(knowledge=tuple(options.collection or sorted(known)))
        searching = structs.replace(config, personas={"searching": persona})
        knowing, library = open_knowing(searching, JetStreamObjects(bus, KNOWLEDGE), http)
        await library.refresh()
        found = await knowing.search(persona, options.question)
    for one in found:
        where = "  ".join(filter(None, (f"{one.score:.2f}", one.title, one.place, one.heading)))
        say(where, f"      {one.text}", "")
    if not found:
        say(f"nothing above {config.knowledge.least}: {config.knowledge.unknown}")
    return 0


async def sync(options: argparse.Namespace) -> int:
    """Fill Qdrant anew from the object store."""
    async with opened(options) as (config, bus), httpx.AsyncClient() as http:
        if not config.knowledge.qdrant_url:
            raise SettingsError(("knowledge.qdrant_url: not set, so there is nothing to fill",))
        objects, qdrant = JetStreamObjects(bus, KNOWLEDGE), open_qdrant(config, http)
        for key in await listed(bus):
            document = await _fetch(objects, key)
            await qdrant.prepare(document.dimensions)
            await qdrant.put(key, document)
            say(f"{key}: {len(document.chunks)} chunks")
    return 0


class Shelf:
    """Where documents are put: the object store, and the vector store where there is one."""

    def __init__(self, config: Config, bus: Bus, http: httpx.AsyncClient) -> None:
        self._rules = config.knowledge
        self._objects: Objects = JetStreamObjects(bus, KNOWLEDGE)
        self._embedder = open_embedder(config, http)
        self._qdrant = open_qdrant(config, http) if config.knowledge.qdrant_url else None

    async def add(self, file: Path, collection: str, title: str | None) -> str:
        """Put a file into a collection, and say what was done.

        Raises:
            UnfitFileError: it cannot be taken in.
        """
        key = document_key(collection, file.name)
        body = _body(file, self._rules.max_file)
        document = await self._document(file.name, body, title or file.stem)
        old = await self._objects.get(key)
        if old is not None and _same(decode_document(old), document):
            return f"{key}: unchanged"
        await self._objects.put(key, encode_document(document))
        if self._qdrant:
            await self._qdrant.prepare(document.dimensions)
            await self._qdrant.put(key, document)
        return f"{key}: {len(document.chunks)} chunks{', in the place of older ones' * bool(old)}"

    async def remove(self, key: str) -> None:
        """Forget a document."""
        await self._objects.delete(key)
        if self._qdrant:
            await self._qdrant.delete(key)

    async def _document(self, name: str, body: bytes, title: str) -> Document:
        rules = self._rules
        sections = read(name, body)
        chunks = tuple(chunks_of(sections, size=rules.chunk_chars, overlap=rules.overlap_chars))
        vectors = await _vectors(self._embedder, chunks) if self._embedder else []
        return Document(
            title=_NOT_IN_TITLES.sub(" ", title).strip() or name,
            source=name,
            digest=hashlib.sha256(body).hexdigest(),
            added_ms=time.time_ns() // 1_000_000,
            chunks=chunks,
            embed=self._embedder.id if self._embedder else "",
            dimensions=len(vectors[0]) if vectors else 0,
            vectors=packed(vectors),
        )


async def _vectors(embedder: Embedder, chunks: Iterable[Chunk]) -> list[list[float]]:
    return await embedder.embed(["\n".join(filter(None, (c.heading, c.text))) for c in chunks])


def _body(file: Path, limit: int) -> bytes:
    """Return what a file holds.

    Raises:
        UnfitFileError: it is larger than `limit` bytes, or cannot be read.
    """
    try:
        size = file.stat().st_size
        if size > limit:
            raise UnfitFileError(
                f"{file.name}: {size} bytes, more than knowledge.max_file ({limit})"
            )
        return file.read_bytes()
    except OSError as error:
        raise UnfitFileError(f"{file.name}: cannot be read: {error.strerror}") from error


def _same(old: Document, new: Document) -> bool:
    """Whether nothing but the time differs: the file, the title, and how it was cut."""
    mine = (old.digest, old.title, old.chunks, old.embed, old.dimensions)
    return mine == (new.digest, new.title, new.chunks, new.embed, new.dimensions)


def _files(paths: Sequence[Path]) -> list[Path]:
    """Return the files that are meant; of a folder, those of the kinds that are read.

    Raises:
        SettingsError: one does not exist, or two have the same name.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise SettingsError(("no such file or folder",), source=str(path))
        inside = sorted(one for one in path.rglob("*") if one.suffix.lower() in KINDS)
        found += inside if path.is_dir() else [path]
    twice = [name for name, count in Counter(one.name for one in found).items() if count > 1]
    if twice:
        raise SettingsError((f"two files are called {twice[0]!r}: one would replace the other",))
    if not found:
        raise SettingsError((f"nothing to add: no {', '.join(sorted(KINDS))}",))
    return found


async def _fetch(objects: Objects, key: str) -> Document:
    """Return a document.

    Raises:
        PermanentError: there is none of this key.
    """
    stored = await objects.get(key)
    if stored is None:
        raise PermanentError(f"there is no document {key!r}; see: queqiao knowledge list")
    return decode_document(stored)
