"""Measure the index of documents: `python -m bench.knowledge [--chunks 100000] [--vectors 1024]`.

The text is made up: words of two characters, as often as words are in Chinese (Zipf), in chunks of
400 characters. It has fewer different pairs than real text of this size, and longer lists of them,
so that searching it is rather too slow than too fast.
"""

import argparse
import random
import resource
import time
from collections.abc import Iterator

import numpy as np
from queqiao_common.knowledge import Chunk, Document
from queqiao_llm.knowledge.asking import Asking
from queqiao_llm.knowledge.index import Index
from queqiao_llm.knowledge.passages import CANDIDATES

CHARACTERS = 400
PER_DOCUMENT = 100
WORDS = 40_000
QUERIES = 200


def words(random_: random.Random) -> list[str]:
    """Return the vocabulary."""
    common = [chr(0x4E00 + number) for number in random_.sample(range(6000), 3000)]
    return ["".join(random_.choices(common, k=2)) for _ in range(WORDS)]


def texts(count: int, random_: random.Random) -> Iterator[str]:
    """Yield the texts of chunks."""
    vocabulary = words(random_)
    weights = np.cumsum(1 / np.arange(1, WORDS + 1)).tolist()
    for _ in range(count):
        chosen = random_.choices(vocabulary, cum_weights=weights, k=CHARACTERS // 2)
        yield "".join(chosen)


def documents(count: int, dimensions: int) -> Iterator[tuple[str, Document]]:
    """Yield documents of a hundred chunks each."""
    random_, numbers = random.Random(7), np.random.default_rng(7)
    source = texts(count, random_)
    for number in range(count // PER_DOCUMENT):
        vectors = numbers.standard_normal((PER_DOCUMENT, dimensions), np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True) if dimensions else 1
        yield (
            f"bench/{number:05}",
            Document(
                title=f"document {number}",
                source="bench",
                digest="",
                added_ms=0,
                chunks=tuple(Chunk("", next(source)) for _ in range(PER_DOCUMENT)),
                dimensions=dimensions,
                vectors=vectors.astype("<f2").tobytes(),
            ),
        )


def memory() -> int:
    """Return the most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def took(seconds: list[float]) -> str:
    """Say the median and the worst of twenty."""
    seconds = sorted(seconds)
    middle, late = seconds[len(seconds) // 2], seconds[int(len(seconds) * 0.95)]
    return f"p50 {1000 * middle:.1f} ms, p95 {1000 * late:.1f} ms"


def main() -> None:
    """Build, search, change."""
    options = _parser().parse_args()
    made = dict(documents(options.chunks, options.vectors))
    before, index, began = memory(), Index(), time.perf_counter()
    batch = dict[str, Document]()
    for key, document in made.items():
        batch[key] = document
        if len(batch) == 64:
            index.change(batch)
            batch = {}
    index.change(batch)
    built = time.perf_counter() - began
    print(f"chunks            {len(index)} of {CHARACTERS} characters")
    print(f"build             {built:.1f} s")
    print(f"arrays            {index.nbytes / 2**20:.0f} MiB")
    print(f"peak while built  {(memory() - before) / 2**20:.0f} MiB above the texts")
    asking, random_ = Asking(), random.Random(3)
    some = [one.text for document in list(made.values())[:50] for one in document.chunks]
    questions = [text[at : at + 16] for text in random_.sample(some, QUERIES) for at in [20]]
    by_words, by_meaning, right = [], [], 0
    for question in questions:
        began = time.perf_counter()
        found = index.by_words(asking.sought(question).terms, CANDIDATES)
        by_words.append(time.perf_counter() - began)
        right += bool(found) and question in found[0].found[1].text
        if options.vectors:
            began = time.perf_counter()
            index.by_meaning(np.ones(options.vectors, np.float32), CANDIDATES)
            by_meaning.append(time.perf_counter() - began)
    print(f"search by words   {took(by_words)}; its own chunk first: {right} of {QUERIES}")
    if by_meaning:
        print(f"search by meaning {took(by_meaning)}")
    changes = []
    for key in random_.sample(list(made), 20):
        began = time.perf_counter()
        index.change({key: made[key]})
        changes.append(time.perf_counter() - began)
    print(f"one document anew {took(changes)} ({PER_DOCUMENT} chunks)")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.knowledge")
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--vectors", type=int, default=0, help="dimensions of their meaning")
    return parser


if __name__ == "__main__":
    main()
