"""What is left of a store, and of the copies beside it, when its writers were killed."""

from __future__ import annotations

import fnmatch
import os
import shutil
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from campaigns.model import Fault, History
from campaigns.plans import STORE, Copy
from campaigns.recording import write_folder
from campaigns.verdict import PROBE_HISTORY, verify

if TYPE_CHECKING:
    from collections.abc import Iterator

    from campaigns.model import Span, State


class Look(Struct, frozen=True):
    """What was found.

    Attributes:
        faults: Promises that were broken.
        shown: How many operations of each actor the store shows; nothing if there are faults.
        seconds: How long opening took.
    """

    faults: list[Fault]
    shown: list[int]
    seconds: float


def look(
    folder: str,
    scratch: str,
    histories: list[History],
    spans: list[Span],
    copies: list[Copy],
    *,
    probed: bool,
    **options: Any,
) -> Look:
    """Open the store in a folder and compare it, and the copies there, with what was promised.

    ``probed`` tells whether the store must hold what this function itself has written before.
    """
    verdict = verify(
        os.path.join(folder, STORE),
        [*histories, PROBE_HISTORY],
        [*spans, (int(probed), 1)],
        **options,
    )
    faults = [*verdict.faults]
    for copy in copies:
        needed = not verdict.migrated if copy.after is None else spans[0][0] >= copy.after
        there = fnmatch.filter(os.listdir(folder), copy.pattern)
        if needed and not there:
            faults.append(Fault("copy", f"{copy.pattern} is missing"))
        for name in there:
            faults += _look_at_copy(os.path.join(folder, name), scratch, histories[0], copy)
    shown: list[int] = []
    if not faults:
        shown = [_shown(verdict.found, *each) for each in zip(histories, spans, strict=True)]
    return Look(faults, shown, verdict.seconds)


def _look_at_copy(path: str, scratch: str, history: History, copy: Copy) -> Iterator[Fault]:
    """One that is there is whole; the file itself stays as it is."""
    write_folder(scratch, {})
    copied = shutil.copyfile(path, os.path.join(scratch, STORE))
    expected = History(history.namespaces, [copy.content])
    for fault in verify(copied, [expected, PROBE_HISTORY], [(0, 0), (0, 1)], go_on=False).faults:
        yield Fault("copy", f"{os.path.basename(path)}: {fault.detail}")


def _shown(found: State, history: History, span: Span) -> int:
    """The least number of operations after which an actor's part of the store is as it is."""
    part = {key: rows for key, rows in found.items() if key[0] in history.namespaces}
    return history.states.index(part, span[0], span[1] + 1)
