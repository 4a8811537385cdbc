"""What does a backup cost, and what does verifying it cost?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import apsw

import raw
from measure import Comparison, Cost, compare, cost
from omega_persistence import OmegaStore
from report import Report, clock, times

if TYPE_CHECKING:
    from workshop import Workshop

MEMORIES = 180_000  # about 100 MB with their indexes


def run(workshop: Workshop) -> Report:
    path = workshop.new_store(workshop.scaled(MEMORIES))
    size = os.stat(path).st_size
    plain = _compare(workshop, path, workshop.rounds(11), verify=False)
    verified = _compare(workshop, path, workshop.rounds(5), verify=True)
    workshop.remove(path)
    return Report(
        f"Backing up a store of {size / 1e6:.0f} MB while it is open.",
        [
            times("without verification", plain, 1, at_most=1.5),
            times("with verification", verified, 1, at_most=1.3),
        ],
        [
            clock("Without", plain),
            clock("With", verified),
            "Both sync the copy and its folder. Raw is a backup in one step; verified, it is",
            "followed by PRAGMA integrity_check and the full-text index's check of the copy.",
            "Ours also renames the finished file, and checks references and vector spaces.",
        ],
    )


def _compare(workshop: Workshop, path: str, rounds: int, *, verify: bool) -> Comparison:
    with OmegaStore(path) as store:
        connection = raw.connect(path)

        def ours() -> Cost:
            target = workshop.new_path()
            found = cost(lambda: store.backup(target, verify=verify))
            workshop.remove(target)
            return found

        def by_hand() -> Cost:
            target = workshop.new_path()
            found = cost(lambda: _copy(connection, target, verify=verify))
            workshop.remove(target)
            return found

        found = compare(ours, by_hand, rounds)
        connection.close()
    return found


def _copy(source: apsw.Connection, target: str, *, verify: bool) -> None:
    copy = apsw.Connection(target)
    copy.execute("PRAGMA synchronous = OFF")  # synced once, as a whole, below
    with copy.backup("main", source, "main") as backup:
        backup.step(-1)
    if verify:
        assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        copy.execute(raw.CHECK_FULL_TEXT)
    copy.close()
    for name in (target, os.path.dirname(target)):
        descriptor = os.open(name, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
