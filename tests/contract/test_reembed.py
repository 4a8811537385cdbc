"""Moving a namespace to another model's vectors, while it is in use."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from embedders import LETTERS, Recorded, letters, pairs
from omega_persistence import (
    Embedder,
    InvalidDataError,
    NotFoundError,
    OmegaStore,
    TransactionError,
)
from samples import memory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Clock


def remembered(store: OmegaStore, count: int = 7) -> None:
    """Memories with vectors of the model `letters`, and one without."""
    contents = [f"text {LETTERS[: i % 26]}" for i in range(count)]
    store.remember_many(
        {
            "content": content,
            "id": f"m{i:03}",
            "speaker": "Ann",
            "vector": vector,
            "space": "letters",
        }
        for i, (content, vector) in enumerate(zip(contents, letters(contents), strict=True))
    )
    store.memories.put(memory("text only"))


def of_space(store: OmegaStore, space: str) -> dict[str, list[float]]:
    return {each.memory_id: each.array.tolist() for each in store.vectors if each.space == space}


def expected(store: OmegaStore) -> dict[str, list[float]]:
    """What the model `pairs` makes of every memory with an old vector."""
    chosen = [each for each in store.memories if each.id in of_space(store, "letters")]
    texts = [f"Ann: {each.content}" for each in chosen]
    return dict(zip((each.id for each in chosen), pairs(texts).tolist(), strict=True))


def test_every_memory_of_the_old_space_gets_a_vector_in_the_new_one(store: OmegaStore):
    remembered(store)
    recorded = Recorded(pairs)
    told: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        told.append((done, total))

    assert store.vectors.reembed("letters", "pairs", recorded, batch=3, progress=progress) == 7
    assert [len(call) for call in recorded.calls] == [3, 3, 1]
    assert told == [(3, 7), (6, 7), (7, 7)]
    assert of_space(store, "pairs") == expected(store)
    assert len(of_space(store, "letters")) == 7
    assert store.vectors.serving_space() == "pairs"


def test_a_second_run_has_nothing_to_do(store: OmegaStore):
    remembered(store)
    store.vectors.reembed("letters", "pairs", pairs)
    recorded = Recorded(pairs)
    assert store.vectors.reembed("letters", "pairs", recorded) == 0
    assert recorded.calls == []
    assert store.vectors.count() == 14


def test_old_vectors_go_only_when_that_is_asked_for(store: OmegaStore, clock: Clock):
    remembered(store)
    store.remember(
        "soon gone", id="soon", expires_at=clock.now + 9, vector=letters(["s"])[0], space="letters"
    )
    clock.now += 9
    wanted = expected(store)
    assert store.vectors.reembed("letters", "pairs", pairs, keep_old=False) == 7
    assert of_space(store, "letters").keys() == {"soon"}  # it may be renewed
    assert of_space(store, "pairs") == wanted
    assert store.vectors.reembed("letters", "pairs", pairs, keep_old=False) == 0
    store.memories.purge_expired()
    assert store.vectors.reembed("letters", "pairs", pairs, keep_old=False) == 0


def test_without_an_old_space_every_memory_gets_a_vector(store: OmegaStore):
    remembered(store)
    assert store.vectors.reembed(None, "pairs", pairs) == 8
    assert of_space(store, "pairs").keys() == {each.id for each in store.memories}


def test_other_namespaces_are_left_alone(store: OmegaStore):
    remembered(store)
    remembered(store.in_namespace("other"))
    store.vectors.reembed("letters", "pairs", pairs, keep_old=False)
    assert store.in_namespace("other").vectors.serving_space() == "letters"
    assert len(of_space(store.in_namespace("other"), "letters")) == 7


def test_a_run_that_was_cut_off_keeps_its_batches_and_is_taken_up(store: OmegaStore):
    remembered(store)
    recorded = Recorded(pairs)

    def third() -> None:
        if len(recorded.calls) == 3:
            raise ConnectionError("the model is away")

    recorded._first = third
    with pytest.raises(ConnectionError):
        store.vectors.reembed("letters", "pairs", recorded, batch=2)
    assert len(of_space(store, "pairs")) == 4
    assert store.vectors.serving_space() == "letters"

    again = Recorded(pairs)
    assert store.vectors.reembed("letters", "pairs", again, batch=2) == 3
    assert [len(call) for call in again.calls] == [2, 1]
    assert of_space(store, "pairs") == expected(store)
    assert store.vectors.serving_space() == "pairs"


KILLED = """
import os, sys
from omega_persistence import OmegaStore
from embedders import Recorded, pairs

