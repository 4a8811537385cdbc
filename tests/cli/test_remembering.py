"""remember, reembed and reindex."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from cli.support import printed_json, refused, run
from omega_persistence import OmegaStore

if TYPE_CHECKING:
    from pathlib import Path

MODELS = """
def vowels(texts):
    return [[1 + text.lower().count(letter) for letter in "aeiou"] for text in texts]

class models:
    @staticmethod
    def words(texts):
        return [[1.0, len(text.split())] for text in texts]

broken = "not a function"
"""


@pytest.fixture(autouse=True)
def my_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of embedders in the working folder."""
    (tmp_path / "my_models.py").write_text(MODELS)
    (tmp_path / "unfinished.py").write_text("def vowels(")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "my_models", raising=False)


def test_remember_stores_what_search_finds(path: Path) -> None:
    said = run("remember", path, "We adopted a cat.", "--speaker", "Ann", "--tag", "pets").stdout
    assert said.startswith("Remembered ")
    assert said.split()[1].rstrip(".") in run("search", path, "Ann").stdout


def test_every_option_of_remember_reaches_the_memory(path: Path) -> None:
    options: dict[str, Any] = {
        "--speaker": "Ann",
        "--session": "chat-7",
        "--tier": 4,
        "--importance": 0.9,
        "--metadata": '{"mood": "glad"}',
        "--at": "2023-05-08T09:30",
        "--id": "cat",
        "--vector": "[1, 2.5]",
        "--space": "mine",
    }
    flat = [word for option in options.items() for word in option]
    made = printed_json("remember", path, "A cat", *flat, "--tag", "a", "--tag", "b")
    assert (made["id"], made["tier"], made["importance"]) == ("cat", 4, 0.9)
    assert (made["session"], made["created_at"]) == ("chat-7", 1683538200)
    assert made["keywords"] == "Ann; a; b; 8 May, 2023"
    with OmegaStore(path) as store:
        memory = store.memories.get("cat")
        assert memory.metadata == {"mood": "glad", "speaker": "Ann", "tags": ["a", "b"]}
        (vector,) = store.vectors.by_memory("cat")
        assert (vector.space, vector.array.tolist()) == ("mine", [1, 2.5])


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("100", 100),
        ("-1", -1),
        ("2023-05-08", 1683504000),
        ("20230508", 1683504000),
        ("2023-05-08T02:00+02:00", 1683504000),
    ],
)
def test_a_time_is_unix_seconds_or_iso_8601(path: Path, time: str, seconds: int) -> None:
    assert printed_json("remember", path, "Then", f"--at={time}")["created_at"] == seconds


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--at", "yesterday"], "neither Unix seconds nor a date"),
        (["--at", "99999999"], "eight digits are a date"),
        (["--metadata", "[1]"], "is not a JSON object"),
        (["--metadata", "{"], "is not a JSON object"),
        (["--vector", '["a"]'], "is not a JSON array of numbers"),
        (["--tier", "13"], "--tier"),
        (["--on-duplicate", "drop"], "--on-duplicate"),
        (["--embedder", "my_models"], "is not MODULE:NAME"),
        (["--embedder", "no_such_module:vowels"], "cannot be loaded"),
        (["--embedder", "my_models:consonants"], "cannot be loaded"),
        (["--embedder", ".my_models:vowels"], "is not MODULE:NAME"),
        (["--embedder", "unfinished:vowels"], "cannot be loaded: SyntaxError"),
        (["--metadata", '{"a": "\udcff"}'], "is not a JSON object"),
    ],
)
def test_a_wrong_option_is_wrong_use(path: Path, options: list[str], message: str) -> None:
    said = run("remember", path, "words", *options, code=2).stderr
    assert message in " ".join(said.split())


def test_what_the_store_refuses_is_one_line_and_a_hint(path: Path) -> None:
    assert "speaker" in refused("remember", path, "words", "--speaker", "")[0]
    no_function = refused("remember", path, "words", "--embedder", "my_models:broken")[0]
    assert "embedder must be a function" in no_function


def test_the_same_is_kept_skipped_or_merged(path: Path) -> None:
    first = printed_json("remember", path, "The same")["id"]
    assert printed_json("remember", path, "The same", "--on-duplicate", "skip")["id"] == first
    merged = printed_json("remember", path, "The same", "--tag", "a", "--on-duplicate", "merge")
    assert merged["id"] == first
    assert printed_json("remember", path, "The same")["id"] != first


def test_an_embedder_is_found_in_the_working_folder(tmp_path: Path) -> None:
    store_path = tmp_path / "new.db"
    run("remember", store_path, "Hello", "--embedder", "my_models:vowels", "--create")
    with OmegaStore(store_path) as store:
        (vector,) = store.vectors
        assert (vector.space, vector.array.tolist()) == ("vowels", [1, 2, 1, 2, 1])
    message, hint = refused("remember", store_path, "Hello", "--embedder", "my_models:models.words")
    assert "in space 'vowels', not 'words'" in message
    assert "`omega-persistence reembed`" in hint


def test_reembed_moves_a_namespace_to_another_model(tmp_path: Path) -> None:
    store_path = tmp_path / "new.db"
    for text in ("one", "two words"):
        run("remember", store_path, text, "--embedder", "my_models:vowels", "--create")
    run("remember", store_path, "no vector")
    told = run(
        "reembed", store_path, "words", "my_models:models.words", "--from", "vowels", "--remove-old"
    ).stdout
    assert told == "Embedded 2 memories; namespace default is searched in space words now.\n"
    with OmegaStore(store_path) as store:
        assert {each.space for each in store.vectors} == {"words"}
    again = printed_json("reembed", store_path, "words", "my_models:models.words", "--batch", 1)
    assert again == {"namespace": "default", "space": "words", "embedded": 1}
    assert (
        "has no vectors in space 'vowel'"
        in (refused("reembed", store_path, "w", "my_models:models.words", "--from", "vowel")[0])
    )


def test_reindex_builds_the_index_anew(path: Path) -> None:
    found = run("search", path, "disk").stdout
    assert run("reindex", path).stdout == f"Built the indexes of {path} anew.\n"
    assert printed_json("reindex", path) == {"store": str(path), "reindexed": True}
    assert run("search", path, "disk").stdout == found
    run("check", path)
