"""LoCoMo: long conversations, questions about them, and the turns that answer each.

A path is LoCoMo's own ``locomo10.json``, or a folder with ``turns.jsonl`` and
``questions.jsonl``, a conversation's turn or a question a line, and with their embeddings in
``emb_turns.f16.npy`` and ``emb_questions.f16.npy``, a row a line, if there are any. Observations,
facts that a language model distilled from the turns, are in ``observations.jsonl`` and
``emb_observations.f16.npy``.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray


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


class Observation(NamedTuple):
    """A fact about a speaker, and the turns that it comes from."""

    conversation: str
    session: int
    speaker: str
    text: str
    evidence: frozenset[str]


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
            _question(sample["sample_id"], each, ids.intersection(_cited(each.get("evidence"))))
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


def read_observations(path: Path) -> Data:
    """Observations take the place of turns; they answer a question if they come from its evidence.

    Each is as old as its session, and questions that none answers have no evidence.
    """
    told = read(path)
    of_session = {(turn.conversation, turn.session): turn for turn in told.turns}
    facts: list[Turn] = []
    known: defaultdict[str, list[tuple[str, frozenset[str]]]] = defaultdict(list)
    for place, fact in enumerate(_observations(path)):
        turn = of_session[fact.conversation, fact.session]
        id = f"fact {place}"
        facts.append(turn._replace(id=id, place=place, speaker=fact.speaker, text=fact.text))
        known[fact.conversation].append((id, fact.evidence))
    questions = [
        each._replace(
            evidence=frozenset(
                id for id, source in known[each.conversation] if source & each.evidence
            )
        )
        for each in told.questions
    ]
    of_facts = _matrix(path / "emb_observations.f16.npy") if path.is_dir() else None
    return Data(facts, questions, of_facts, None if of_facts is None else told.of_questions)


def _observations(path: Path) -> Iterator[Observation]:
    if path.is_dir():
        for each in _lines(path / "observations.jsonl"):
            evidence = frozenset(each["evidence"])
            said = each["session"], each["speaker"], each["observation"]
            yield Observation(each["conv"], *said, evidence)
        return
    for sample in json.loads(path.read_text()):
        for key, by_speaker in sample["observation"].items():
            session = int(re.sub(r"\D", "", key))
            for speaker, said in by_speaker.items():
                for text, evidence in said:
                    ids = frozenset(_cited(evidence))
                    yield Observation(sample["sample_id"], session, speaker, text, ids)


def _cited(evidence: str | list[str] | None) -> list[str]:
    """The ids in evidence, some of which are written carelessly: "D8:6; D9:17"."""
    return [
        f"D{int(session)}:{int(turn)}"
        for text in ([evidence] if isinstance(evidence, str) else evidence or [])
        for session, turn in re.findall(r"D:?(\d+):(\d+)", text)
    ]


def _question(conversation: str, line: dict[str, Any], evidence: Iterable[str]) -> Question:
    return Question(conversation, line["question"], line["category"], frozenset(evidence))
