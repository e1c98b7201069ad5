"""What chunks mean, as vectors: a byte for each number, which costs half a percent of a cosine."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from queqiao_common.knowledge import Document

Floats = npt.NDArray[np.float32]

AT_ONCE = 512
"""Rows compared at once: they are widened for it, and should stay near the processor."""
STEPS = 127


@dataclass(frozen=True, eq=False)
class Vectors:
    """A vector of length 1 for each row: its numbers in steps of its own size."""

    numbers: npt.NDArray[np.int8]
    steps: Floats

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.numbers.nbytes + self.steps.nbytes

    @property
    def dimensions(self) -> int:
        """How many numbers a vector has."""
        return int(self.numbers.shape[1])

    def cosines(self, wanted: Floats) -> Floats:
        """Return how much each row points in the direction of a vector of length 1."""
        parts = [
            self.numbers[start : start + AT_ONCE].astype(np.float32) @ wanted
            for start in range(0, len(self.numbers), AT_ONCE)
        ]
        return np.concatenate(parts) * self.steps

    def of(self, rows: npt.NDArray[np.bool_]) -> "Vectors":
        """Return those of some rows."""
        return Vectors(self.numbers[rows], self.steps[rows])


def vectors_of(documents: Iterable[Document]) -> Vectors | None:
    """Return the vectors of all chunks; None where a document has none, or of another size."""
    return joined([_of_document(one) for one in documents])


def joined(parts: Sequence[Vectors | None]) -> Vectors | None:
    """Return the vectors of several parts, if each has some and all are of one size."""
    known = [one for one in parts if one is not None]
    if not known or len(known) < len(parts) or len({one.dimensions for one in known}) > 1:
        return None
    return Vectors(
        np.concatenate([one.numbers for one in known]), np.concatenate([one.steps for one in known])
    )


def _of_document(document: Document) -> Vectors | None:
    size = 2 * document.dimensions * len(document.chunks)
    if not size or len(document.vectors) != size:
        return None
    stored = np.frombuffer(document.vectors, "<f2").reshape(-1, document.dimensions)
    exact = stored.astype(np.float32)
    steps = np.abs(exact).max(axis=1) / STEPS
    steps[steps == 0] = 1.0
    return Vectors(np.rint(exact / steps[:, None]).astype(np.int8), steps.astype(np.float32))
