"""init, put, delete, migrate and compact."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING

import pytest

from cli.support import printed_json, printed_lines, refused, run
from omega_persistence import OmegaStore
from samples import architecture, intelligence, memory, skill

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = {"id": "new", "content": "A new memory.", "tier": 4, "importance": 0.5}


def memories_of(path: Path) -> list[str]:
    with OmegaStore(path, create=False) as store:
        return [each.id for each in store.memories]


def test_init_makes_an_empty_store_and_leaves_one_that_exists(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    assert run("init", path).stdout == f"Made a store at {path}, schema 1.\n"
    run("put", path, "memories", json.dumps(PLAIN))
    assert "There already is a store" in run("init", path).stdout
    assert printed_json("init", path) == {
        "store": str(path),
        "created": False,
        "schema_version": 1,
        "checksums": False,
    }
    assert memories_of(path) == ["new"]


def test_init_gives_a_new_store_page_checksums_which_every_command_keeps(tmp_path: Path) -> None:
    path, copy, plain = tmp_path / "new.db", tmp_path / "copy.db", tmp_path / "plain.db"
    told = run("init", path, "--checksums").stdout
    assert told == f"Made a store at {path}, schema 1, with page checksums.\n"
    run("put", path, "memories", json.dumps(PLAIN))
    run("compact", path)
    run("backup", path, copy)
    for each in (path, copy):
        assert re.search(r"page checksums\s+yes", run("stats", each).stdout)
        assert printed_json("stats", each)["checksums"] is True
        run("check", each)
    run("init", plain)
    assert re.search(r"page checksums\s+no", run("stats", plain).stdout)
    message, hint = refused("init", plain, "--checksums")
    assert "made without page checksums" in message
    assert "import" in hint


def test_init_leaves_a_file_of_another_program_alone(tmp_path: Path, crate: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear Ines, ...")
    refused("init", tmp_path / "letter.txt")
    assert (tmp_path / "letter.txt").read_text() == "Dear Ines, ..."
    before = crate.read_bytes()
    assert "migrate" in refused("init", crate)[1]
    assert crate.read_bytes() == before


def test_put_does_not_make_a_store_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    refused("put", path, "memories", json.dumps(PLAIN))
    assert list(tmp_path.iterdir()) == []
    run("put", path, "memories", json.dumps(PLAIN), "--create")
    assert memories_of(path) == ["new"]


def test_delete_takes_a_record_and_what_hangs_on_it(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    run("remember", path, "Once", "--id", "old", "--vector", "[1, 2]", "--create")
    run("put", path, "memories", json.dumps(PLAIN))
    assert run("delete", path, "memories", "old").stdout == "Deleted old from memories.\n"
    assert memories_of(path) == ["new"]
    with OmegaStore(path) as store:
        assert not store.vectors.count()
    answer = {"collection": "memories", "id": "new", "deleted": True}
    assert printed_json("delete", path, "memories", "new", "--namespace", "n", code=1) == {
        **answer,
        "deleted": False,
    }
    assert printed_json("delete", path, "memories", "new") == answer
    gone = run("delete", path, "memories", "new", code=1)
    assert gone.stdout == ""
    assert "nothing in memories of namespace default has the id new" in gone.stderr
    refused("delete", tmp_path / "none.db", "memories", "new")
    assert not (tmp_path / "none.db").exists()


def test_delete_leaves_an_architecture_that_has_intelligences(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    with OmegaStore(path) as store:
        store.architectures.put(architecture("a"))
        store.intelligences.put(intelligence("i", "a"))
    assert "'a' has 1 intelligence" in refused("delete", path, "architectures", "a")[0]
    assert run("delete", path, "intelligences", "i").stdout == "Deleted i from intelligences.\n"
    run("delete", path, "architectures", "a")


@pytest.mark.parametrize("path", ["", ":memory:"])
def test_a_store_that_would_be_gone_at_once_is_refused(path: str) -> None:
    said = run("put", path, "memories", json.dumps(PLAIN), "--create", code=2).stderr
    assert "would be gone" in said


FORMS = {
    "an object": json.dumps({**PLAIN, "id": "n1"}),
    "an object over several lines": json.dumps({**PLAIN, "id": "n1"}, indent=2),
    "an array": json.dumps([{**PLAIN, "id": "n1"}, {**PLAIN, "id": "n2"}]),
    "an object a line": "\n".join(json.dumps({**PLAIN, "id": id}) for id in ("n1", "n2", "n3")),
    "lines with blanks and line ends of Windows": f"\r\n{json.dumps(PLAIN)}\r\n\r\n",
    "a byte order mark": "\ufeff" + json.dumps(PLAIN),
    "separators that only Unicode knows": json.dumps(
        {**PLAIN, "content": "one\u2028two"}, ensure_ascii=False
    ),
    "an empty array": "[]",
    "nothing": "",
}


# Only what begins like a record is told from the name of a file.
WAYS = [
    pytest.param(text, way, id=f"{form} from {way}")
    for form, text in FORMS.items()
    for way in ("argument", "file", "stdin")
    if way != "argument" or text.strip()[:1] in {"{", "["}
]


@pytest.mark.parametrize(("text", "way"), WAYS)
def test_put_takes_records_from_everywhere_in_every_form(
    text: str, way: str, path: Path, tmp_path: Path
) -> None:
    file = tmp_path / "records.json"
    file.write_bytes(text.encode())
    source = {"argument": text, "file": file, "stdin": "-"}[way]
    before = set(memories_of(path))
    done = printed_json("put", path, "memories", source, stdin=text.encode())
    assert set(memories_of(path)) == before | set(done["ids"])
    assert done["collection"] == "memories"
    assert done["count"] == len(done["ids"]) == text.count('"id"')


def test_put_gives_fields_that_are_left_out_their_defaults(path: Path) -> None:
    record = '{"content": "Short.", "tier": 1, "importance": 0}'
    (id,) = printed_json("put", path, "memories", record)["ids"]
    stored = printed_json("get", path, "memories", id)
    assert len(id) == 36
    assert stored["created_at"] > 1_700_000_000
    assert stored["importance"] == 0.0


def test_put_takes_what_get_and_list_print(path: Path, tmp_path: Path) -> None:
    for name in ("memories", "skills", "vectors", "causal_edges"):
        lines = run("list", path, name, "--json").stdout
        (tmp_path / "lines.json").write_text(lines)
        assert run("put", path, name, tmp_path / "lines.json").exit_code == 0
        assert run("list", path, name, "--json").stdout == lines
    record = run("get", path, "memories", "m3", "--json").stdout
    run("put", path, "memories", "-", "-n", "other", stdin=record)
    assert run("get", path, "memories", "m3", "-n", "other", "--json").stdout == record


def test_put_takes_json_fields_as_text_or_as_they_are(path: Path) -> None:
    for metadata in ({"by": ["Ines", 7]}, '{"by":["Ines",7]}'):
        run("put", path, "memories", json.dumps({**PLAIN, "metadata_json": metadata}))
        stored = printed_json("get", path, "memories", "new")
        assert stored["metadata_json"] == '{"by":["Ines",7]}'


def test_put_takes_blobs_in_base64(path: Path) -> None:
    blob = base64.b64encode(bytes(8)).decode()
    record = {"id": "v2", "memory_id": "m2", "dimensions": 2, "data_blob": blob}
    run("put", path, "vectors", json.dumps(record))
    assert printed_json("get", path, "vectors", "v2")["data_blob"] == blob


BROKEN = {
    "unknown field": ({"contnet": "x"}, "has a field 'contnet'", "Did you mean content?"),
    "unlike any field": ({"zzzz": 1}, "has a field 'zzzz'", "Its fields are id, content"),
    "missing field": ({"id": "x"}, "missing required field `content`", None),
    "wrong type": ({**PLAIN, "content": 7}, "expected `str`, got `int` - at `$.content`", None),
    "out of range": ({**PLAIN, "tier": 99}, "expected `int` <= 12 - at `$.tier`", None),
    "too great for 64 bits": ({**PLAIN, "access_count": 2**70}, "`$.access_count`", None),
    "not base64": ({**PLAIN, "embedding_blob": "?"}, "`$.embedding_blob`", None),
    "no object": (7, "is not a JSON object: 7", None),
    "metadata of another shape": (
        {**PLAIN, "metadata_json": [1]},
        "metadata_json must hold a JSON object",
        None,
    ),
    "a NUL character": ({**PLAIN, "content": "a\0b"}, "content holds a NUL character", None),
}


@pytest.mark.parametrize(("record", "message", "hint"), BROKEN.values(), ids=BROKEN.keys())
def test_put_of_a_broken_record_stores_none_and_says_which_and_why(
    record: object, message: str, hint: str | None, path: Path
) -> None:
    before = memories_of(path)
    lines = f"{json.dumps(PLAIN)}\n{json.dumps(record)}\n"
    said = refused("put", path, "memories", "-", stdin=lines)
    assert message in said[0]
    assert "line 2" in said[0] or "number 1 of the batch" in said[0]
    assert hint is None or hint in said[1]
    assert memories_of(path) == before


@pytest.mark.parametrize(
    "text", ['{"id": ', '{"id": "x"} {"id": "y"}', "[" * 100_000, "{NaN}"], ids=repr
)
def test_put_of_what_is_not_json_says_where(text: str, path: Path) -> None:
    message, hint = refused("put", path, "memories", "-", stdin=text)
    assert message.startswith("line 1 is not JSON")
    assert "an object a line" in hint


def test_put_of_bytes_that_are_not_utf8_is_refused(path: Path) -> None:
    done = run("put", path, "memories", "-", code=3, stdin=b'{"content": "\xff"}')
    assert "line 1 is not JSON" in done.stderr


def test_put_of_a_missing_file_is_wrong_use(path: Path, tmp_path: Path) -> None:
    said = run("put", path, "memories", tmp_path / "none.json", code=2).stderr
    assert "neither JSON nor a file" in said


def test_put_names_the_row_that_stands_in_the_way_and_stores_none(path: Path) -> None:
    records = [{"name": "fresh"}, {"id": "s2", "name": "name of s1"}]
    for record in records:
        record.update(description="", trigger_pattern="x")
    said = refused("put", path, "skills", json.dumps(records))
    assert "belongs to 's1'" in said[0]
    assert len(printed_lines("list", path, "skills")) == 1


def test_put_shows_the_first_ids(path: Path) -> None:
    few = run("put", path, "memories", json.dumps(PLAIN)).stdout
    assert few == "Put 1 record into memories.\n  new\n"
    many = json.dumps([{**PLAIN, "id": f"n{number:02}"} for number in range(30)])
    shown = run("put", path, "memories", many).stdout.splitlines()
    assert shown[0] == "Put 30 records into memories."
    assert shown[10:] == ["  n09", "  ..."]


def test_migrate_moves_a_file_of_the_rust_crate_and_keeps_a_copy(crate: Path) -> None:
    before = crate.read_bytes()
    rehearsal = printed_json("migrate", crate, "--dry-run")
    assert rehearsal["dry_run"]
    assert crate.read_bytes() == before
    assert list(crate.parent.iterdir()) == [crate]
    done = run("migrate", crate, "--namespace", "old")
    assert "a file of the Rust crate, was migrated to schema 1" in done.stdout
    assert f"omega-persistence quarantine {crate}" in done.stderr
    found = printed_json("stats", crate, "-n", "old")
    assert found["counts"] == rehearsal["migration"]["moved"]
    assert found["quarantine_count"] == sum(rehearsal["migration"]["quarantined"].values())
    (backup,) = crate.parent.glob("*.backup")
    assert f"The file as it was is kept: {backup}\n" in done.stdout
    assert printed_json("migrate", backup, "--dry-run")["migration"] == rehearsal["migration"]


def test_migrate_dry_run_tells_what_would_be_done(crate: Path) -> None:
    shown = run("migrate", crate, "--dry-run")
    assert "would be migrated" in shown.stdout
    assert "memories" in shown.stdout
    assert shown.stderr == ""


def test_migrate_of_a_file_that_is_up_to_date_says_so(path: Path) -> None:
    assert run("migrate", path).stdout == f"{path} is up to date.\n"
    assert printed_json("migrate", path)["migration"] is None


def test_migrate_does_not_make_a_store(tmp_path: Path) -> None:
    refused("migrate", tmp_path / "none.db")
    refused("migrate", tmp_path / "none.db", "--dry-run")
    assert list(tmp_path.iterdir()) == []


def test_compact_gives_room_back(path: Path) -> None:
    with OmegaStore(path, durability="normal") as store:
        store.memories.put_many(memory(f"x{i}", content="word " * 500) for i in range(300))
        store.memories.delete_many(f"x{i}" for i in range(300))
        store.skills.put(skill("s2"))
    done = printed_json("compact", path)
    assert done["bytes_after"] < done["bytes_before"] / 2
    assert path.stat().st_size == done["bytes_after"]
    assert "now" in run("compact", path).stdout
