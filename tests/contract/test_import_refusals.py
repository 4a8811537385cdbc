"""What an import refuses, what it makes of conflicts, and that it is one transaction."""

from __future__ import annotations

import io
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import samples
from omega_persistence import (
    ConflictError,
    ImportReport,
    InvalidDataError,
    NotFoundError,
    OmegaStore,
    SchemaError,
)
from omega_persistence.entities import Collections
from omega_persistence.entities.record import Record, new_id
from omega_persistence.transfer import lines as format_lines
from strategies import ENTITIES, FAMILIES, collection_of, merged, put_parents, series

if TYPE_CHECKING:
    from pathlib import Path

HEADER = {"format": "omega-persistence", "version": 1, "schema": 1}
QUARANTINED = {"table": "memories", "raw": {"id": ["text", "bQ=="]}, "reason": "too long"}

# Asked for its tables only.
KINDS = {each.table.entity: each.table.name for each in Collections(cast("Any", None), "").all()}

few = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
each_entity = pytest.mark.parametrize("entity", ENTITIES)


def line(record: Any, **changes: Any) -> dict[str, Any]:
    """The line of a record, with fields set to any JSON, or left out for ``...``."""
    values = {**msgspec.to_builtins(record), **changes}
    given = {name: value for name, value in values.items() if value is not ...}
    return {"kind": KINDS[type(record)], "namespace": "default", "record": given}


def whole(*lines: Any) -> bytes:
    """A file with these lines or records between its header and its end."""
    middle: list[Any] = [line(each) if isinstance(each, Record) else each for each in lines]
    kinds: list[str] = [each["kind"] for each in middle if type(each) is dict and "kind" in each]
    return text(HEADER, *middle, {"kind": "end", "counts": Counter(kinds)})


def text(*lines: Any) -> bytes:
    encoded = [each if isinstance(each, bytes) else msgspec.json.encode(each) for each in lines]
    return b"".join(each + b"\n" for each in encoded)


def imported(store: OmegaStore, data: bytes, **options: Any) -> ImportReport:
    return store.import_jsonl(io.BytesIO(data), **options)


def content(store: OmegaStore) -> bytes:
    target = io.BytesIO()
    store.export_jsonl(target, all_namespaces=True)
    return target.getvalue()


# Lines that are refused. Every file starts with the header and a good line, so the bad one is the
# third.

