"""What does it cost to find the closest of many vectors, how many are found, and how soon?"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from importlib.util import find_spec
from itertools import cycle, islice
from typing import TYPE_CHECKING, NamedTuple

import peers
from embeddings import Embeddings, closest, normalised
from measure import Comparison, Cost, compare, cost
from omega_persistence import OmegaStore, StoredMemory
from report import Line, Report, clock, duration, times, verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from workshop import Workshop

LIMIT = 10
QUERIES = 20  # in a round
NARROW_QUERIES = 160  # that few memories can answer: they take about as long
SESSIONS = 1_000  # of a thousandth of the memories each, one after the other
BATCH = 20_000

# The whole text of a process: what it takes to answer the first question, which imports numpy, and
# what it takes with importing the library and opening the file.
_FIRST = """
import sys
from time import perf_counter, process_time
started = process_time(), perf_counter()
import struct
from omega_persistence import OmegaStore
query = struct.unpack("384f", bytes.fromhex(sys.argv[2]))
with OmegaStore(sys.argv[1]) as store:
    opened = process_time(), perf_counter()
    found = store.vectors.nearest(query)
    answered = process_time(), perf_counter()
    for since in (opened, started):
        print(answered[0] - since[0], answered[1] - since[1])
    print(found[0].memory_id)
    for line in open("/proc/self/status"):
        if line.startswith("VmRSS"):
            print(line.split()[1])
