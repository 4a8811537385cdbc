"""The benchmark of recall, on a conversation of four turns."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from omega_persistence import OmegaStore

SCRIPT = Path(__file__).parent.parent.parent / "benchmarks" / "recall.py"

pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="not part of a source distribution")


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(sys, "path", [str(SCRIPT.parent), *sys.path])
    spec = importlib.util.spec_from_file_location("bench_recall", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "bench_recall", module)
    spec.loader.exec_module(module)
    return module


TURNS = [("Ann", "Which dog do you have?"), ("Bob", "A poodle."), ("Ann", "Nice."), ("Bob", "Yes")]
QUESTIONS: list[dict[str, Any]] = [
    {"question": "Which dog does Bob have?", "category": 4, "evidence": ["D1:2; D01:1"]},
    {"question": "Nothing of that", "category": 1, "evidence": ["D1:9"]},
    {"question": "poodle", "category": 2, "evidence": ["D1:2"]},
]


FACTS: list[tuple[str, str, list[str]]] = [
    ("Ann", "Ann wonders which dog Bob has.", ["D1:1"]),
    ("Bob", "Bob has a poodle.", ["D1:2"]),
    ("Bob", "Bob agrees.", ["D1:4"]),
]


def published(folder: Path) -> Path:
    talk = {
        "session_1_date_time": "1:56 pm on 8 May, 2023",
        "session_1": [
            {"speaker": who, "dia_id": f"D1:{n}", "text": text, "blip_caption": "a dog"}
            for n, (who, text) in enumerate(TURNS, 1)
        ],
    }
    path = folder / "locomo10.json"
    told: dict[str, list[Any]] = {}
    for who, fact, evidence in FACTS:
        told.setdefault(who, []).append([fact, evidence[0] if who == "Ann" else evidence])
    sample = {
        "sample_id": "c",
        "conversation": talk,
        "qa": QUESTIONS,
        "observation": {"session_1_observation": told},
    }
    path.write_text(json.dumps([sample]))
    return path


def lines(folder: Path) -> Path:
    turns = [
        {
            "conv": "c",
            "id": f"D1:{n}",
            "session": 1,
            "seq": n,
            "speaker": who,
            "text": text,
            "date": "2023-05-08T13:56:00",
            "date_text": "1:56 pm on 8 May, 2023",
            "caption": "a dog",
        }
        for n, (who, text) in enumerate(TURNS, 1)
    ]
    evidence = [["D1:2", "D1:1"], [], ["D1:2"]]
    questions = [
        {**each, "conv": "c", "evidence": ids}
        for each, ids in zip(QUESTIONS, evidence, strict=True)
    ]
    observations = [
        {"conv": "c", "session": 1, "speaker": who, "observation": fact, "evidence": evidence}
        for who, fact, evidence in FACTS
    ]
    files = {"turns": turns, "questions": questions, "observations": observations}
    for name, records in files.items():
        text = "".join(json.dumps(each) + "\n" for each in records)
        (folder / f"{name}.jsonl").write_text(text)
    return folder


def test_both_formats_tell_the_same(bench: Any, tmp_path: Path):
    one, other = bench.read(published(tmp_path)), bench.read(lines(tmp_path))
    assert [turn._replace(place=0) for turn in one.turns] == [
        turn._replace(place=0) for turn in other.turns
    ]
    assert one.questions == other.questions
    assert one.turns[0].text == "Which dog do you have? [shares a dog]"


def test_observations_take_the_place_of_turns_in_both_formats(bench: Any, tmp_path: Path):
    told = [bench.read_observations(form(tmp_path)) for form in (published, lines)]
    assert told[0] == told[1]
    (data, _) = told
    assert [turn.text for turn in data.turns] == [fact for _, fact, _ in FACTS]
    assert {turn.at for turn in data.turns} == {1683554160}
    assert [sorted(each.evidence) for each in data.questions] == [
        ["fact 0", "fact 1"],
        [],
        ["fact 1"],
    ]
    results = bench.run(data, tmp_path, together=False)
    assert results["recall, no vectors"].recall["all"] == [100.0] * 4


def test_without_vectors_two_methods_are_measured(bench: Any, tmp_path: Path):
    results = bench.run(bench.read(published(tmp_path)), tmp_path, together=False)
    assert list(results) == ["BM25 alone", "recall, no vectors"]
    assert results["recall, no vectors"].recall["all"] == [100.0] * 4
    assert "multi-hop" not in bench.table(results)


def test_a_store_is_filled_up_with_halves_of_turns(bench: Any, tmp_path: Path):
    folder = lines(tmp_path)
    np.save(folder / "emb_turns.f16.npy", np.eye(4, dtype=np.float16))
    with OmegaStore(tmp_path / "filled.db") as store:
        bench.fill_up(store, bench.read(folder), 40)
        assert store.memories.count() == store.vectors.count() == 36
        assert len({memory.session for memory in store.memories}) == 2
        assert store.check() == []


def test_with_vectors_all_four_are(bench: Any, tmp_path: Path):
    folder = lines(tmp_path)
    np.save(folder / "emb_turns.f16.npy", np.eye(4, dtype=np.float16))
    np.save(folder / "emb_questions.f16.npy", np.eye(4, dtype=np.float16)[[1, 3, 1]])
    results = bench.run(bench.read(folder), tmp_path, together=True)
    assert list(results) == ["BM25 alone", "vectors alone", "recall, no vectors", "recall"]
    assert results["vectors alone"].recall["temporal"] == [100.0] * 4
    assert len(bench.table(results).splitlines()) == 6
    picture = bench.plot(results)
    assert picture.count("<polyline") == 4
    assert picture.startswith("<svg")
