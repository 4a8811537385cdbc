"""How much of the evidence for a question recall finds, on LoCoMo: ``make bench-recall DATA=path``.

The path is LoCoMo's own ``locomo10.json``, or a folder with ``turns.jsonl`` and
``questions.jsonl``, a conversation's turn or a question a line, and with their embeddings in
``emb_turns.f16.npy`` and ``emb_questions.f16.npy``, a row a line, if there are any. Every
conversation gets a store of its own, or all of them one together with ``--together``; with
``--fill N`` that has N memories, the others being turns made of halves of two.

Recall@k is the fraction of a question's evidence among the first k, averaged over the questions
that have evidence. The time is that of the processor for a question with the default limit.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from omega_persistence import OmegaStore, StoredMemory, StoredVector

DEPTHS = (5, 10, 25, 50)
DEFAULT = 10  # the limit if none is given
FILLED_AT_ONCE = 18_000
CATEGORIES = {4: "single-hop", 1: "multi-hop", 2: "temporal", 3: "open-domain", 5: "adversarial"}


class Turn(NamedTuple):
    """What somebody said."""

    conversation: str
    id: str
    session: int
    place: int
    at: int
    date: str
    speaker: str
    text: str


class Question(NamedTuple):
    """What is asked, and the turns that answer it."""

    conversation: str
    text: str
    category: int
    evidence: frozenset[str]


class Data(NamedTuple):
    """Everything that is measured with."""

    turns: list[Turn]
    questions: list[Question]
    of_turns: NDArray[np.float32] | None
    of_questions: NDArray[np.float32] | None


def read(path: Path) -> Data:
    if path.is_dir():
        return Data(
            [_turn(each) for each in _lines(path / "turns.jsonl")],
            [
                _question(each["conv"], each, each["evidence"])
                for each in _lines(path / "questions.jsonl")
            ],
            _matrix(path / "emb_turns.f16.npy"),
            _matrix(path / "emb_questions.f16.npy"),
        )
    turns: list[Turn] = []
    questions: list[Question] = []
    for sample in json.loads(path.read_text()):
        known = [*_published(sample)]
        turns += known
        ids = {turn.id for turn in known}
        questions += [
            _question(sample["sample_id"], each, _cited(each.get("evidence", []), ids))
            for each in sample["qa"]
        ]
    return Data(turns, questions, None, None)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _matrix(path: Path) -> NDArray[np.float32] | None:
    if not path.exists():
        return None
    rows = np.load(path).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _turn(line: dict[str, Any]) -> Turn:
    at = datetime.fromisoformat(line["date"]).replace(tzinfo=UTC)
    return Turn(
        line["conv"],
        line["id"],
        line["session"],
        line["seq"],
        int(at.timestamp()),
        line["date_text"].rpartition(" on ")[2],
        line["speaker"],
        _text(line["text"], line["caption"]),
    )


def _text(text: str, caption: str | None) -> str:
    return f"{text} [shares {caption}]" if caption else text


def _published(sample: dict[str, Any]) -> list[Turn]:
    """The turns of a conversation in LoCoMo's format."""
    talk = sample["conversation"]
    found: list[Turn] = []
    for key in talk:
        if (match := re.fullmatch(r"session_(\d+)", key)) is None:
            continue
        told = talk[f"{key}_date_time"]
        at = datetime.strptime(told, "%I:%M %p on %d %B, %Y").replace(tzinfo=UTC)
        found += [
            Turn(
                sample["sample_id"],
                each["dia_id"],
                int(match[1]),
                place,
                int(at.timestamp()),
                told.rpartition(" on ")[2],
                each["speaker"],
                _text(each["text"], each.get("blip_caption")),
            )
            for place, each in enumerate(talk[key])
        ]
    return found


def _cited(evidence: list[str], known: set[str]) -> list[str]:
    """The ids in a list of evidence, some of which are written carelessly: "D8:6; D9:17"."""
    ids = [
        f"D{int(session)}:{int(turn)}"
        for text in evidence
        for session, turn in re.findall(r"D:?(\d+):(\d+)", text)
    ]
    return [id for id in ids if id in known]


def _question(conversation: str, line: dict[str, Any], evidence: list[str]) -> Question:
    return Question(conversation, line["question"], line["category"], frozenset(evidence))


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


class Result(NamedTuple):
    """Recall@k in percent by category, and the mean CPU time of a question."""

    recall: dict[str, list[float]]
    milliseconds: float


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


def table(results: dict[str, Result]) -> str:
    columns = ["all", *CATEGORIES.values()]
    columns = [name for name in columns if name in next(iter(results.values())).recall]
    lines = [
        "| recall@" + "/".join(map(str, DEPTHS)) + " | " + " | ".join(columns) + " | CPU ms |",
        "| --- " * (len(columns) + 2) + "|",
    ]
    for name, result in results.items():
        cells = ["/".join(f"{value:.1f}" for value in result.recall[each]) for each in columns]
        lines.append(f"| {name} | {' | '.join(cells)} | {result.milliseconds:.2f} |")
    return "\n".join(lines)


COLOURS = ("#888888", "#c08030", "#4080c0", "#103060")


def plot(results: dict[str, Result]) -> str:
    """Recall@k as an SVG picture."""
    width, height, left, top = 560, 320, 50, 20
    across = {depth: left + place * 150 for place, depth in enumerate(DEPTHS)}

    def up(value: float) -> float:
        return top + (100 - value) * (height - 60) / 80

    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="12"',
        f' viewBox="0 0 {width + 120} {height}">',
        f'<rect width="{width + 120}" height="{height}" fill="white"/>',
    ]
    for value in range(20, 101, 20):
        y = up(value)
        parts.append(f'<path d="M{left} {y:.1f}H{width - 60}" stroke="#dddddd"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{value}</text>')
    for depth, x in across.items():
        parts.append(f'<text x="{x}" y="{height - 20}" text-anchor="middle">k = {depth}</text>')
    for colour, (name, result) in zip(COLOURS, results.items(), strict=False):
        points = [
            (across[depth], up(value))
            for depth, value in zip(DEPTHS, result.recall["all"], strict=True)
        ]
        line = " ".join(f"{x},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        x, y = points[-1]
        parts.append(f'<text x="{x + 8}" y="{y + 4:.1f}" fill="{colour}">{name}</text>')
    return "\n".join((*parts, "</svg>", ""))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--together", action="store_true", help="one store for all conversations")
    parser.add_argument("--plot", type=Path, help="write a picture of recall@k, as SVG")
    parser.add_argument("--fill", type=int, default=0, metavar="N", help="with --together")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        together = options.together or options.fill > 0
        results = run(read(options.data), Path(folder), together=together, size=options.fill)
    print(table(results))
    if options.plot:
        options.plot.write_text(plot(results))


if __name__ == "__main__":
    main()
