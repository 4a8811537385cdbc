"""Codes of vectors: in the file, in memory, and how they follow the vectors."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from omega_persistence import CorruptionError, OmegaStore
from omega_persistence.backends.sqlite.backend import SQLiteBackend
from omega_persistence.backends.sqlite.errors import ascending
from omega_persistence.backends.sqlite.session import SQLiteSession
from omega_persistence.backends.sqlite.vectors import codes, mirror, mirrors, nearest, scan
from omega_persistence.backends.sqlite.vectors.mirrors import Space
from samples import memory, vector
from sqlite.support import execute, python

if TYPE_CHECKING:
    from numpy.typing import NDArray


def clustered(rows: int, dimensions: int, seed: int = 1) -> NDArray[np.float32]:
    """Vectors around a few centres, all of them off the origin."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((50, dimensions)) + 0.5
    noise = random.standard_normal((rows, dimensions))
    return (centres[random.integers(50, size=rows)] + noise).astype(np.float32)


def store_of(path: Path, rows: NDArray[np.float32]) -> None:
    with OmegaStore(path, durability="normal") as store:
        names = [f"m{n:05}" for n in range(len(rows))]
        store.memories.put_many(memory(id) for id in names)
        store.vectors.put_many(rows, memory_ids=names, ids=names)


def found(store: OmegaStore, query: object, limit: int = 10, *, exact: bool = False) -> list[str]:
    hits = store.vectors.nearest(np.asarray(query), limit=limit, exact=exact)
    return [hit.memory_id for hit in hits]


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 200), st.integers(1, 300), st.integers(0, 2**32 - 1), st.floats(1e-38, 1e30))
def test_a_code_has_the_direction_of_its_vector(
    rows: int, dimensions: int, seed: int, size: float
) -> None:
    random = np.random.default_rng(seed)
    vectors = (random.standard_normal((rows, dimensions)) * size).astype(np.float32)
    blobs = codes.encode_blobs([row.tobytes() for row in vectors], dimensions)
    assert blobs == [codes.encode(row[np.newaxis]).tobytes() for row in vectors]
    assert blobs == [codes.encode_one(row.tobytes(), dimensions) for row in vectors]
    decoded = codes.decode(blobs, dimensions)
    units = vectors.astype(float) / np.linalg.norm(vectors.astype(float), axis=1, keepdims=True)
    coded = decoded["levels"] * decoded["scale"][:, np.newaxis].astype(float)
    np.testing.assert_allclose(np.linalg.norm(coded, axis=1), 1, 1e-6)
    bound = np.sqrt(dimensions) / 254 * np.abs(units).max(axis=1)
    assert (np.linalg.norm(coded - units, axis=1) <= 2.1 * bound).all()


@pytest.mark.parametrize("dimensions", [1, 1040, 1041, 1042, 100_000])
def test_the_length_of_a_code_is_exact_however_long_it_is(dimensions: int) -> None:
    """As it is where all levels are the greatest, whose squares add up to the most."""
    code = codes.encode(np.full((1, dimensions), -0.3, np.float32))
    assert code["scale"][0] == np.float32(1 / (127 * np.sqrt(dimensions)))
    assert (
        codes.encode_one(np.full(dimensions, -0.3, "<f4").tobytes(), dimensions) == code.tobytes()
    )


@pytest.mark.parametrize("dimensions", [1, 63, 64, 65, 200, 384, 1000])
@pytest.mark.parametrize("block", [7, 1000])
def test_the_first_level_counts_the_bits_that_differ(
    tmp_path: Path, dimensions: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "BLOCK", block)
    monkeypatch.setattr("omega_persistence.backends.sqlite.vectors.mirror._SMALLEST", 2)
    vectors = clustered(100, dimensions)
    store_of(tmp_path / "store.db", vectors)
    with OmegaStore(tmp_path / "store.db") as store, store._backend.snapshot() as session:
        assert isinstance(session, SQLiteSession)
        found = session.mirrors.scan(session, Space("default", "", dimensions))
        assert found.averages is not None
        query = codes.encode(vectors[:1])["levels"]
        differing = found._differing(scan.words(query, found.averages)[:, 0])
    levels = codes.encode(vectors)["levels"]
    expected = ((levels > found.averages) != (query > found.averages)).sum(axis=1)
    assert differing.tolist() == expected.tolist()


