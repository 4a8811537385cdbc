"""The campaign with hostile files in a small size, and the broken stores that it must flag."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from random import Random
from threading import Event

import apsw
import pytest

from campaigns import hostile_files
from campaigns.broken import CONTROLS, controls_of
from campaigns.hostile.bases import build, lay_out
from campaigns.hostile.calls import FLAT, LOOKS, READS, WRITES
from campaigns.hostile.mutations import seal_journal, seal_log, seal_pages
from campaigns.hostile.workers import Death, watched
from omega_persistence import OmegaStore

SEED = 1


def test_no_hostile_file_leads_to_anything_but_results_and_our_errors(tmp_path: Path) -> None:
    work = hostile_files.examine(SEED, None, str(tmp_path))
    reports = [work(number) for number in range(60)]
    assert [report.findings for report in reports if report.findings] == []
    opened = sum(report.counts.get("opened", 0) for report in reports)
    assert 0 < opened < len(reports)
    assert {report.base for report in reports} == hostile_files.WEIGHTS.keys()


@pytest.mark.parametrize("name", [control.name for control in controls_of("hostile_files")])
def test_a_broken_store_is_flagged_for_what_is_wrong_with_it(name: str) -> None:
    kinds = hostile_files.flag(name, SEED)
    assert kinds
    assert set(kinds) <= CONTROLS[name].kinds


def test_the_same_number_makes_the_same_file(tmp_path: Path) -> None:
    one, two = build(str(tmp_path)), build(str(tmp_path))
    assert one == two
    assert len(one["log"]) == len(one["journal"]) == 2
    for number in range(20):
        made = [hostile_files.mutate(Random(number), bases, str(tmp_path)) for bases in (one, two)]
        assert made[0] == made[1]


def test_every_base_is_whole(tmp_path: Path) -> None:
    for image in build(str(tmp_path)).values():
        with OmegaStore(lay_out(image, str(tmp_path))) as store:
            assert store.check() == []
            assert store.memories.count() > 3


def test_checksums_that_are_right_stay_as_they_are(tmp_path: Path) -> None:
    bases = build(str(tmp_path))
    for name, beside, seal in (
        ("log", "store.db-wal", seal_log),
        ("journal", "store.db-journal", seal_journal),
    ):
        content = bytearray(bases[name][beside])
        seal(content)
        assert content == bases[name][beside]
    checked = {"store.db": bytearray(bases["checksums"]["store.db"])}
    for page in range(0, len(checked["store.db"]), 4096):
        checked["store.db"][page + 4088 : page + 4096] = bytes(8)
    seal_pages(checked, bases["checksums"])
    assert checked == bases["checksums"]


def test_a_journal_that_is_hot_is_rolled_back(tmp_path: Path) -> None:
    image = build(str(tmp_path))["journal"]
    path = lay_out(image, str(tmp_path))
    connection = apsw.Connection(path)
    assert connection.execute("SELECT count(*) FROM skills").get
    connection.close()
    assert Path(path).read_bytes() != image["store.db"]


def _fates(_folder: str) -> Callable[[int], int]:
    def work(number: int) -> int:
        if number == 2:
            os.kill(os.getpid(), signal.SIGSEGV)
        if number == 3:
            Event().wait()
        if number == 4:
            bytes(2**40)
        return number

    return work


def test_a_worker_that_crashes_or_hangs_is_replaced() -> None:
    results = list(watched(_fates, range(7), limit=0.5, jobs=2))
    deaths = {each.number: each for each in results if isinstance(each, Death)}
    assert sorted(each for each in results if isinstance(each, int)) == [0, 1, 5, 6]
    assert {number: each.kind for number, each in deaths.items()} == {
        2: "crash",
        3: "hang",
        4: "crash",  # more memory than a worker may have
    }
    assert "SIGSEGV" in deaths[2].detail


def test_every_public_method_is_called() -> None:
    called = READS.keys() | LOOKS.keys() | WRITES.keys() | FLAT.keys()
    elsewhere = {
        *("all", "transaction", "snapshot", "close", "check", "doctor", "compact", "optimize"),
        *("backup", "verify_backup", "restore", "rehearse_migration", "new_in_memory"),
        *("export_jsonl", "import_jsonl"),
    }
    with OmegaStore.new_in_memory() as store:
        methods = {name for name in dir(store) if callable(getattr(store, name))}
        for collection in store.all():
            methods |= {f"{collection.table.name}.{name}" for name in dir(collection)}
    public = {name for name in methods if not name.rpartition(".")[2].startswith("_")}
    public = {name for name in public if name.rpartition(".")[2] not in {"table", "write"}}
    assert public == called | elsewhere