recorded = Recorded(pairs, first=lambda: len(recorded.calls) == 3 and os._exit(7))
with OmegaStore(sys.argv[1]) as store:
    store.vectors.reembed("letters", "pairs", recorded, batch=2)
"""


def test_a_killed_process_leaves_whole_batches_and_the_old_space_serving(tmp_path: Path):
    path = tmp_path / "store.db"
    with OmegaStore(path) as store:
        remembered(store)
    command = [sys.executable, "-c", KILLED, str(path)]
    assert subprocess.run(command, env=environment(), check=False).returncode == 7
    with OmegaStore(path, embedder=letters) as store:
        assert len(of_space(store, "pairs")) == 4
        store.remember("by the old model", speaker="Ann", id="late")
        assert store.vectors.reembed("letters", "pairs", pairs, batch=2) == 4
        assert of_space(store, "pairs") == expected(store)
        assert store.check() == []


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def also(change: Callable[[], object]) -> Recorded:
    """The new model, and something that happens once while it works for the first time."""
    recorded = Recorded(pairs)
    recorded._first = lambda: change() if len(recorded.calls) == 1 else None
    return recorded


def test_what_is_stored_meanwhile_is_not_missed(tmp_path: Path):
    """By another connection: nothing is locked while the embedder works."""
    path = tmp_path / "store.db"
    with OmegaStore(path) as store, OmegaStore(path, embedder=letters, busy_timeout=0) as other:
        remembered(store)

        def change() -> None:
            # Ids before and behind the page that is being embedded.
            for id in ("a", "z"):
                other.remember(f"new {id}", speaker="Ann", id=id)
            other.remember("changed", speaker="Ann", id="m001")
            other.memories.delete("m002")
            other.memories.put(memory("m003", content="text", metadata_json={"speaker": "Ann"}))

        store.vectors.reembed("letters", "pairs", also(change), batch=4)
        found = of_space(store, "pairs")
        assert found == expected(store)
        assert found.keys() == {"a", "z", "m000", "m001", *(f"m{i:03}" for i in range(3, 7))}
        assert store.check() == []
        assert store.vectors.serving_space() == "pairs"


def test_a_vector_that_another_run_made_meanwhile_is_not_made_twice(tmp_path: Path):
    path = tmp_path / "store.db"
    with OmegaStore(path) as store, OmegaStore(path) as other:
        remembered(store)
        change = also(lambda: other.vectors.reembed("letters", "pairs", pairs))
        assert store.vectors.reembed("letters", "pairs", change, batch=4) == 0
        assert store.vectors.count() == 14


def test_a_name_that_is_no_space_is_refused(store: OmegaStore):
    remembered(store)
    with pytest.raises(NotFoundError, match="no vectors in space 'letter'") as caught:
        store.vectors.reembed("letter", "pairs", pairs)
    assert caught.value.field == "from_space"
    assert store.vectors.serving_space() == "letters"


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("letters", "letters", letters), "to_space"),
        (("letters", "", pairs), "space"),
        (("letters", 5, pairs), "space"),
        ((5, "pairs", pairs), "from_space"),
        (("letters", "pairs", "pairs"), "embed"),
        (("letters", "pairs", Embedder(pairs, "others")), "embedder"),
    ],
    ids=map(str, range(6)),
)
def test_what_makes_no_sense_is_refused(store: OmegaStore, arguments: Any, field: str):
    remembered(store)
    with pytest.raises(InvalidDataError) as caught:
        store.vectors.reembed(*arguments)
    assert caught.value.field == field
    with pytest.raises(InvalidDataError):
        store.vectors.reembed("letters", "pairs", pairs, batch=0)
    with pytest.raises(InvalidDataError, match="no old space"):
        store.vectors.reembed(None, "pairs", pairs, keep_old=False)
    with pytest.raises(InvalidDataError, match="returned the shape"):
        store.vectors.reembed("letters", "pairs", lambda _: np.zeros(3))


def test_a_transaction_reembeds_as_a_whole_and_a_snapshot_not_at_all(store: OmegaStore):
    remembered(store)
    with suppress(KeyError), store.transaction() as tx:
        tx.vectors.reembed("letters", "pairs", pairs, batch=2, keep_old=False)
        assert tx.vectors.serving_space() == "pairs"
        raise KeyError
    assert store.vectors.serving_space() == "letters"
    assert of_space(store, "pairs") == {}
    with store.snapshot() as snap, pytest.raises(TransactionError):
        snap.vectors.reembed("letters", "pairs", pairs)