@settings(max_examples=200, deadline=None)
@given(st.integers(2, 9000), st.integers(1, 400), st.integers(0, 2**32 - 1), st.data())
def test_those_with_the_fewest_bits_that_differ_are_chosen(
    size: int, different: int, seed: int, data: st.DataObject
) -> None:
    """However well a sample tells them: sorted numbers, few of them, and one that is rare."""
    random = np.random.default_rng(seed)
    numbers = random.integers(different, size=size).astype(np.uint16)
    order = data.draw(st.sampled_from(["any", "ascending", "descending", "alike where sampled"]))
    if order == "alike where sampled":
        numbers[:: max(1, size // 2048)] = 0
    elif order != "any":
        numbers.sort()
    numbers = numbers[::-1].copy() if order == "descending" else numbers
    count = data.draw(st.integers(1, size - 1))
    least = np.sort(numbers)[count - 1]
    assert scan._least(numbers, count).tolist() == np.flatnonzero(numbers <= least).tolist()


def test_nearly_all_are_found_among_many(tmp_path: Path) -> None:
    vectors, questions = np.split(clustered(6050, 384), [6000])
    assert len(vectors) > 10 * nearest.FEWEST
    store_of(tmp_path / "store.db", vectors)
    with OmegaStore(tmp_path / "store.db") as store:
        right = sum(
            len({*found(store, query)} & {*found(store, query, exact=True)}) for query in questions
        )
        assert right >= 0.99 * 10 * len(questions)
        many, all_of_them = (set(found(store, questions[0], 500, exact=e)) for e in (False, True))
        assert len(many & all_of_them) >= 495
        # The closest are gone, and then come back in another order of arrival.
        closest = found(store, questions[0], 100)
        lost = store.vectors.get_many(closest)
        store.vectors.delete_many(closest)
        assert not {*found(store, questions[0], 100)} & {*closest}
        store.vectors.put_many(lost)
        assert found(store, questions[0], 100) == closest
        assert store.check() == []


@pytest.mark.parametrize("few", [8, 1000])
def test_a_filter_that_few_pass_is_answered_from_their_codes_wherever_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    """Also while so few codes wait to be put in the order of their memories."""
    monkeypatch.setattr(mirror, "_FEW", few)
    rows, queries = np.split(clustered(620, 384), [600])
    ids = [f"m{n:05}" for n in range(len(rows))]
    with OmegaStore(tmp_path / "store.db") as store:
        store.memories.put_many(
            memory(id, session=f"s{n % 20}", expires_at=1 if n % 50 == 7 else None)
            for n, id in enumerate(ids)
        )
        lasting = [n for n in range(len(rows)) if n % 50 != 7]
        store.vectors.put_many(
            rows[lasting], memory_ids=[ids[n] for n in lasting], ids=[ids[n] for n in lasting]
        )
        soon = store.memories.get("m00027")

        def all_are_right() -> None:
            for number, query in enumerate(queries):
                ask = partial(store.vectors.nearest, query, limit=12, session=f"s{number}")
                with mock.patch.object(nearest, "NARROW", -1):
                    of_all = ask(exact=True)
                assert ask() == ask(exact=True) == of_all
                assert len(of_all) > 5

        all_are_right()
        assert store.vectors.nearest(queries[0])  # the codes are at hand from now on
        all_are_right()
        # Codes that are written anew, and those of new vectors, come after all others.
        again = store.vectors.get_many(ids[100:160])
        store.vectors.delete_many(each.id for each in again)
        store.vectors.put_many(reversed(again))
        all_are_right()
        store.vectors.put_many(replace(each, data_blob=rows[0].tobytes()) for each in again[:9])
        all_are_right()
        store.memories.put(replace(soon, expires_at=1))
        all_are_right()
        assert store.check() == []


def test_a_filter_that_most_do_not_pass_is_looked_for_further_and_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nearest, "NARROW", 10)
    monkeypatch.setattr(nearest, "REACH", 50)
    store_of(tmp_path / "store.db", clustered(3000, 384))
    with OmegaStore(tmp_path / "store.db") as store:
        wanted = [f"m{n:05}" for n in range(0, 3000, 100)]
        store.memories.put_many(memory(id, session="rare") for id in wanted)
        for query in clustered(20, 384, seed=3):
            hits = store.vectors.nearest(query, session="rare", limit=5)
            assert hits == store.vectors.nearest(query, session="rare", limit=5, exact=True)


@pytest.mark.parametrize(
    "narrowed",
    [
        {"session": "s3"},
        {"tiers": [2, 3]},
        {"tiers": [4], "since": 500, "until": 1500},
        {"tiers": [4], "since": 0},
        {"since": 400, "until": 700},
        {"min_importance": 0.8},
        {"session": "s3", "where": {"even": True}},
        {"tiers": [1], "where": {"even": False}, "min_importance": 0.5},
        {"where": {"even": True}},
    ],
    ids=str,
)
def test_a_filter_that_little_passes_is_answered_from_what_its_index_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, narrowed: dict[str, Any]
) -> None:
    """Whatever part of the filter that is, and however the vectors lie in memory."""
    monkeypatch.setattr(nearest, "NARROW", 20)
    monkeypatch.setattr(nearest, "FEWEST", 100)
    monkeypatch.setattr(nearest, "TRIED", 30)
    monkeypatch.setattr(scan, "BLOCK", 700)
    monkeypatch.setattr(mirror, "_SMALLEST", 300)
    rows, queries = np.split(clustered(2020, 64), [2000])
    random = np.random.default_rng(9)
    ids = [f"m{n:05}" for n in range(1500)]
    with OmegaStore(tmp_path / "store.db", durability="normal") as store:
        store.memories.put_many(
            memory(
                id,
                session=f"s{n // 7 % 20}",
                tier=1 + n % 11,
                created_at=n,
                importance=n * 7 % 1500 / 1500,
                metadata_json='{"even": %s}' % ("true" if n % 2 == 0 else "false"),
                expires_at=1 if n % 9 == 0 else None,
            )
            for n, id in enumerate(ids)
        )
        lasting = [id for n, id in enumerate(ids) if n % 9]
        picked: list[int] = random.integers(len(lasting), size=len(rows)).tolist()
        owners = [lasting[n] for n in picked]
        vectors = [f"v{n:04}" for n in range(len(rows))]
        store.vectors.put_many(rows[:1200], memory_ids=owners[:1200], ids=vectors[:1200])
        assert store.vectors.nearest(queries[0])  # the codes are at hand from now on
        store.vectors.put_many(rows[1200:], memory_ids=owners[1200:], ids=vectors[1200:])
        store.memories.delete_many(owners[:50])
        found = right = 0
        for query in queries:
            closest = store.vectors.nearest(query, limit=15, exact=True, **narrowed)
            hits = store.vectors.nearest(query, limit=15, **narrowed)
            assert len(hits) == len(closest) > 5
            right += len({*hits} & {*closest})
            found += len(closest)
        assert right >= 0.98 * found
        assert store.check() == []