"""


# The whole text of a process that changes what the first one searches.
_OTHER = """
import sys
from omega_persistence import OmegaStore, StoredVector
with OmegaStore(sys.argv[1]) as store:
    blob = bytes.fromhex(sys.argv[2])
    vector = StoredVector(id="new", memory_id="0", dimensions=len(blob) // 4, data_blob=blob)
    store.vectors.put(vector) if sys.argv[3] == "put" else store.vectors.delete("new")
"""


class First(NamedTuple):
    """The first answer of a new process.

    Attributes:
        search: What it cost.
        whole: What it cost with importing the library and opening the file.
        best: The best memory.
        resident: KiB that the process holds then.
    """

    search: Cost
    whole: Cost
    best: str
    resident: int


def run(workshop: Workshop) -> Report:
    return _measure(workshop, workshop.scaled(100_000), at_most=1 / 6, against_peers=True)


def million(workshop: Workshop) -> Report:
    return _measure(workshop, workshop.scaled(1_000_000), at_most=1 / 10, against_peers=False)


def _measure(workshop: Workshop, size: int, *, at_most: float, against_peers: bool) -> Report:
    embeddings = Embeddings()
    units = normalised(embeddings.rows(size))
    questions = normalised(embeddings.rows(200))
    truth = [set(closest(units, query, LIMIT).tolist()) for query in questions]
    rounds = workshop.rounds(21)
    path = workshop.new_path()
    with OmegaStore(path) as store:
        stored = _fill(store, units)
        small = store.in_namespace("small")
        _fill(small, units[: size // SESSIONS])

        def ask(
            where: OmegaStore = store, session: str | None = None, count: int = QUERIES
        ) -> Callable[[], Cost]:
            following = cycle(questions)
            return lambda: _of_one(
                cost(
                    lambda: [
                        where.vectors.nearest(query, limit=LIMIT, session=session)
                        for query in islice(following, count)
                    ]
                ),
                count,
            )

        found = [store.vectors.nearest(query, limit=LIMIT) for query in questions]
        answers = [{int(hit.memory_id) for hit in hits} for hits in found]
        searched = compare(ask(), _exact(units, questions), rounds)
        narrow = compare(ask(session="7", count=NARROW_QUERIES), ask(), rounds)
        narrower = compare(ask(small, count=NARROW_QUERIES), ask(), rounds)
    first = [_first(path, questions[0]) for _ in range(3)]
    assert all(int(each.best) in truth[0] for each in first)
    search = _single(min(each.search for each in first), searched.raw)
    whole = _single(min(each.whole for each in first), searched.raw)
    lines = [
        _share("recall@10", _recall(answers, truth), 0.995),
        times("nearest; raw: exact scan", searched, 1, at_most=at_most),
        times("1/1000 by session; raw: all", narrow, 1, at_most=0.1),
        times("1/1000 by namespace; raw: all", narrower, 1, at_most=0.1),
        times("first search of a process; raw: exact scan", search, 1, at_most=20),
        times("with import and open; raw: exact scan", whole, 1),
    ]
    resident = max(each.resident for each in first) / 1024
    notes = [
        clock("One search", searched, 1),
        f"put_many took {duration(stored.cpu)} of CPU, {duration(stored.cpu / size)} a vector.",
        f"A process that has searched holds {resident:.0f} MB in all.",
        _freshness(path, embeddings),
    ]
    if against_peers:
        more, said = _peers(units, questions, truth, stored, searched)
        lines += more
        notes += said
    workshop.remove(path)
    return Report(
        f"The 10 closest of {size:,} embeddings of 384 dimensions; exact: numpy, in memory.",
        lines,
        [*notes, *_METHOD],
    )


_METHOD = [
    "The embeddings are random: vectors around 2,000 topics, with a spectrum that decays as that",
    "of real ones and an offset from the origin. Each search is a call of vectors.nearest.",
    "The exact scan is a product of a matrix of unit vectors, held in memory, and argpartition.",
    "The first search of a process is the least of three, and imports numpy.",
    "One thread everywhere. Graphs are asked with the least effort that finds 0.995, if any does.",
]


def _fill(store: OmegaStore, units: NDArray[np.float32]) -> Cost:
    """Store a memory for each row; returns what its vectors cost."""
    size = len(units)
    ids = [str(number) for number in range(size)]
    spent = Cost(0, 0)
    for start in range(0, size, BATCH):
        part = slice(start, min(start + BATCH, size))
        store.memories.put_many(
            StoredMemory(
                id=id,
                content=f"memory {id}",
                tier=1 + int(id) % 12,
                importance=0.5,
                session=str(int(id) * SESSIONS // size),
            )
            for id in ids[part]
        )
        put = cost(lambda part=part: store.vectors.put_many(units[part], memory_ids=ids[part]))
        spent = Cost(spent.cpu + put.cpu, spent.wall + put.wall)
    return spent


def _exact(units: NDArray[np.float32], questions: NDArray[np.float32]) -> Callable[[], Cost]:
    following: Iterator[NDArray[np.float32]] = cycle(questions)
    return lambda: _of_one(
        cost(lambda: [closest(units, query, LIMIT) for query in islice(following, QUERIES)]),
        QUERIES,
    )


def _first(path: str, query: NDArray[np.float32]) -> First:
    environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="")
    command = [sys.executable, "-c", _FIRST, path, query.tobytes().hex()]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    *costs, best, resident = done.stdout.split()
    cpu, wall, whole_cpu, whole_wall = map(float, costs)
    return First(Cost(cpu, wall), Cost(whole_cpu, whole_wall), best, int(resident))


def _freshness(path: str, embeddings: Embeddings) -> str:
    """Assert that a process finds what another has just committed, and not what it deleted."""
    (query,) = normalised(embeddings.rows(1))
    with OmegaStore(path) as store:
        for work in ("put", "delete"):
            store.vectors.nearest(query)
            command = [sys.executable, "-c", _OTHER, path, query.tobytes().hex(), work]
            subprocess.run(command, check=True)
            (best,) = store.vectors.nearest(query, limit=1)
            assert (best.vector_id == "new") == (work == "put")
    return "What another process committed was found, or gone, at the next call."


def _peers(
    units: NDArray[np.float32],
    questions: NDArray[np.float32],
    truth: list[set[int]],
    stored: Cost,
    searched: Comparison,
) -> tuple[list[Line], list[str]]:
    lines: list[Line] = []
    notes: list[str] = []
    for name, make in peers.PEERS.items():
        if find_spec(name) is None:
            notes.append(f"{name} is not installed, so nothing is said about it.")
            continue
        peer = make()
        built = cost(partial(peer.build, units))
        recall, asked = peers.least_for(peer, questions, truth, LIMIT, 0.995)
        theirs = _of_one(asked, len(questions))
        putting = f"put_many; raw: building {name}"
        searching = f"nearest; raw: {name} with recall {recall:.3f}"
        lines += [
            times(putting, _single(stored, built), 1, at_most=peers.AT_MOST.get(name)),
            times(searching, _single(searched.ours, theirs), 1),
        ]
    return lines, notes


def _recall(answers: list[set[int]], truth: list[set[int]]) -> float:
    return sum(len(a & t) for a, t in zip(answers, truth, strict=True)) / LIMIT / len(truth)


def _share(figure: str, found: float, at_least: float) -> Line:
    target = f">= {at_least:.3f}"
    return Line(figure, target, f"{found:.4f}", "", verdict(found >= at_least), "", "")


def _of_one(found: Cost, operations: int) -> Cost:
    return Cost(found.cpu / operations, found.wall / operations)


def _single(ours: Cost, raw: Cost) -> Comparison:
    return Comparison(ours, raw, Cost(ours.cpu / raw.cpu, ours.wall / raw.wall))
