"""get, list, search, stats, doctor and quarantine."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import msgspec
import pytest

from cli.support import printed_json, printed_lines, refused, run
from omega_persistence import OmegaStore, StoredMemory
from omega_persistence.entities import Collections
from samples import architecture, memory

if TYPE_CHECKING:
    from pathlib import Path

COLLECTIONS = [each.table.name for each in Collections(None, "").all()]  # pyright: ignore[reportArgumentType] - only names are asked for
FIRST = dict(zip(COLLECTIONS, ["m1", "s1", "a1", "i1", "v1", "e1", "c1"], strict=True))

READING = [
    ["stats"],
    ["doctor"],
    ["quarantine"],
    ["get", "memories", "m1"],
    ["list", "memories"],
    ["search", "disk"],
]


def with_path(words: list[str], path: Path) -> list[object]:
    return [words[0], path, *words[1:]]


@pytest.mark.parametrize("words", READING, ids=lambda words: words[0])
def test_reading_does_not_make_a_store(words: list[str], tmp_path: Path) -> None:
    message, hint = refused(*with_path(words, tmp_path / "none.db"))
    assert message == f"there is no store at {tmp_path / 'none.db'}"
    assert "omega-persistence init" in hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words", [words for words in READING if words != ["doctor"]], ids=lambda words: words[0]
)
def test_reading_does_not_migrate_a_file_but_says_how(words: list[str], crate: Path) -> None:
    before = crate.read_bytes()
    message, hint = refused(*with_path(words, crate))
    assert "Rust crate" in message
    assert hint == f"Run `omega-persistence migrate {crate}`."
    assert crate.read_bytes() == before
    assert list(crate.parent.iterdir()) == [crate]


@pytest.mark.parametrize("words", READING, ids=lambda words: words[0])
def test_reading_changes_no_byte_and_leaves_nothing_behind(words: list[str], path: Path) -> None:
    before = path.read_bytes()
    run(*with_path(words, path))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_looking_for_what_is_not_there_leaves_nothing_behind(path: Path) -> None:
    run("get", path, "memories", "m9", code=1)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("words", READING, ids=lambda words: words[0])
def test_reading_a_backup_leaves_its_journal_mode_alone(words: list[str], path: Path) -> None:
    run("backup", path, path.parent / "copy.db")
    before = (path.parent / "copy.db").read_bytes()
    run(*with_path(words, path.parent / "copy.db"))
    assert (path.parent / "copy.db").read_bytes() == before


def test_reading_leaves_the_log_of_a_store_in_use_alone(path: Path) -> None:
    with OmegaStore(path) as store:
        store.memories.touch("m1", 500)
        assert printed_json("get", path, "memories", "m1")["last_accessed"] == 500
        assert path.with_name("store.db-wal").exists()
        store.memories.touch("m1", 600)
        assert store.memories.get("m1").last_accessed == 600


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_get_shows_a_record_of_every_collection(collection: str, path: Path) -> None:
    shown = run("get", path, collection, FIRST[collection]).stdout
    assert shown.startswith("id ")
    assert FIRST[collection] in shown.splitlines()[0]


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_json_of_a_record_decodes_to_the_record(collection: str, path: Path) -> None:
    shown = run("get", path, collection, FIRST[collection], "--json").stdout
    with OmegaStore(path) as store:
        (theirs,) = [each for each in store.all() if each.table.name == collection]
        decoded = msgspec.json.decode(shown, type=theirs.table.entity)
        assert decoded == theirs.get(FIRST[collection])


@pytest.mark.parametrize("collection", COLLECTIONS)
@pytest.mark.parametrize("columns", ["40", "80", "200"])
def test_list_shows_every_collection_in_any_window(
    collection: str, columns: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    shown = run("list", path, collection).stdout
    assert FIRST[collection] in shown
    assert all(len(line) <= int(columns) for line in shown.splitlines())


def test_collections_may_be_written_with_hyphens(path: Path) -> None:
    assert printed_lines("list", path, "causal-edges") == printed_lines(
        "list", path, "causal_edges"
    )


def test_an_unknown_collection_gives_the_list_of_them(path: Path) -> None:
    said = run("list", path, "thoughts", code=2).stderr
    assert all(name in said for name in COLLECTIONS)


def test_get_of_a_missing_record_ends_with_1_and_says_what_is_missing(path: Path) -> None:
    done = run("get", path, "memories", "m9", code=1)
    assert done.stdout == ""
    assert done.stderr == "error: no StoredMemory has the id 'm9' in namespace 'default'\n"


def test_get_shows_times_as_dates_tiers_by_name_and_blobs_by_size(path: Path) -> None:
    with OmegaStore(path) as store:
        store.memories.put(
            memory("m8", tier=12, created_at=1_767_225_600, embedding_blob=bytes(2048))
        )
    shown = run("get", path, "memories", "m8").stdout
    assert "created_at      2026-01-01 00:00:00 UTC (1767225600)\n" in shown
    assert "tier            12 Omega\n" in shown
    assert "embedding_blob  2.0 KiB\n" in shown
    assert "expires_at      -\n" in shown


def test_get_shows_times_that_no_calendar_has(path: Path) -> None:
    with OmegaStore(path) as store:
        store.memories.put(memory("m8", created_at=-(2**63), last_accessed=2**63 - 1))
    assert f"{2**63 - 1} s" in run("get", path, "memories", "m8").stdout


def test_get_cuts_long_text_which_json_has_whole(path: Path) -> None:
    with OmegaStore(path) as store:
        store.memories.put(memory("m8", content="word " * 20_000))
    shown = run("get", path, "memories", "m8").stdout
    assert len(shown) < 4_000
    assert "the first 2,000 of 100,000 characters" in shown.replace("\n", " ").replace("  ", "")
    assert printed_json("get", path, "memories", "m8")["content"] == "word " * 20_000


def test_list_gives_pages_and_says_how_to_go_on(path: Path) -> None:
    first = run("list", path, "memories", "--limit", 2, "--json")
    assert first.stderr == "there are more: --after m2\n"
    assert len(first.stdout.splitlines()) == 2
    rest = run("list", path, "memories", "--after", "m2", "--json")
    assert rest.stderr == ""
    assert msgspec.json.decode(rest.stdout, type=StoredMemory).id == "m3"


def test_an_empty_list_is_no_error(path: Path) -> None:
    done = run("list", path, "memories", "-n", "nobody")
    assert done.stdout == ""
    assert done.stderr == "no memories in namespace nobody\n"
    assert printed_lines("list", path, "memories", "-n", "nobody") == []


def test_search_finds_words_best_first(path: Path) -> None:
    hits = printed_lines("search", path, "full disk")
    assert [hit["memory"]["id"] for hit in hits] == ["m1", "m3"]
    assert hits[0]["score"] > hits[1]["score"]
    shown = run("search", path, "full disk").stdout
    assert shown.index("m1") < shown.index("m3")
    assert "The **disk** was **full**." in shown


def test_search_without_hits_ends_with_0(path: Path) -> None:
    done = run("search", path, "unheard-of")
    assert done.stdout == ""
    assert "no memory" in done.stderr
    assert printed_lines("search", path, "unheard-of") == []


def test_stats_counts_every_collection_and_names_tiers(path: Path) -> None:
    shown = run("stats", path).stdout
    assert "memories                  3\n" in shown
    assert "Episodic" in shown
    assert "agent-7, default" in shown
    found = printed_json("stats", path)
    assert found["counts"] == dict.fromkeys(COLLECTIONS, 1) | {"memories": 3}
    assert found["memories_per_tier"] == {"3": 2, "4": 1}
    assert found["namespaces"] == ["agent-7", "default"]


def test_a_namespace_is_chosen_by_option_or_variable(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert printed_json("stats", path, "--namespace", "agent-7")["memory_count"] == 1
    monkeypatch.setenv("OMEGA_PERSISTENCE_NAMESPACE", "agent-7")
    assert printed_json("stats", path)["memory_count"] == 1
    assert printed_json("stats", path, "-n", "default")["memory_count"] == 3


def test_doctor_notes_what_may_not_be_meant(path: Path) -> None:
    assert "Nothing to note" in run("doctor", path).stdout
    assert printed_json("doctor", path)["notes"] == []
    with OmegaStore(path) as store:
        store.architectures.put(architecture("a2", lineage_json={"parent": "gone"}))
    (note,) = printed_json("doctor", path)["notes"]
    assert (note["kind"], note["subject"]) == ("lineage_parent", "a2")
    assert "lineage_parent" in run("doctor", path).stdout


def test_quarantine_lists_rows_with_their_reasons(crate: Path) -> None:
    run("migrate", crate)
    rows = printed_lines("quarantine", crate)
    with OmegaStore(crate) as store:
        assert [row["number"] for row in rows] == [row.number for row in store.quarantine()]
    assert base64.b64decode(rows[0]["raw"]["id"][1]).decode() == rows[0]["id"]
    few = run("quarantine", crate, "--limit", 3)
    assert "mem-tier-zero" in few.stdout
    assert few.stderr == "there are more than these: --limit 6\n"


def test_an_empty_quarantine_says_so(path: Path) -> None:
    assert run("quarantine", path).stdout == "No rows are in quarantine.\n"
    assert printed_lines("quarantine", path) == []