@pytest.mark.parametrize("large", [False, True])
def test_a_memory_with_many_vectors_does_not_take_the_places_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    """As the parts of a long text have."""
    parts_of_long = 3000 if large else 300
    near, others = clustered(1, 64)[0], clustered(200, 64, seed=5)
    with OmegaStore(tmp_path / "store.db", durability="normal") as store:
        ids = ["long", *(f"m{n:03}" for n in range(200))]
        store.memories.put_many(map(memory, ids))
        parts = near + clustered(parts_of_long, 64, seed=7) / 1000
        store.vectors.put_many(parts, memory_ids=["long"] * len(parts))
        store.vectors.put_many(others, memory_ids=ids[1:])
        for limit in (1, 10, 60):
            assert found(store, near, limit) == found(store, near, limit, exact=True)
            assert len(found(store, near, limit)) == limit
        assert len(found(store, near, 300)) == 201
        # Few memories pass, but most of the vectors are theirs; and those that are closest do not.
        store.memories.put(memory("long", tier=1))
        for narrow in (nearest.NARROW, 0):
            monkeypatch.setattr(nearest, "NARROW", narrow)
            for tiers, passing in (([1], 1), ([1, 4], 201), ([4], 200)):
                hits = store.vectors.nearest(near, tiers=tiers, limit=30)
                assert hits == store.vectors.nearest(near, tiers=tiers, limit=30, exact=True)
                assert len(hits) == min(30, passing)
        assert store.check() == []


