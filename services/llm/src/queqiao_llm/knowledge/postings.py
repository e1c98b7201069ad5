"""Which chunks have which terms, as arrays: five bytes for each. Built once, never changed.

A block holds the documents of one refresh, or of several blocks merged into one. Deleted documents
stay in it, marked, until it is merged: that keeps a change as cheap as what it changes.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
import numpy.typing as npt
from queqiao_common.knowledge import Chunk, Document, terms_of

from queqiao_llm.knowledge.vectors import Floats, Vectors, joined, vectors_of

Numbers = npt.NDArray[np.uint32]
Rows = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Held:
    """A document in memory: its key, its title, its chunks."""

    key: str
    title: str
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True, eq=False)
class Block:
    """Documents, and for each of their terms the chunks (rows) that have it, and how often."""

    documents: tuple[Held, ...]
    firsts: Sequence[int]
    terms: Numbers
    starts: npt.NDArray[np.int64]
    rows: Rows
    counts: npt.NDArray[np.uint8]
    lengths: Floats
    alive: npt.NDArray[np.bool_]
    vectors: Vectors | None = None

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays; the texts are not counted."""
        arrays = (self.terms, self.starts, self.rows, self.counts, self.lengths, self.alive)
        vectors = self.vectors.nbytes if self.vectors else 0
        return sum(array.nbytes for array in arrays) + vectors

    def at(self, row: int) -> tuple[Held, Chunk]:
        """Return the chunk of a row, and the document it is of."""
        place = bisect_right(self.firsts, row) - 1
        document = self.documents[place]
        return document, document.chunks[row - self.firsts[place]]

    def without(self, keys: Iterable[str]) -> "Block":
        """Return the block with these documents marked as deleted."""
        gone = frozenset(keys)
        alive = self.alive.copy()
        for first, document in zip(self.firsts, self.documents, strict=True):
            if document.key in gone:
                alive[first : first + len(document.chunks)] = False
        return replace(self, alive=alive)

    def found(self, wanted: Numbers) -> list[tuple[int, Rows, npt.NDArray[np.uint8]]]:
        """Return, for each wanted term that is here, its place in `wanted`, its rows, its counts.

        `wanted` is sorted.
        """
        if not len(self.terms):
            return []
        places = np.minimum(np.searchsorted(self.terms, wanted), len(self.terms) - 1)
        here = np.flatnonzero(self.terms[places] == wanted)
        return [
            (int(one), self.rows[start:end], self.counts[start:end])
            for one in here
            for start, end in [self.starts[places[one] : places[one] + 2]]
        ]


def build(documents: Mapping[str, Document]) -> Block:
    """Return the block of these documents, which are given by their keys."""
    held = tuple(Held(key, one.title, one.chunks) for key, one in documents.items())
    chunks = [chunk for one in held for chunk in one.chunks]
    terms = [np.array(terms_of(chunk), np.uint32) for chunk in chunks]
    lengths = np.fromiter(map(len, terms), np.float32, len(terms))
    flat = np.concatenate(terms).astype(np.uint64)
    row_of = np.repeat(np.arange(len(terms), dtype=np.uint64), lengths.astype(np.int64))
    pairs, counts = np.unique((flat << np.uint64(32)) | row_of, return_counts=True)
    return _block(
        held,
        codes_=(pairs >> np.uint64(32)).astype(np.uint32),
        rows=(pairs & np.uint64(0xFFFFFFFF)).astype(np.int32),
        counts=np.minimum(counts, 255).astype(np.uint8),
        lengths=lengths,
        vectors=vectors_of(documents.values()),
    )


def merge(blocks: Sequence[Block]) -> Block:
    """Return one block with all documents of several that are alive."""
    before = [0, *accumulate(int(block.alive.sum()) for block in blocks)]
    parts = [_renumbered(block, first) for block, first in zip(blocks, before[:-1], strict=True)]
    codes_, rows, counts = (np.concatenate(some) for some in zip(*parts, strict=True))
    order = np.argsort(codes_, kind="stable")  # rows ascend already, within a term
    vectors = [block.vectors and block.vectors.of(block.alive) for block in blocks]
    return _block(
        tuple(one for block in blocks for one in _living(block)),
        codes_=codes_[order],
        rows=rows[order],
        counts=counts[order],
        lengths=np.concatenate([block.lengths[block.alive] for block in blocks]),
        vectors=joined(vectors),
    )


def _living(block: Block) -> list[Held]:
    pairs = zip(block.firsts, block.documents, strict=True)
    return [one for first, one in pairs if block.alive[first]]


def _renumbered(block: Block, first: int) -> tuple[Numbers, Rows, npt.NDArray[np.uint8]]:
    """Return the postings of the living rows, which are counted from `first` on."""
    codes_ = np.repeat(block.terms, np.diff(block.starts))
    number = (np.cumsum(block.alive) - 1 + first).astype(np.int32)
    keep = block.alive[block.rows]
    return codes_[keep], number[block.rows[keep]], block.counts[keep]


def _block(
    held: tuple[Held, ...],
    *,
    codes_: Numbers,
    rows: Rows,
    counts: npt.NDArray[np.uint8],
    lengths: Floats,
    vectors: Vectors | None,
) -> Block:
    terms, starts = np.unique(codes_, return_index=True)
    sizes = [0, *accumulate(len(one.chunks) for one in held)]
    return Block(
        documents=held,
        firsts=sizes[:-1],
        terms=terms,
        starts=np.append(starts, len(codes_)).astype(np.int64),
        rows=rows,
        counts=counts,
        lengths=lengths,
        alive=np.ones(len(lengths), np.bool_),
        vectors=vectors,
    )
