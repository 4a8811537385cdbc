"""Negative controls: deliberately broken stores that the campaigns must flag.

"Nothing was found" means little unless the same campaign finds what is wrong with these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from msgspec import Struct

from campaigns.broken.durability import (
    AcknowledgedEarly,
    InPieces,
    KeepsConnection,
    LiveCopy,
    NeverSynced,
    SwallowsErrors,
    SyncedAtCheckpoints,
)
from campaigns.broken.isolation import DeferredBegin, LostUpdate, StaleCache, UnfairWait
from campaigns.broken.unguarded import (
    Blind,
    Crashing,
    DriverErrors,
    Hanging,
    Unchecked,
)
from campaigns.common import spread
from campaigns.operations import Opener

if TYPE_CHECKING:
    from collections.abc import Callable


class Control(Struct, frozen=True, kw_only=True):
    """A broken store.

    Attributes:
        name: What is wrong with it, in a word or three.
        flaw: The same in a sentence.
        campaigns: Who must flag it.
        kinds: As what (see `campaigns.model.Fault`); any other kind would be a surprise.
        opener: Opens it, with the arguments of `OmegaStore`.
    """

    name: str
    flaw: str
    campaigns: frozenset[str]
    kinds: frozenset[str]
    opener: Opener


_POWER_LOSS = frozenset(("powerloss",))
_POWER_LOSS_AND_KILLS = frozenset(("powerloss", "kills"))
_FILES, _INPUT = frozenset(("hostile_files",)), frozenset(("hostile_input",))
_FAULTS = frozenset(("faults",))
_HISTORIES = frozenset(("histories",))

CONTROLS: dict[str, Control] = {
    control.name: control
    for control in (
        Control(
            name="synchronous off",
            flaw="Nothing is ever synced.",
            campaigns=_POWER_LOSS,
            kinds=frozenset(("lost", "torn", "damaged", "unusable")),
            opener=NeverSynced,
        ),
        Control(
            name="durability normal",
            flaw="Not broken, but only promised to survive a crash of the process.",
            campaigns=_POWER_LOSS,
            kinds=frozenset(("lost",)),
            opener=SyncedAtCheckpoints,
        ),
        Control(
            name="acknowledge early",
            flaw="A put returns before it has been done.",
            campaigns=_POWER_LOSS_AND_KILLS,
            kinds=frozenset(("lost",)),
            opener=AcknowledgedEarly,
        ),
        Control(
            name="batch in pieces",
            flaw="Each record of a batch is a transaction of its own.",
            campaigns=_POWER_LOSS_AND_KILLS | _INPUT,
            kinds=frozenset(("torn", "half done")),
            opener=InPieces,
        ),
        Control(
            name="live copy as backup",
            flaw="A backup is a copy of the main file while it is in use.",
            campaigns=frozenset(("backups",)),
            kinds=frozenset(("lost", "torn", "damaged", "unusable")),
            opener=LiveCopy,
        ),
        Control(
            name="deferred begin",
            flaw="A transaction takes the lock when it first writes.",
            campaigns=_HISTORIES,
            kinds=frozenset(("busy",)),
            opener=DeferredBegin,
        ),
        Control(
            name="unfair wait",
            flaw="Whoever has waited for the lock for long looks seldom whether it is free.",
            campaigns=_HISTORIES,
            kinds=frozenset(("unfair",)),
            opener=UnfairWait,
        ),
        Control(
            name="stale cache",
            flaw="What was read once is not read again, though another process may write.",
            campaigns=_HISTORIES,
            kinds=frozenset(("stale", "order")),
            opener=StaleCache,
        ),
        Control(
            name="lost update",
            flaw="What a transaction gets was read before it began.",
            campaigns=_HISTORIES,
            kinds=frozenset(("inexact", "stale", "torn")),
            opener=LostUpdate,
        ),
        Control(
            name="keep the connection",
            flaw="After an I/O error the same connection goes on writing.",
            campaigns=_FAULTS,
            kinds=frozenset(("damaged",)),
            opener=KeepsConnection,
        ),
        Control(
            name="swallow errors",
            flaw="A put that fails returns as if it had been done.",
            campaigns=_FAULTS,
            kinds=frozenset(("lost", "torn")),
            opener=SwallowsErrors,
        ),
        Control(
            name="records unchecked",
            flaw="Records are written as they are given.",
            campaigns=_INPUT,
            kinds=frozenset(("inexact", "escaped", "half done")),
            opener=Unchecked,
        ),
        Control(
            name="errors of the driver",
            flaw="What the driver raises comes out of queries.",
            campaigns=_FILES | _INPUT,
            kinds=frozenset(("escaped",)),
            opener=DriverErrors,
        ),
        Control(
            name="blind check",
            flaw="Every file is called whole.",
            campaigns=_FILES,
            kinds=frozenset(("misleading",)),
            opener=Blind,
        ),
        Control(
            name="crashing",
            flaw="A call ends the process.",
            campaigns=_FILES | _INPUT,
            kinds=frozenset(("crash",)),
            opener=Crashing,
        ),
        Control(
            name="hanging",
            flaw="A call never ends.",
            campaigns=_FILES | _INPUT,
            kinds=frozenset(("hang",)),
            opener=Hanging,
        ),
    )
}


def controls_of(campaign: str) -> list[Control]:
    """The broken stores that a campaign must flag."""
    return [control for control in CONTROLS.values() if campaign in control.campaigns]


class Task(Protocol):
    """What a campaign hands to a process."""

    @property
    def control(self) -> str | None:
        """The broken store to use instead of a real one."""
        ...


T = TypeVar("T", bound=Task)


def flagged(
    flag: Callable[[T], list[str]], tasks: list[T], *, jobs: int | None
) -> dict[str, list[str]]:
    """Broken store -> as what each of these tasks flags it."""
    found = spread(flag, tasks, jobs=jobs)
    return {str(task.control): kinds for task, kinds in zip(tasks, found, strict=True)}