@pytest.mark.parametrize(
    ("damage", "detail"),
    [
        ("DELETE FROM vector_codes WHERE seq = 2", "without a code, or with a wrong one: 1"),
        ("UPDATE vector_codes SET code = x'00' WHERE seq > 1", "with a wrong one: 2"),
        ("UPDATE vectors SET data_blob = x'0000803f00000000'", "with a wrong one: 3"),
        (
            "PRAGMA foreign_keys = off; INSERT INTO vector_codes VALUES (99, 1, x'00')",
            "codes without a vector: 1",
        ),
        ("UPDATE vector_codes SET memory = memory + 1", "with a wrong one: 3"),
    ],
)
def test_codes_that_are_not_those_of_their_vectors_are_found_and_made_anew(
    tmp_path: Path, damage: str, detail: str
) -> None:
    path = tmp_path / "store.db"
    store_of(path, np.array([[1, 1], [1, 2], [2, 1]], np.float32))
    with OmegaStore(path) as store:
        assert found(store, [1, 1]) == ["m00000", "m00001", "m00002"]
    execute(path, damage)
    with OmegaStore(path) as store:
        problems = [each for each in store.check() if each.table == "vector_codes"]
        assert [each.detail for each in problems if each.kind == "vector"] == [
            each.detail for each in problems if each.detail.endswith(detail)
        ]
        assert problems
        store.reindex()
        assert store.check() == []
        assert len(found(store, [1, 1])) == 3


@pytest.mark.parametrize(
    ("numbers", "of_all"), [("0000803f0000c07f", True), ("000080ff00000000", False)]
)
def test_numbers_that_are_not_finite_are_damage(tmp_path: Path, numbers: str, of_all: bool) -> None:
    path = tmp_path / "store.db"
    store_of(path, np.array([[1, 1], [1, 2], [2, 1]], np.float32))
    which = "" if of_all else " WHERE seq = 2"
    execute(path, f"UPDATE vectors SET data_blob = x'{numbers}'{which}")
    with OmegaStore(path) as store:
        (problem,) = store.check()
        count = 3 if of_all else 1
        assert problem.table == "vectors"
        assert problem.detail == f"vectors that hold NaN or infinity: {count}"
        with pytest.raises(CorruptionError, match="NaN or infinity"):
            store.vectors.nearest([1, 1], exact=True)
        with pytest.raises(CorruptionError, match="NaN or infinity"):
            store.reindex()