GOOD = samples.memory("good")
M = samples.memory("bad")
MALFORMED: dict[str, tuple[Any, str]] = {
    "text that is not JSON": (b"memory", "JSON is malformed"),
    "half a line": (b'{"kind":"mem', "truncated"),
    "something after the object": (b'{"kind":"memories"}}', "trailing characters"),
    "JSON that is not an object": (b'["memories"]', "Expected `object`, got `array`"),
    "bytes that are not UTF-8": (b'{"kind":"\xff"}', "invalid start byte"),
    "a lone surrogate": (b'{"kind":"\\ud800"}', "not a line of an export"),
    "a number that JSON lacks": (b'{"kind":NaN}', "JSON is malformed"),
    "a number beyond all doubles": (b'{"kind":1e400}', "Number out of range|got `float`"),
    "nesting without end": (b'{"record":' + b"[" * 100_000, "recursion"),
    "an unknown kind": ({**line(M), "kind": "plans"}, "there is no collection 'plans'"),
    "no kind": ({"namespace": "default", "record": {}}, "missing required field `kind`"),
    "a kind that is no text": ({**line(M), "kind": 7}, "Expected `str`, got `int`"),
    "no namespace": ({"kind": "memories", "record": {}}, "has namespace and record, and nothing"),
    "an empty namespace": ({**line(M), "namespace": ""}, "namespace must be text, not empty"),
    "a namespace with NUL": ({**line(M), "namespace": "\0"}, "namespace must be text, not empty"),
    "no record": ({"kind": "memories", "namespace": "default"}, "has namespace and record"),
    "a record that is no object": ({**line(M), "record": [1]}, "not an object but \\[1\\]"),
    "a part too many": ({**line(M), "counts": {}}, "has namespace and record, and nothing else"),
    "a part that is unknown": ({**line(M), "more": 1}, "unknown field `more`"),
    "a second header": (HEADER, "unknown field `format`"),
    "no id": (line(M, id=...), "StoredMemory None: id is missing"),
    "no content": (line(M, content=...), "StoredMemory 'bad': content is missing"),
    "no time": (line(M, created_at=...), "StoredMemory 'bad': created_at is missing"),
    "an unknown field": (line(M, mood="fine"), "mood is not a field that this version knows"),
    "an empty id": (line(M, id=""), "id is refused: expected `str` of length >= 1"),
    "text for a number": (line(M, tier="4"), "tier is refused: expected `int`, got `str`"),
    "a truth for a number": (line(M, tier=True), "tier is refused: expected `int`, got `bool`"),
    "a fraction for a whole": (line(M, tier=4.5), "tier is refused: expected `int`, got `float`"),
    "a number for text": (line(M, content=4), "content is refused: expected `str`, got `int`"),
    "null for text": (line(M, content=None), "content is refused: expected `str`, got `null`"),
    "a tier that is not there": (line(M, tier=13), "tier is refused: expected `int` <= 12"),
    "a whole of 65 bits": (line(M, created_at=2**63), "created_at is refused: expected `int` <="),
    "bytes that are not base64": (line(M, embedding_blob="?"), "embedding_blob is refused: inv"),
    "NUL in text": (line(M, content="a\0b"), "content holds a NUL character"),
    "an object for JSON text": (line(M, metadata_json={}), "metadata_json is refused: expected"),
    "text that holds no JSON": (line(M, metadata_json="{"), "metadata_json is not JSON"),
    "a blob of the wrong length": (
        line(samples.vector("bad", "good"), dimensions=3),
        "data_blob has 8 bytes, not 4 \\* dimensions = 12",
    ),
    "a vector that is not finite": (
        line(samples.vector("bad", "good", float("inf"))),
        "data_blob holds NaN or infinity",
    ),
    "a quarantined row in a namespace": (
        {"kind": "quarantine", "namespace": "default", "record": QUARANTINED},
        "a line of kind 'quarantine' has record, and nothing else",
    ),
    "a quarantined row without a table": (
        {"kind": "quarantine", "record": {**QUARANTINED, "table": ""}},
        "table must be text, not empty",
    ),
    "a quarantined row with a NUL character in its reason": (
        {"kind": "quarantine", "record": {**QUARANTINED, "reason": "a\0b"}},
        "reason must be text, not empty, without NUL",
    ),
    "a quarantined row with too little": (
        {"kind": "quarantine", "record": {"table": "memories", "raw": {}}},
        "missing required field `reason`",
    ),
    "a quarantined row with too much": (
        {"kind": "quarantine", "record": {**QUARANTINED, "number": 1}},
        "unknown field `number`",
    ),
    "a quarantined row that is not base64": (
        {"kind": "quarantine", "record": {**QUARANTINED, "raw": {"id": ["text", "?"]}}},
        "Invalid base64",
    ),
    "a quarantined whole of seven bytes": (
        {
            "kind": "quarantine",
            "record": {**QUARANTINED, "raw": {"a": ["integer", "AAAAAAAAAA=="]}},
        },
        "'a' is integer of 7 bytes, not 8",
    ),
    "a quarantined value of no class": (
        {"kind": "quarantine", "record": {**QUARANTINED, "raw": {"a": ["date", ""]}}},
        "unknown storage class 'date'",
    ),
}


@pytest.mark.parametrize(("bad", "message"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_line_is_refused_by_its_number(store: OmegaStore, bad: Any, message: str):
    store.memories.put(samples.memory())
    before = content(store)
    with pytest.raises(InvalidDataError, match=rf"^line 3: .*{message}") as caught:
        imported(store, whole(GOOD, bad))
    assert caught.value.index == 2
    assert content(store) == before


def test_a_refused_field_is_named_in_the_error(store: OmegaStore):
    with pytest.raises(InvalidDataError) as caught:
        imported(store, whole(GOOD, line(samples.skill("s"), success_count=-1)))
    error = caught.value
    assert (error.kind, error.id, error.field) == ("StoredSkill", "s", "success_count")
    assert str(error) == (
        "line 3: StoredSkill 's': success_count is refused: expected `int` >= 0; it is -1"
    )


def test_what_a_newer_version_may_have_added_is_refused_with_advice(store: OmegaStore):
    newer = {**HEADER, "schema": 99, "written_by": "2.0"}
    end = {"kind": "end", "counts": {"memories": 1}}
    for bad in (line(M, mood="fine"), {**line(M), "kind": "plans"}):
        with pytest.raises(InvalidDataError) as caught:
            imported(store, text(newer, bad, end))
        assert any("upgrade omega-persistence" in note for note in caught.value.__notes__)
    imported(store, text(newer, line(M), end))
    assert store.memories.count() == 1


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"SQLite format 3\0\x10\0", "not the header of an export: JSON is malformed"),
        (b"\xef\xbb\xbf{}", "JSON is malformed"),
        ({}, "missing required field `format`"),
        ([], "Expected `object`"),
        (line(GOOD), "missing required field `format`"),
        ({**HEADER, "format": "another"}, "the format is 'another', not 'omega-persistence'"),
        ({**HEADER, "version": 0}, "Expected `int` >= 1"),
        ({**HEADER, "version": "1"}, "Expected `int`, got `str`"),
    ],
)
def test_another_kind_of_file_is_refused_by_its_header(
    store: OmegaStore, header: Any, message: str
):
    with pytest.raises(InvalidDataError, match=rf"^line 1: .*{message}") as caught:
        imported(store, text(header, {"kind": "end", "counts": {}}))
    assert caught.value.index == 0


