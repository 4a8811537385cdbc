"""Giving back room and tidying indexes, while others use the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from omega_persistence import OmegaStore, StoredMemory, TransactionError
from samples import memory
from sqlite.support import Holder, execute

if TYPE_CHECKING:
    from pathlib import Path


def fill(store: OmegaStore) -> list[StoredMemory]:
    """Many memories, of which few are left; returns those."""
    store.memories.put_many(memory(f"m{n:04}", content=f"word{n} " * 100) for n in range(1000))
    store.memories.delete_many(f"m{n:04}" for n in range(1000) if n % 50)
    return store.memories.scan(limit=None)


def test_compact_gives_back_free_room_and_keeps_every_record(store: OmegaStore) -> None:
    left = fill(store)
    store.optimize()  # so that nothing of it is in the log only
    before = store.statistics()
    store.compact()
    after = store.statistics()
    assert before.free_bytes > 100_000
    assert (after.free_bytes, after.wal_bytes) == (0, 0)
    assert after.file_bytes < before.file_bytes / 3
    assert store.memories.scan(limit=None) == left
    assert [hit.memory.id for hit in store.memories.search("word950")] == ["m0950"]


def test_optimize_merges_the_full_text_index_and_tells_the_planner(
    file_store: OmegaStore, tmp_path: Path
) -> None:
    for number in range(100):
        file_store.memories.put(memory(f"m{number}", content=f"word{number} in common"))
    segments = "SELECT count(DISTINCT segid) FROM memories_fts_idx"
    assert execute(tmp_path / "store.db", segments)[0][0] > 1
    file_store.optimize()
    assert execute(tmp_path / "store.db", segments) == [(1,)]
    assert execute(tmp_path / "store.db", "SELECT count(*) > 0 FROM sqlite_stat1") == [(1,)]
    assert [hit.memory.id for hit in file_store.memories.search("word42")] == ["m42"]


def test_reindex_repairs_what_check_found_and_tells_how_far_it_is(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with OmegaStore(path, durability="normal") as store:
        store.memories.put_many(memory(f"m{n:04}", content=f"word{n}") for n in range(2500))
        store.in_namespace("other").memories.put(memory("expired", content="word0", expires_at=1))
        for inside in (store, store.in_namespace("another")):
            inside.remember_many({"content": "near", "vector": [1, n]} for n in range(5))
    execute(
        path,
        """
        INSERT INTO memories_fts (memories_fts) VALUES ('delete-all');
        DELETE FROM vector_codes WHERE seq < 3;
        UPDATE vector_codes SET code = (SELECT code FROM vector_codes WHERE seq = 9) WHERE seq = 8;
        """,
    )
    with OmegaStore(path) as store:
        found = sorted({problem.kind for problem in store.check()})
        assert found == ["full_text", "vector"]
        assert store.memories.search("word7") == []
        told: list[tuple[int, int]] = []

        def stop(done: int, total: int) -> None:
            told.append((done, total))
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            store.reindex(progress=stop)
        assert sorted({problem.kind for problem in store.check()}) == found
        store.reindex(progress=lambda done, total: told.append((done, total)))
        done = [1000, 1000, 2000, 2511, 2521]
        assert told == [(number, 2521) for number in done]
        assert store.check() == []
        assert [hit.memory.id for hit in store.memories.search("word7")] == ["m0007"]
        assert len(store.vectors.nearest([1, 1])) == 5
        store.reindex()
        assert store.check() == []


@pytest.mark.parametrize("work", ["compact", "optimize"])
def test_readers_go_on_and_see_what_they_saw(work: str, tmp_path: Path) -> None:
    with OmegaStore(tmp_path / "store.db", busy_timeout=0.1) as store:
        left = fill(store)
        with Holder(store, "snapshot"):
            getattr(store, work)()  # the log cannot be shortened yet, which is no error
            assert store.memories.scan(limit=None) == left
        store.memories.put(memory("later"))
        assert store.check() == []


@pytest.mark.parametrize("work", ["compact", "optimize", "reindex"])
@pytest.mark.parametrize("block", ["transaction", "snapshot"])
def test_neither_is_done_within_a_block_of_the_same_thread(
    block: str, work: str, store: OmegaStore
) -> None:
    with getattr(store, block)(), pytest.raises(TransactionError):
        getattr(store, work)()


def test_the_log_is_shortened_again_after_a_large_transaction(tmp_path: Path) -> None:
    with OmegaStore(tmp_path / "store.db") as store:
        fill(store)
        store.optimize()
        assert store.statistics().wal_bytes == 0
