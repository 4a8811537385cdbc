"""The kill campaign in a small size, the broken stores that it must flag, and what it looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from campaigns.aftermath import look
from campaigns.broken import CONTROLS, controls_of
from campaigns.common import Result
from campaigns.lives import SETTINGS
from campaigns.model import History, State, read
from campaigns.plans import STORE, Copy
from omega_persistence import OmegaStore
from samples import memory
from sqlite.support import module

if TYPE_CHECKING:
    from pathlib import Path

SEED = 1


def test_no_kill_undoes_tears_or_damages_anything_and_broken_stores_are_flagged() -> None:
    kills = len(SETTINGS)
    status, output = module("campaigns.kills", "--seed", SEED, "--kills", kills, "--jobs", 1)
    result = msgspec.json.decode(output, type=Result)
    assert result.problems == []
    assert result.counts["kills"] >= kills
    assert result.counts["kills_of_three"] > 0
    assert result.counts["acknowledged"] > 0
    assert result.command == f"python -m campaigns.kills --seed {SEED} --kills {kills}"
    assert result.controls.keys() == {control.name for control in controls_of("kills")}
    for name, kinds in result.controls.items():
        assert kinds
        assert set(kinds) <= CONTROLS[name].kinds
    assert status == 0


def test_the_command_of_a_problem_shows_it_again_and_keeps_the_store(tmp_path: Path) -> None:
    arguments = ("--repeat", 0, "--control", "batch in pieces", "--keep", tmp_path)
    for _ in range(20):  # no seed decides what the writer is doing when it is killed
        status, output = module("campaigns.kills", "--seed", SEED, *arguments)
        if status:
            assert output.startswith("torn: store 0 (records), life ")
            break
    assert (tmp_path / "0" / STORE).exists()


@pytest.fixture
def folders(tmp_path: Path) -> tuple[str, str]:
    """One for a store, and one to look at copies in."""
    names = [tmp_path / "store", tmp_path / "scratch"]
    for name in names:
        name.mkdir()
    return str(names[0]), str(names[1])


def stored(folder: str, *ids: str) -> State:
    """What a store holds to which these memories were added."""
    with OmegaStore(f"{folder}/{STORE}") as store:
        store.memories.put_many([memory(id) for id in ids])
        return read(store)


def test_looking_tells_how_many_operations_the_store_shows(folders: tuple[str, str]) -> None:
    states: list[State] = [{}, stored(folders[0], "a"), stored(folders[0], "b")]
    history = History(["default"], states)
    for _ in range(2):  # also when it has left its own mark
        found = look(*folders, [history], [(1, 2)], [], probed=False)
        assert (found.faults, found.shown) == ([], [2])
        assert found.seconds > 0
    (fault,) = look(*folders, [history], [(0, 1)], [], probed=True).faults
    assert fault.kind == "torn"


def test_looking_finds_what_was_acknowledged_missing(folders: tuple[str, str]) -> None:
    first = stored(folders[0], "a")
    history = History(["default"], [{}, first, {}])
    (fault,) = look(*folders, [history], [(2, 2)], [], probed=False).faults
    assert (fault.kind, fault.detail) == (
        "lost",
        "2 operations were acknowledged, the store shows 1",
    )


def test_looking_misses_a_copy_that_was_acknowledged_and_no_other(
    folders: tuple[str, str],
) -> None:
    history = History(["default"], [stored(folders[0], "a")] * 2)
    copy = Copy("copy-0.db", 1, history.states[0])
    assert look(*folders, [history], [(0, 1)], [copy], probed=False).faults == []
    (fault,) = look(*folders, [history], [(1, 1)], [copy], probed=True).faults
    assert (fault.kind, fault.detail) == ("copy", "copy-0.db is missing")


def test_looking_finds_a_copy_that_is_not_what_was_backed_up(folders: tuple[str, str]) -> None:
    state = stored(folders[0], "a")
    with OmegaStore(f"{folders[0]}/{STORE}") as store:
        store.backup(f"{folders[0]}/copy-0.db")
    history = History(["default"], [state])
    for content, faults in ((state, 0), ({}, 1)):
        copy = Copy("copy-0.db", 0, content)
        found = look(*folders, [history], [(0, 0)], [copy], probed=False).faults
        assert [fault.kind for fault in found] == ["copy"] * faults
