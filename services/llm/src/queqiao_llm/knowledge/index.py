"""The chunks of one collection, to be searched by their words (BM25) and by their meaning."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from queqiao_common.knowledge import Chunk, Document

from queqiao_llm.knowledge.postings import Block, Held, build, merge
from queqiao_llm.knowledge.vectors import Floats

K1, B = 1.2, 0.75
"""How soon a repeated term counts no more, and how much a long chunk is at a disadvantage."""
FULL = 8_000
"""Chunks of a block that is merged no more: a larger one would take its room twice."""
MAX_BLOCKS = 8
"""Smaller blocks that may lie side by side."""


@dataclass(frozen=True)
class Place:
    """Where a chunk lies in an index, and its score there."""

    block: Block
    row: int
    score: float

    @property
    def found(self) -> tuple[Held, Chunk]:
        """The chunk, and its document."""
        return self.block.at(self.row)


class Index:
    """One collection. A search sees it as it was when the search began: it may run in a thread."""

    def __init__(self) -> None:
        self._blocks: tuple[Block, ...] = ()

    def __len__(self) -> int:
        return sum(int(block.alive.sum()) for block in self._blocks)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays; the texts are not counted."""
        return sum(block.nbytes for block in self._blocks)

    def change(self, changed: Mapping[str, Document | None]) -> None:
        """Take in documents by their keys, in the place of older ones; None: it is deleted."""
        blocks = [block.without(changed) for block in self._blocks]
        added = {key: one for key, one in changed.items() if one and one.chunks}
        blocks += [build(some) for some in _batches(added)]
        self._blocks = tuple(_tidied([block for block in blocks if block.alive.any()]))

    def by_words(self, weights: Mapping[int, float], count: int) -> list[Place]:
        """Return the chunks that have the most of these terms, by BM25, best first."""
        blocks, wanted = self._blocks, np.array(sorted(weights), np.uint32)
        held = sum(len(block) for block in blocks)
        if not held or not len(wanted):
            return []
        found = [block.found(wanted) for block in blocks]
        having = np.zeros(len(wanted))
        for some in found:
            for place, rows, _ in some:
                having[place] += len(rows)
        rarity = np.log1p((held - having + 0.5) / (having + 0.5))
        worth = (rarity * [weights[int(term)] for term in wanted]).astype(np.float32)
        average = sum(float(block.lengths.sum()) for block in blocks) / held or 1.0
        best: list[Place] = []
        for block, some in zip(blocks, found, strict=True):
            scores = np.zeros(len(block), np.float32)
            base = K1 * (1 - B + B * block.lengths / average)
            for place, rows, counts in some:
                scores[rows] += worth[place] * (K1 + 1) * counts / (counts + base[rows])
            best += _best(block, scores, count)
        return sorted(best, key=lambda one: -one.score)[:count]

    def by_meaning(self, vector: npt.ArrayLike, count: int) -> list[Place]:
        """Return the chunks whose vectors point the same way, best first; the score is a cosine."""
        wanted = np.asarray(vector, np.float32)
        wanted /= float(np.linalg.norm(wanted)) or 1.0
        best: list[Place] = []
        for block in self._blocks:
            if block.vectors and block.vectors.dimensions == len(wanted):
                best += _best(block, block.vectors.cosines(wanted), count)
        return sorted(best, key=lambda one: -one.score)[:count]


def _best(block: Block, scores: Floats, count: int) -> list[Place]:
    scores = np.where(block.alive, scores, 0.0)
    rows = np.argpartition(scores, -count)[-count:] if count < len(scores) else range(len(scores))
    return [Place(block, int(row), float(scores[row])) for row in rows if scores[row] > 0]


def _batches(documents: Mapping[str, Document]) -> Iterable[dict[str, Document]]:
    """Divide documents so that no block is much larger than it may be."""
    batch: dict[str, Document] = {}
    chunks = 0
    for key, document in documents.items():
        if batch and chunks + len(document.chunks) > FULL:
            yield batch
            batch, chunks = {}, 0
        batch[key] = document
        chunks += len(document.chunks)
    if batch:
        yield batch


def _tidied(blocks: Sequence[Block]) -> list[Block]:
    """Merge small blocks where there are too many, and those that are mostly deleted."""
    wasted = [block for block in blocks if 2 * int(block.alive.sum()) < len(block)]
    small = [block for block in blocks if len(block) < FULL or block in wasted]
    if len(small) <= MAX_BLOCKS and not wasted:
        return list(blocks)
    kept = [block for block in blocks if not any(block is one for one in small)]
    return [*kept, *(merge(some) for some in _groups(small))]


def _groups(blocks: Sequence[Block]) -> Iterable[list[Block]]:
    """Divide blocks, the smallest first, so that none becomes much too large by merging."""
    group: list[Block] = []
    for block in sorted(blocks, key=len):
        if group and sum(map(len, group)) + len(block) > 2 * FULL:
            yield group
            group = []
        group.append(block)
    yield group