def test_a_newer_format_is_refused(store: OmegaStore):
    with pytest.raises(
        SchemaError, match=r"^line 1: the file has version 2 of the format"
    ) as caught:
        imported(store, text({**HEADER, "version": 2}, {"new": "syntax"}))
    assert caught.value.hint == "Upgrade omega-persistence."


def test_a_line_without_end_is_refused(store: OmegaStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(format_lines, "MAX_LINE", 10_000)
    monkeypatch.setattr(format_lines, "CHUNK", 1_000)
    with pytest.raises(InvalidDataError, match=r"^line 2: the line is longer than 10000 bytes"):
        imported(store, text(HEADER, b"x" * 20_000))


@pytest.mark.parametrize("source", [io.StringIO("{}"), 7, None, b"{}"])
def test_a_source_that_gives_no_bytes_is_refused(store: OmegaStore, source: Any):
    with pytest.raises(InvalidDataError, match=r"binary file object|not bytes"):
        store.import_jsonl(source)


def test_a_path_that_cannot_be_read_is_refused(store: OmegaStore, tmp_path: Path):
    with pytest.raises(NotFoundError, match="there is no file"):
        store.import_jsonl(tmp_path / "missing.jsonl")
    with pytest.raises(InvalidDataError, match="is a folder"):
        store.import_jsonl(tmp_path)
    with pytest.raises(InvalidDataError, match="the path of a file is needed"):
        store.import_jsonl("a\0b")
    with pytest.raises(InvalidDataError, match="cannot be read"):
        store.import_jsonl(tmp_path / ("long" * 100))


def test_options_that_do_not_exist_are_refused(store: OmegaStore):
    with pytest.raises(
        InvalidDataError, match="on_conflict is one of error, skip, update"
    ) as caught:
        imported(store, whole(), on_conflict="replace")
    assert caught.value.field == "on_conflict"
    with pytest.raises(InvalidDataError, match="into must be text, not empty"):
        imported(store, whole(), into="")


# Files that were cut off or altered


def test_a_file_cut_off_anywhere_is_refused(store: OmegaStore):
    store.memories.put(samples.memory())
    before = content(store)
    data = whole(samples.memory("m"), samples.vector("v", "m"))
    ends = [place + 1 for place, byte in enumerate(data) if byte == ord("\n")]
    last = range(ends[-2], len(data) - 1)  # without its line feed the last line is still whole
    for length in (*range(0, ends[-2], 7), *ends[:-1], *last):
        with pytest.raises(InvalidDataError) as caught:
            imported(store, data[:length])
        if length:
            assert str(caught.value).startswith("line ")
        assert content(store) == before


def test_a_file_that_was_cut_off_is_called_so(store: OmegaStore):
    data = whole(samples.memory("m"))
    with pytest.raises(InvalidDataError, match="the file is empty"):
        imported(store, b"")
    at_line_end = data[: data.rindex(b'{"kind":"end"')]
    with pytest.raises(InvalidDataError, match=r"^line 2: .* without its closing line: it was cut"):
        imported(store, at_line_end)
    with pytest.raises(InvalidDataError) as caught:
        imported(store, at_line_end[:-9])
    assert caught.value.hint == "The file ends within this line: it was cut off."


END: dict[str, Any] = {"kind": "end", "counts": {"memories": 1}}
ENDS: list[tuple[list[dict[str, Any]], str]] = [
    ([{**END, "counts": {"memories": 2}}], "counts 2 of kind 'memories', the file has 1"),
    ([{**END, "counts": {}}], "counts 0 of kind 'memories', the file has 1"),
    ([{**END, "counts": {"memories": 1, "plans": 3}}], "counts 3 of kind 'plans', the file has 0"),
    ([{"kind": "end"}], "a line of kind 'end' has counts, and nothing else"),
    ([{**END, "counts": {"memories": "1"}}], "Expected `int`, got `str`"),
    ([END, line(M)], "the file goes on after its closing line"),
    ([END, HEADER], "the file goes on after its closing line"),
]


@pytest.mark.parametrize(("lines", "message"), ENDS)
def test_an_end_that_does_not_fit_is_refused(store: OmegaStore, lines: Any, message: str):
    with pytest.raises(InvalidDataError, match=rf"^line {2 + len(lines)}: .*{message}"):
        imported(store, text(HEADER, line(GOOD), *lines))
    assert store.namespaces() == []


@pytest.mark.parametrize(
    ("bad", "error"),
    [(b"{", InvalidDataError), (samples.vector("v", "nobody"), ConflictError), (M, ConflictError)],
    ids=["malformed", "missing parent", "taken id"],
)
def test_an_error_in_the_last_line_undoes_everything(
    store: OmegaStore, bad: Any, error: type[Exception]
):
    store.memories.put(M)
    before = content(store)
    many = [samples.memory(f"m{number}") for number in range(2500)]
    row = {"kind": "quarantine", "record": QUARANTINED}
    with pytest.raises(error, match=r"^line 2503: "):
        imported(store, whole(*many, row, bad))
    assert content(store) == before
    assert store.quarantine() == []
    assert store.memories.search("content") != []
    store.memories.put(samples.memory("afterwards"))


def test_a_quarantined_row_that_no_database_takes_is_refused_by_its_number(store: OmegaStore):
    row = {"kind": "quarantine", "record": QUARANTINED}
    large = {**QUARANTINED, "raw": {"a": ["blob", bytes(50 * 2**20)]}}
    lines = whole(*[row] * 1001, {"kind": "quarantine", "record": large})
    with pytest.raises(InvalidDataError, match=r"^line 1003: ") as caught:
        imported(store, lines)
    assert caught.value.index == 1002
    assert store.quarantine() == []


# Conflicts


def fill_with_one(store: OmegaStore, entity: type[Any]) -> Any:
    put_parents(store, entity)
    collection_of(store, entity).put(FAMILIES[entity].example)
    return FAMILIES[entity].example


@each_entity
def test_a_taken_id_is_refused_by_line_and_id(store: OmegaStore, entity: type[Any]):
    example = fill_with_one(store, entity)
    before = content(store)
    first, second, third = series(entity, 3)
    with pytest.raises(
        ConflictError, match=rf"^line 4: .*{example.id!r} is in namespace"
    ) as caught:
        imported(store, whole(first, second, example, third))
    error = caught.value
    assert (error.kind, error.id, error.index) == (entity.__name__, example.id, 3)
    assert content(store) == before


@each_entity
@few
@given(data=st.data())
def test_conflicts_are_skipped_or_merged(store: OmegaStore, entity: type[Any], data: Any):
    inside = store.in_namespace(new_id())
    put_parents(inside, entity)
    collection = collection_of(inside, entity)
    name = collection.table.name
    old, new = data.draw(st.tuples(*[FAMILIES[entity].records] * 2))
    fixed = [field for field, table in collection.table.references.items() if table == "memories"]
    new = replace(new, id=old.id, **{field: getattr(old, field) for field in fixed})
    collection.put(old)
    others = series(entity, 2)
    for field in collection.table.unique:
        assume({getattr(old, field), getattr(new, field)}.isdisjoint({"0", "1"}))
    # The same line twice: the second meets what the first has stored.
    lines = whole(new, *others, new)

    report = imported(store, lines, into=inside.namespace, on_conflict="skip")
    assert (report.added[name], report.updated[name], report.skipped[name]) == (2, 0, 2)
    assert collection.get(old.id) == old

    report = imported(store, lines, into=inside.namespace, on_conflict="update")
    assert (report.added[name], report.updated[name], report.skipped[name]) == (0, 4, 0)
    assert collection.get(old.id) == merged(old, new)
    assert collection.get_many([other.id for other in others]) == others


def test_an_id_that_comes_twice_in_a_file_is_a_conflict(store: OmegaStore):
    lines = whole(M, GOOD, M)
    with pytest.raises(ConflictError, match=r"^line 4: StoredMemory 'bad' is in namespace"):
        imported(store, lines)
    assert store.namespaces() == []
    far_apart = whole(M, *(samples.memory(f"{number}") for number in range(1500)), M)
    with pytest.raises(ConflictError, match=r"^line 1503: StoredMemory 'bad' is in namespace"):
        imported(store, far_apart)
    report = imported(store, far_apart, on_conflict="skip")
    assert (report.added["memories"], report.skipped["memories"]) == (1501, 1)


def test_a_taken_name_is_refused_or_skipped(store: OmegaStore):
    store.skills.put(samples.skill("owner", name="walk"))
    lines = whole(
        samples.skill("other", name="walk"),
        samples.skill("first", name="run"),
        samples.skill("second", name="run"),
    )
    for policy in ("error", "update"):
        with pytest.raises(ConflictError, match=r"^line 2: .*'walk' belongs to 'owner'") as caught:
            imported(store, lines, on_conflict=policy)
        assert (caught.value.id, caught.value.field) == ("other", "name")
    report = imported(store, lines, on_conflict="skip")
    assert (report.added["skills"], report.skipped["skills"]) == (1, 2)
    assert [skill.id for skill in store.skills] == ["first", "owner"]


def test_a_missing_parent_is_refused_whatever_the_policy(store: OmegaStore):
    orphans = (
        samples.vector("v", "nobody"),
        samples.edge("e", "good", "nobody"),
        samples.intelligence("i", "nobody"),
    )
    for policy in ("error", "skip", "update"):
        for orphan in orphans:
            with pytest.raises(ConflictError, match=r"^line 3: .*'nobody', which is not in"):
                imported(store, whole(GOOD, orphan), on_conflict=policy)
    assert store.namespaces() == []


def test_children_that_come_before_their_parents_are_refused(store: OmegaStore):
    with pytest.raises(ConflictError, match=r"^line 2: StoredVector 'v': memory_id names 'good'"):
        imported(store, whole(samples.vector("v", "good"), GOOD))


def test_a_child_that_would_move_is_refused(store: OmegaStore):
    store.memories.put_many([M, GOOD])
    store.vectors.put(samples.vector("v", "good"))
    with pytest.raises(ConflictError, match=r"^line 2: .*children never move"):
        imported(store, whole(samples.vector("v", "bad")), on_conflict="update")


def test_a_space_keeps_its_dimensions(store: OmegaStore):
    store.memories.put(GOOD)
    store.vectors.put(samples.vector("v", "good", 1.0, 2.0, space="model"))
    three = samples.vector("w", "good", 1.0, 2.0, 3.0, space="model")
    for policy in ("error", "skip", "update"):
        with pytest.raises(ConflictError, match=r"^line 2: .*model"):
            imported(store, whole(three), on_conflict=policy)


def test_an_expired_memory_is_in_the_way_like_any_other(store: OmegaStore):
    store.memories.put(replace(GOOD, expires_at=1))
    with pytest.raises(ConflictError, match="'good' is in namespace"):
        imported(store, whole(GOOD))
    child = samples.vector("v", "good")
    report = imported(store, whole(GOOD, child), on_conflict="skip")
    assert (report.skipped["memories"], report.added["vectors"]) == (1, 1)
    assert store.memories.count() == 0
    assert store.vectors.get("v") == child
    imported(store, whole(GOOD), on_conflict="update")
    assert store.memories.get("good") == GOOD


def test_a_dry_run_reports_everything_and_changes_nothing(store: OmegaStore):
    store.memories.put(GOOD)
    before = content(store)
    row = {"kind": "quarantine", "record": QUARANTINED}
    lines = whole(replace(GOOD, content="new"), M, samples.vector("v", "bad"), row)
    report = imported(store, lines, on_conflict="update", dry_run=True)
    assert content(store) == before
    assert report == msgspec.structs.replace(
        imported(store, lines, on_conflict="update"), dry_run=True
    )
    assert report.quarantined == 1
    assert content(store) != before
    with pytest.raises(ConflictError, match=r"^line 2: "):
        imported(store, lines, dry_run=True)