@pytest.mark.parametrize(
    "damage",
    ["code = x'00'", "code = substr(code, 2)", "code = 'sixsix'", "code = 123456", "memory = 'm'"],
)
def test_a_code_that_cannot_be_read_is_damage_to_those_who_search(
    tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "store.db"
    vectors = np.array([[1, 1], [1, 2], [2, 1]], np.float32)
    store_of(path, vectors)
    execute(
        path,
        """
        PRAGMA writable_schema = on;
        UPDATE sqlite_schema SET sql = replace(sql, 'STRICT', '') WHERE name = 'vector_codes'
        """,
    )
    execute(path, f"UPDATE vector_codes SET {damage} WHERE seq = 2")
    with OmegaStore(path) as store:
        for _ in range(2):
            with pytest.raises(CorruptionError, match=r"6 bytes of its|names its memory by"):
                store.vectors.nearest([1, 1])
        hits = store.vectors.nearest([1, 1], exact=True)
        assert [hit.memory_id for hit in hits] == ["m00000", "m00001", "m00002"]


def test_vectors_that_the_index_of_ids_does_not_have_are_damage(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store_of(path, np.array([[1, 1], [1, 2], [2, 1]], np.float32))
    execute(
        path,
        """
        CREATE TABLE hollow (namespace TEXT, id TEXT, UNIQUE (namespace, id));
        PRAGMA writable_schema = on;
        UPDATE sqlite_schema SET rootpage =
            (SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_hollow_1')
        WHERE name = 'sqlite_autoindex_vectors_1'
        """,
    )
    with OmegaStore(path) as store:
        with pytest.raises(CorruptionError, match="cannot be found by its id"):
            store.reindex()
        assert store.check() != []


def test_a_vector_that_lost_its_memory_is_damage_that_recall_passes_by(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store_of(path, np.array([[1, 1], [1, 2], [2, 1]], np.float32))
    execute(path, "DELETE FROM memories WHERE id = 'm00001'")
    with OmegaStore(path) as store:
        assert [hit.memory.id for hit in store.recall(vector=[1, 2])] == ["m00000", "m00002"]
        assert {problem.kind for problem in store.check()} == {"foreign_key"}


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("damage", ["dimensions = 0, data_blob = x''", "dimensions = -1"])
def test_a_vector_without_dimensions_is_damage_to_those_who_need_its_numbers(
    path: Path, damage: str, rows: int
) -> None:
    store_of(path, np.array([[1, 1], [1, 2], [2, 1]], np.float32)[:rows])
    execute(path, f"PRAGMA ignore_check_constraints = on; UPDATE vectors SET {damage}")
    with OmegaStore(path) as store:
        assert {problem.kind for problem in store.check()} == {"integrity"}
        with pytest.raises(CorruptionError):
            store.reindex()


def test_codes_of_more_numbers_are_kept_and_scored_fewer_together(tmp_path: Path) -> None:
    dimensions = 3072
    vectors, questions = np.split(clustered(1110, dimensions), [1100])
    store_of(tmp_path / "store.db", vectors)
    with OmegaStore(tmp_path / "store.db") as store:
        for query in questions:
            assert found(store, query) == found(store, query, exact=True)
        with store._backend.snapshot() as session:
            assert isinstance(session, SQLiteSession)
            kept = session.mirrors.scan(session, Space("default", "", dimensions))
            assert kept.filled == 1100
            assert sum(block.levels.nbytes for block in kept.blocks) <= scan.BLOCK * 384


def test_pages_that_do_not_ascend_are_damage() -> None:
    """As in a table whose pages a damaged file links to a circle."""
    assert ascending(5, 4) == 5
    for last in (4, 3, "5", None):
        with pytest.raises(CorruptionError, match="out of order"):
            ascending(last, 4)


OTHER = """
import sys
from omega_persistence import OmegaStore, StoredVector
with OmegaStore(sys.argv[1]) as store:
    store.vectors.put(StoredVector.from_array("m00002", [0.0, 1.0], id="m00002"))
    store.memories.delete("m00000")
"""


def test_what_another_process_committed_is_found_at_the_next_call(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store_of(path, np.array([[0, 1], [1, 1], [1, 0]], np.float32))
    with OmegaStore(path) as store:
        assert found(store, [0, 1]) == ["m00000", "m00001", "m00002"]
        with store.snapshot() as snapshot:
            python(OTHER, path)
            hits = snapshot.vectors.nearest([0, 1])
            assert [hit.memory_id for hit in hits] == ["m00000", "m00001", "m00002"]
        assert found(store, [0, 1]) == ["m00002", "m00001"]


LAZY = """
import sys
from omega_persistence import OmegaStore
with OmegaStore(sys.argv[1]) as store:
    store.memories.search("content")
    assert store.vectors.get("m00000").dimensions == 2
    assert "numpy" not in sys.modules
    store.vectors.nearest([0.0, 1.0])
    assert "numpy" in sys.modules
"""


def test_nothing_is_loaded_before_the_first_search(tmp_path: Path) -> None:
    store_of(tmp_path / "store.db", np.ones((1, 2), np.float32))
    python(LAZY, tmp_path / "store.db")


def test_a_filter_that_few_pass_loads_nothing_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that asks once about one conversation does not read the codes of all others."""
    rows = clustered(50, 8)
    store_of(tmp_path / "store.db", rows)

    def load(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(mirror.Mirror, "_load", load)
    with OmegaStore(tmp_path / "store.db") as store:
        store.memories.put_many(memory(f"m{n:05}", session="one") for n in range(30))
        for exact in (False, True):
            hits = store.vectors.nearest(rows[7], session="one", exact=exact)
            assert hits[0].memory_id == "m00007"
        for _ in range(2):  # a load that failed is none
            with pytest.raises(AssertionError):
                store.vectors.nearest(rows[7])
            assert store.vectors.nearest(rows[7], session="one")


def test_whoever_is_further_behind_than_the_log_of_changes_reads_all_again(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store_of(path, np.array([[0, 1], [1, 1]], np.float32))
    rows = np.array([[-1, 0]] * 3000)
    with OmegaStore(path, durability="normal") as store, OmegaStore(path) as second:
        assert found(store, [1, 0]) == ["m00001", "m00000"]
        for _ in range(8):
            second.vectors.put_many(
                rows, memory_ids=["m00000"] * len(rows), ids=[str(n) for n in range(len(rows))]
            )
        second.vectors.put(vector("m00000", "m00000", 1, 0))
        assert found(store, [1, 0]) == ["m00000", "m00001"]
        assert store.check() == []
    ((kept,),) = execute(path, "SELECT count(*) FROM vector_changes")
    assert 20_000 <= kept <= 21_000


def test_mirrors_that_were_not_used_for_longest_go_when_there_is_no_room(
    file_store: OmegaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = file_store._backend
    assert isinstance(backend, SQLiteBackend)
    kept = backend._connector.mirrors
    monkeypatch.setattr(mirrors, "MAX_BYTES", 100)
    for name in ("a", "b", "c", "a"):
        agent = file_store.in_namespace(name)
        agent.memories.put(memory("m"))
        agent.vectors.put_many(np.eye(3, 30), memory_ids=list("mmm"), ids=list("xyz"))
        agent.vectors.nearest(np.ones(30))
        assert [space.namespace for space in kept._mirrors] == [name]
    monkeypatch.setattr(mirrors, "MAX_BYTES", 1000)
    file_store.in_namespace("b").vectors.nearest(np.ones(30))
    assert [space.namespace for space in kept._mirrors] == ["a", "b"]


def test_a_search_that_failed_leaves_no_code_behind_that_should_not_be_there(
    file_store: OmegaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("omega_persistence.backends.sqlite.vectors.mirror._SMALLEST", 2)
    backend = file_store._backend
    assert isinstance(backend, SQLiteBackend)
    file_store.memories.put_many(memory(id) for id in "abcdef")
    file_store.vectors.put_many(np.eye(2, 8), memory_ids=list("ab"), ids=list("ab"))
    assert len(file_store.vectors.nearest(np.ones(8))) == 2

    def fail(_: object) -> None:
        raise MemoryError

    def put_and_search(store: OmegaStore) -> None:
        with store.transaction() as tx:
            tx.vectors.put_many(np.eye(4, 8), memory_ids=list("cdef"), ids=list("cdef"))
            tx.vectors.nearest(np.ones(8))

    with monkeypatch.context() as patch:
        patch.setattr(scan, "with_bits", fail)
        with pytest.raises(MemoryError):
            put_and_search(file_store)
    with backend.snapshot() as session:
        assert isinstance(session, SQLiteSession)
        seen = session.mirrors.scan(session, Space("default", "", 8))
        assert len(seen.nearest(np.ones(8, np.float32), 10)) == 2
    file_store.vectors.put_many(np.eye(3, 8), memory_ids=list("cde"), ids=list("cde"))
    assert len(file_store.vectors.nearest(np.ones(8))) == 5
    assert file_store.check() == []


def test_a_search_that_failed_halfway_leaves_no_vector_out(
    file_store: OmegaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change that was read, then rolled back, is in no log that another search would follow."""
    file_store.memories.put_many(memory(id) for id in "abcd")
    file_store.vectors.put_many(np.eye(3, 8), memory_ids=list("abc"), ids=list("abc"))
    assert len(file_store.vectors.nearest(np.ones(8))) == 3

    def fail(*_: object) -> None:
        raise MemoryError

    def put_and_search(store: OmegaStore) -> None:
        with store.transaction() as tx:
            tx.vectors.put(vector("b", "b", *[2.0] * 8))
            tx.vectors.nearest(np.ones(8))

    for step in ("_add", "_stand"):
        with monkeypatch.context() as patch:
            patch.setattr(mirror.Mirror, step, fail)
            with pytest.raises(MemoryError):
                put_and_search(file_store)
        file_store.vectors.put(vector("d", "d", *[1.0] * 8))
        assert sorted(found(file_store, np.ones(8))) == ["a", "b", "c", "d"]
    assert file_store.check() == []


def test_threads_share_a_mirror_and_each_finds_what_its_snapshot_holds(tmp_path: Path) -> None:
    """Searches never miss a vector that their snapshot has, nor find one that it has not."""
    path = tmp_path / "store.db"
    store_of(path, clustered(200, 8))
    with OmegaStore(path, durability="normal") as store:

        def write(seed: int) -> None:
            random = np.random.default_rng(seed)
            for row in clustered(150, 8, seed):
                id = f"m{random.integers(200):05}"
                with store.transaction() as tx:
                    tx.vectors.put(vector(id, id, *map(float, row)))
                    tx.vectors.nearest(row, limit=1)

        def read(seed: int) -> None:
            for query in clustered(100, 8, seed):
                with store.snapshot() as snapshot:
                    hits = snapshot.vectors.nearest(query, limit=20)
                    assert hits == snapshot.vectors.nearest(query, limit=20, exact=True)

        sys.setswitchinterval(1e-5)
        try:
            with ThreadPoolExecutor(4) as pool:
                for done in [pool.submit(work, seed) for seed in (1, 2) for work in (write, read)]:
                    done.result()
        finally:
            sys.setswitchinterval(5e-3)
        assert store.check() == []
