"""How much of the evidence for a question recall finds, on LoCoMo: ``make bench-recall DATA=path``.

The path is as `locomo` says. Every conversation gets a store of its own, or all of them one
together with ``--together``; with ``--fill N`` that has N memories, the others being turns made
of halves of two. With ``--observations`` the memories are facts instead of turns.

Recall@k is the fraction of a question's evidence among the first k, averaged over the questions
that have evidence. The time is that of the processor for a question with the default limit.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import numpy as np
from numpy.typing import NDArray

from locomo import CATEGORIES, Data, Turn, read, read_observations
from omega_persistence import OmegaStore, StoredMemory, StoredVector
from recall_report import DEPTHS, Result, plot, table

DEFAULT = 10  # the limit if none is given
FILLED_AT_ONCE = 18_000


def memory_id(turn: Turn) -> str:
    """Sorts as the turns of a session follow each other."""
    return f"{turn.conversation}/{turn.session:03}/{turn.place:04}"


def fill(store: OmegaStore, data: Data, rows: list[int]) -> None:
    turns = [data.turns[row] for row in rows]
    store.memories.put_many(
        StoredMemory(
            id=memory_id(turn),
            content=turn.text,
            tier=3,
            importance=0.5,
            created_at=turn.at,
            last_accessed=turn.at,
            session=f"{turn.conversation}/{turn.session}",
            keywords=f"{turn.speaker} {turn.date}",
        )
        for turn in turns
    )
    if data.of_turns is not None:
        store.vectors.put_many(
            StoredVector.from_array(memory_id(turn), data.of_turns[row], id=memory_id(turn))
            for turn, row in zip(turns, rows, strict=True)
        )


def fill_up(store: OmegaStore, data: Data, size: int) -> None:
    """Add turns that begin as one and end as another, eighteen a session, up to a size."""
    random = np.random.default_rng(20_240_613)
    for start in range(len(data.turns), size, FILLED_AT_ONCE):
        count = min(FILLED_AT_ONCE, size - start)
        rows = random.integers(len(data.turns), size=(2, count))
        halves: list[list[int]] = rows.tolist()
        firsts, seconds = ([data.turns[row] for row in half] for half in halves)
        mixed = [
            StoredMemory(
                id=f"mixed/{start + number:07}",
                content=_mixed(first.text, second.text),
                tier=3,
                importance=0.5,
                created_at=firsts[number - number % 18].at,
                last_accessed=first.at,
                session=f"mixed/{start + number - number % 18}",
                keywords=f"{first.speaker} {first.date}",
            )
            for number, (first, second) in enumerate(zip(firsts, seconds, strict=True))
        ]
        store.memories.put_many(mixed)
        if data.of_turns is not None:
            share = random.random((count, 1), np.float32)
            vectors = share * data.of_turns[rows[0]] + (1 - share) * data.of_turns[rows[1]]
            vectors += np.float32(0.02) * random.standard_normal(vectors.shape, np.float32)
            store.vectors.put_many(vectors, memory_ids=[memory.id for memory in mixed])


def _mixed(first: str, second: str) -> str:
    beginning, end = first.split(), second.split()
    return " ".join(beginning[: len(beginning) // 2] + end[len(end) // 2 :])


Method = Callable[[OmegaStore, str, "NDArray[np.float32] | None", int], list[str]]


def _searched(store: OmegaStore, text: str, _: object, limit: int) -> list[str]:
    return [hit.memory.id for hit in store.memories.search(text, limit=limit)]


def _nearest(
    store: OmegaStore, _: str, vector: NDArray[np.float32] | None, limit: int
) -> list[str]:
    assert vector is not None
    return [hit.memory_id for hit in store.vectors.nearest(vector, limit=limit)]


def _recalled(
    store: OmegaStore, text: str, vector: NDArray[np.float32] | None, limit: int
) -> list[str]:
    return [hit.memory.id for hit in store.recall(text, vector=vector, limit=limit)]


def _recalled_by_text(store: OmegaStore, text: str, _: object, limit: int) -> list[str]:
    return _recalled(store, text, None, limit)


METHODS: dict[str, tuple[bool, Method]] = {
    "BM25 alone": (False, _searched),
    "vectors alone": (True, _nearest),
    "recall, no vectors": (False, _recalled_by_text),
    "recall": (True, _recalled),
}
"""Name -> whether it takes vectors, and what it does."""


def measure(data: Data, stores: dict[str, OmegaStore], method: Method) -> Result:
    names = {(turn.conversation, turn.id): memory_id(turn) for turn in data.turns}
    found: defaultdict[str, list[list[float]]] = defaultdict(list)
    seconds: list[float] = []
    for row, question in enumerate(data.questions):
        wanted = {names[question.conversation, id] for id in question.evidence}
        if not wanted:
            continue
        vector = None if data.of_questions is None else data.of_questions[row]
        store = stores[question.conversation]
        began = process_time()
        method(store, question.text, vector, DEFAULT)
        seconds.append(process_time() - began)
        ids = method(store, question.text, vector, DEPTHS[-1])
        hit = [100 * len(wanted.intersection(ids[:depth])) / len(wanted) for depth in DEPTHS]
        found["all"].append(hit)
        found[CATEGORIES[question.category]].append(hit)
    means = {
        name: [float(value) for value in np.mean(hits, axis=0)] for name, hits in found.items()
    }
    return Result(means, 1000 * float(np.mean(seconds)))


def run(data: Data, folder: Path, *, together: bool, size: int = 0) -> dict[str, Result]:
    """The results of every method that the data admit."""
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for row, turn in enumerate(data.turns):
        rows["all" if together else turn.conversation].append(row)
    stores: dict[str, OmegaStore] = {}
    for name, inside in rows.items():
        store = OmegaStore(folder / f"{len(stores)}.db", durability="normal")
        fill(store, data, inside)
        fill_up(store, data, size)
        stores.update((data.turns[row].conversation, store) for row in inside)
        stores.setdefault(name, store)
    try:
        return {
            name: measure(data, stores, method)
            for name, (vectors, method) in METHODS.items()
            if data.of_turns is not None or not vectors
        }
    finally:
        for store in stores.values():
            store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--together", action="store_true", help="one store for all conversations")
    parser.add_argument("--observations", action="store_true", help="facts instead of turns")
    parser.add_argument("--plot", type=Path, help="write a picture of recall@k, as SVG")
    parser.add_argument("--fill", type=int, default=0, metavar="N", help="with --together")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        together = options.together or options.fill > 0
        data = (read_observations if options.observations else read)(options.data)
        results = run(data, Path(folder), together=together, size=options.fill)
    print(table(results))
    if options.plot:
        options.plot.write_text(plot(results))


if __name__ == "__main__":
    main()
