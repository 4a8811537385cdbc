"""What doctor() and statistics() tell about a store and the place where it lies."""

from __future__ import annotations

import re
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from omega_persistence import Note, OmegaStore
from omega_persistence.backends import Hold
from omega_persistence.backends.surroundings import Surroundings
from omega_persistence.doctor.surroundings import about_surroundings
from samples import architecture, edge, intelligence, memory, skill

if TYPE_CHECKING:
    from conftest import Clock

HEALTHY = Surroundings(engine="SQLite 3", address="/data/store.db", disk_free_bytes=2**40)
MIB = 2**20


def kinds(store: OmegaStore) -> list[str]:
    return [note.kind for note in store.doctor()]


def test_a_healthy_store_in_a_healthy_place_is_not_worth_a_note(store: OmegaStore) -> None:
    store.memories.put_many(memory(f"m{n}") for n in range(10))
    store.causal_edges.put(edge("e", "m1", "m2"))
    store.architectures.put(architecture("a"))
    store.intelligences.put(intelligence("i", "a", memories_json='["m1"]'))
    store.skills.put(skill("s"))
    assert store.doctor() == []
    assert about_surroundings(HEALTHY) == []


@pytest.mark.parametrize(
    ("facts", "kind", "words", "hint"),
    [
        ({"newer_schema": 9}, "newer_schema", "schema 9 newer version", "Upgrade"),
        ({"unclean": True}, "unclean_shutdown", "/data/store.db did not close", "Run check()"),
        (
            {"held": Hold(seconds=60, thread="planner")},
            "long_snapshot",
            "thread planner open for 60 s",
            "End it",
        ),
        (
            {"network": True, "file_system": "nfs4"},
            "network_disk",
            "nfs4 network file system",
            "one machine only",
        ),
        ({"others_read": True}, "permissions", "every user can read", "chmod 600"),
        (
            {"others_read": True, "others_write": True},
            "permissions",
            "every user can change",
            "chmod 600",
        ),
        ({"file_writable": False}, "not_writable", "/data/store.db write to the file", "owner"),
        ({"folder_writable": False}, "not_writable", "/data in the folder", "permissions"),
        ({"disk_free_bytes": 0}, "disk_space", "0.0 MiB nearly full", "Free some room"),
        (
            {"disk_free_bytes": 80 * MIB, "file_bytes": 100 * MIB},
            "disk_space",
            "80.0 MiB no room for a copy 100.0 MiB",
            "compact()",
        ),
    ],
)
def test_a_fact_that_may_do_harm_is_noted(
    facts: dict[str, Any], kind: str, words: str, hint: str
) -> None:
    (note,) = about_surroundings(replace(HEALTHY, **facts))
    assert note.kind == kind
    text = f"{note.subject} {note.text}"
    assert re.search(".*".join(map(re.escape, words.split())), text), text
    assert hint in note.hint


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "has grown"),
        (
            {"log_waiting_bytes": 70 * MIB, "readers": [4711, 4712]},
            "reading now: process 4711, 4712",
        ),
        ({"log_waiting_bytes": 70 * MIB, "read_elsewhere": True}, "another process"),
        (
            {"log_waiting_bytes": 70 * MIB, "held": Hold(seconds=9, thread="planner")},
            "thread planner of this process",
        ),
        ({"log_waiting_bytes": 70 * MIB, "read_elsewhere": False}, "70.0 MiB of it is not yet in"),
    ],
)
def test_a_log_that_has_grown_is_noted_with_who_is_in_the_way(
    facts: dict[str, Any], words: str
) -> None:
    (note,) = about_surroundings(replace(HEALTHY, **{"log_bytes": 80 * MIB, **facts}))
    assert (note.kind, note.subject) == ("large_log", "80.0 MiB")
    assert words in note.text
    assert note.hint


def test_what_is_open_for_a_short_time_only_is_not_worth_a_note() -> None:
    held = Hold(seconds=59, thread="planner")
    assert about_surroundings(replace(HEALTHY, held=held, log_bytes=64 * MIB)) == []


@pytest.mark.parametrize("what", ["snapshot", "transaction"])
def test_the_oldest_snapshot_is_reported_with_its_age_and_thread(
    what: str, tmp_path: Any, clock: Clock
) -> None:
    over, ready = Event(), Event()

    def hold() -> None:
        with getattr(store, what)():
            ready.set()
            assert over.wait(60)

    with OmegaStore(tmp_path / "store.db") as store:
        assert store.statistics().oldest_snapshot_seconds is None
        thread = Thread(target=hold, name="dreamer")
        thread.start()
        assert ready.wait(60)
        clock.now += 75
        with store.snapshot():
            pass
        assert store.statistics().oldest_snapshot_seconds == 75
        (note,) = store.doctor()
        assert (note.kind, note.subject) == ("long_snapshot", "thread dreamer")
        assert "75 s" in note.text
        over.set()
        thread.join()
        assert store.statistics().oldest_snapshot_seconds is None
        assert store.doctor() == []


def test_a_snapshot_that_failed_to_end_well_is_not_open_any_more(store: OmegaStore) -> None:
    with pytest.raises(ZeroDivisionError), store.snapshot():
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), store.transaction():
        raise ZeroDivisionError
    assert store.statistics().oldest_snapshot_seconds is None


def test_a_backup_counts_as_a_snapshot_while_it_lasts(store: OmegaStore, tmp_path: Any) -> None:
    ages: list[int | None] = []

    def look(_done: int, _total: int) -> None:
        hold = store._backend.oldest_hold()
        ages.append(hold and hold.seconds)

    store.backup(tmp_path / "copy.db", progress=look)
    assert ages
    assert None not in ages
    assert store.statistics().oldest_snapshot_seconds is None


def test_records_are_noted_by_kind(store: OmegaStore, clock: Clock) -> None:
    store.memories.put_many([memory("m1"), memory("m2"), memory("x", expires_at=clock.now + 1)])
    store.skills.put(skill("s", trigger_pattern="(?=a)"))
    store.architectures.put(architecture("orphan", lineage_json='{"parent": "gone"}'))
    store.architectures.put(architecture("own", name="own", lineage_json='{"parents": ["own"]}'))
    store.intelligences.put(intelligence("i", "own", memories_json='["gone"]'))
    store.causal_edges.put_many(
        [
            edge("loop", "m1", "m1"),
            edge("a", "m1", "m2"),
            edge("b", "m1", "m2"),
            edge("c", "m2", "m1"),
        ]
    )
    clock.now += 2
    assert kinds(store) == [
        *("expired", "trigger_pattern", "lineage_parent", "lineage_cycle", "memory_reference"),
        *("causal_loop", "causal_duplicate", "causal_cycle"),
    ]
    assert all(note.hint and note.subject for note in store.doctor())


def test_many_ids_are_counted_and_the_first_ones_named(store: OmegaStore) -> None:
    store.memories.put_many(memory(f"m{n}") for n in range(7))
    store.causal_edges.put_many(edge(f"e{n}", f"m{n}", f"m{n}") for n in range(7))
    (note,) = store.doctor()
    assert note.subject == "7: e0, e1, e2, e3, e4, ..."


def test_every_kind_of_note_is_listed_in_its_description(store: OmegaStore) -> None:
    import inspect

    from omega_persistence.doctor import records, surroundings

    used = {
        kind
        for module in (records, surroundings)
        for kind in re.findall(r'kind="(\w+)"', inspect.getsource(module))
    }
    assert used == set(re.findall(r"``(\w+)``", str(Note.__doc__)))
