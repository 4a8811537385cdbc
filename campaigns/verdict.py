"""Looking at a store after something went wrong: is everything that was promised there?"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from campaigns.model import Fault, History, State, judge, read
from omega_persistence import CorruptionError, OmegaStore, StoredMemory

if TYPE_CHECKING:
    from campaigns.model import Span

PROBE = "probe"
"""The namespace that only this module, and who uses ``PROBE_HISTORY``, writes into."""

PROBE_MEMORY = StoredMemory(
    id="probe", content="probe", tier=1, importance=0.5, created_at=1, last_accessed=1
)
PROBED: State = {(PROBE, "memories"): {PROBE_MEMORY.id: PROBE_MEMORY}}
PROBE_HISTORY = History([PROBE], [{}, PROBED])


class Verdict(Struct, frozen=True):
    """What was found.

    Attributes:
        faults: Promises that were broken.
        migrated: Whether opening the file brought it up to date.
        found: What the store held then.
        seconds: How long opening took.
    """

    faults: list[Fault]
    migrated: bool = False
    found: State = {}
    seconds: float = 0.0


def verify(
    path: str, histories: list[History], spans: list[Span], *, go_on: bool = True, **options: Any
) -> Verdict:
    """Open a store and compare it with what was promised.

    It opens without error; its records are those of k whole operations of each actor, where k is
    at least the number acknowledged and at most the number begun; ``check()`` finds nothing. With
    ``go_on`` it also takes a new write, closes, opens again and shows the same and the new one.
    """
    try:
        start = perf_counter()
        with OmegaStore(path, **options) as store:
            seconds = perf_counter() - start
            found = read(store)
            migrated = store.migration is not None
            faults = [*judge(found, histories, spans), *_damage(store)]
            if go_on:
                write_probe(store)
        if go_on:
            with OmegaStore(path, **options) as store:
                if read(store) != found | PROBED:
                    faults.append(Fault("unusable", "a new write changed something else"))
                faults += _damage(store)
    except CorruptionError as error:
        return Verdict([Fault("damaged", f"{error}")])
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not happen
        return Verdict([Fault("unusable", f"{type(error).__name__}: {error}")])
    return Verdict(faults, migrated, found, seconds)


def write_probe(store: OmegaStore) -> None:
    """Store what nobody else stores."""
    store.in_namespace(PROBE).memories.put(PROBE_MEMORY)


def verify_copy(path: str, expected: State, **options: Any) -> list[Fault]:
    """Whether a backup, which may be changed by this, holds exactly what is expected."""
    try:
        with OmegaStore(path, create=False, **options) as store:
            faults = [Fault("copy", fault.detail) for fault in _damage(store)]
            if read(store) != expected:
                faults.append(Fault("copy", "it does not hold what the store held"))
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not happen
        return [Fault("copy", f"{type(error).__name__}: {error}")]
    return faults


def _damage(store: OmegaStore) -> list[Fault]:
    return [Fault("damaged", f"{problem.kind}: {problem.detail}") for problem in store.check()]
