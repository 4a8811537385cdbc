"""recall, and the filters that it shares with search."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest

from cli.support import printed_json, printed_lines, refused, run
from omega_persistence import OmegaStore

if TYPE_CHECKING:
    from pathlib import Path

MODEL = """
def vowels(texts):
    return [[1 + text.lower().count(letter) for letter in "aeiou"] for text in texts]
"""

MAY = 1683504000


@pytest.fixture
def chat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A short conversation, and a model in the working folder."""
    (tmp_path / "vowel_model.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    path = tmp_path / "chat.db"
    said = [
        ("ann-1", "Ann", "We adopted a cat, Miso", 3, 0.9),
        ("bob-1", "Bob", "Is the cat young?", 3, 0.4),
        ("ann-2", "Ann", "Two years old", 4, 0.2),
    ]
    with OmegaStore(path, durability="normal") as store:
        store.remember_many(
            {
                "id": id,
                "speaker": speaker,
                "content": content,
                "tier": tier,
                "importance": importance,
                "session": "chat-7",
                "at": MAY + 86_400 * place,
                "metadata": {"place": place},
            }
            for place, (id, speaker, content, tier, importance) in enumerate(said)
        )
        store.remember("A cat in another talk", id="other", at=MAY)
    return path


def found(command: str, chat: Path, *options: object) -> set[str]:
    return {hit["memory"]["id"] for hit in printed_lines(command, chat, "cat", *options)}


def test_recall_shows_what_answers_best_first(chat: Path) -> None:
    shown = run("recall", chat, "What is the name of Ann's cat?").stdout
    assert re.search(r"^ann-1 +\d\.\d\d +3 +We adopted a cat, Miso$", shown, re.MULTILINE)
    lines = printed_lines("recall", chat, "What is the name of Ann's cat?", "--limit", 2)
    assert lines[0]["memory"]["id"] == "ann-1"
    assert lines[0]["score"] >= lines[1]["score"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--where", "speaker=Ann"], {"ann-1"}),
        (["--where", "place>=1", "--where", "place<5"], {"bob-1"}),
        (["--where", 'speaker="Bob"'], {"bob-1"}),
        (["--session", "chat-7"], {"ann-1", "bob-1"}),
        (["--since", "2023-05-09"], {"bob-1"}),
        (["--until", MAY + 1], {"ann-1", "other"}),
        (["--min-importance", 0.5], {"ann-1", "other"}),
        (["--until", 5], set[str]()),
        (["--tier", 3, "--tier", 4], {"ann-1", "bob-1", "other"}),
    ],
    ids=map(str, range(9)),
)
def test_search_and_recall_return_what_passes_the_filters(
    chat: Path, options: list[object], expected: set[str]
) -> None:
    assert found("search", chat, *options) == expected
    recalled = found("recall", chat, *options)
    assert recalled - {"ann-2"} == expected  # ann-2 stands beside what holds the word


@pytest.mark.parametrize("command", ["search", "recall"])
def test_a_condition_that_is_none_is_wrong_use(chat: Path, command: str) -> None:
    said = run(command, chat, "cat", "--where", "speaker", code=2).stderr
    assert "is no condition" in said
    for wrong in ("speaker!=Ann", "speaker==Ann", "place<>1"):
        said = run(command, chat, "cat", "--where", wrong, code=2).stderr
        assert "compared by each of" in " ".join(said.split())
    run(command, chat, "cat", "--where", "place>=1", "--where", "place>=2", code=2)
    assert "tier" in run(command, chat, "cat", "--tier", 13, code=2).stderr
    assert "where" in refused(command, chat, "cat", "--where", "speaker=[1]")[0]


def test_an_explanation_says_why_and_what_was_nearly_there(chat: Path) -> None:
    shown = run("recall", chat, "young cat", "--limit", 1, "--explain").stdout
    assert shown.startswith("Words: young, cat.\n")
    assert re.search(r"^1\. bob-1 \d", shown, re.MULTILINE)
    assert "- holds the words young, cat" in shown
    assert re.search(r"^   ann-[12] .* kept out by the limit$", shown, re.MULTILINE)
    document = printed_json("recall", chat, "young cat", "--limit", 1, "--explain")
    assert document["hits"][0]["memory"]["id"] == "bob-1"
    assert document["near_misses"][0]["kept_out"] == "limit"


def test_recall_compares_with_vectors_if_it_is_given_one_or_a_model(chat: Path) -> None:
    run("remember", chat, "ooo ooo", "--id", "far", "--embedder", "vowel_model:vowels")
    run("remember", chat, "iii iii", "--id", "near", "--embedder", "vowel_model:vowels")
    asked = ("recall", chat, "iiii", "--limit", 1)
    assert run(*asked).stderr.startswith("no memory in namespace default answers")
    for options in (["--embedder", "vowel_model:vowels"], ["--vector", "[1,1,7,1,1]"]):
        (hit,) = printed_lines(*asked, *options)
        assert hit["memory"]["id"] == "near"
    told = run(*asked, "--explain", "--vector", "[1,1,7,1,1]", "--space", "vowels").stdout
    assert "Space of the vectors: vowels." in told
    assert "its vector has the cosine" in told
    assert "dimensions" in refused(*asked, "--vector", "[1]")[0]
