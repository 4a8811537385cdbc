"""Negative controls: deliberately broken stores that the campaigns must flag.

"Nothing was found" means little unless the same campaign finds what is wrong with these.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct

from campaigns.operations import Opener
from omega_persistence import ConflictError, OmegaStore
from omega_persistence.backends.sqlite.connection import SYNCHRONOUS
from omega_persistence.entities.base import Collection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


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


class NeverSynced(OmegaStore):
    """A store with ``synchronous`` off: nothing is ever synced."""

    def __init__(self, path: Any, **options: Any) -> None:
        """Open it; the name of a setting that the library does not offer is smuggled in."""
        SYNCHRONOUS["off"] = options["durability"] = "off"
        super().__init__(path, **options)


class SyncedAtCheckpoints(OmegaStore):
    """A store with ``durability="normal"``, which may lose its last writes but never tear them."""

    def __init__(self, path: Any, **options: Any) -> None:
        """Open it."""
        options["durability"] = "normal"
        super().__init__(path, **options)


class _Altered(OmegaStore):
    """A store whose collections are of altered classes, in every namespace."""

    alteration: type[Collection[Any]]

    def __init__(self, path: Any, **options: Any) -> None:
        super().__init__(path, **options)
        self._alter(self)

    def in_namespace(self, namespace: str) -> OmegaStore:
        other = super().in_namespace(namespace)
        self._alter(other)
        return other

    def _alter(self, store: OmegaStore) -> None:
        for collection in store.all():
            kind = type(collection)
            collection.__class__ = type(kind.__name__, (self.alteration, kind), {})


class InPieces(_Altered):
    """A store that puts each record of a batch in a transaction of its own."""

    class Pieces(Collection[Any]):
        """Breaks `put_many` up."""

        def put_many(self, records: Iterable[Any]) -> int:
            """Put them one by one."""
            pieces = list(records)
            for piece in pieces:
                self.put(piece)
            return len(pieces)

    alteration = Pieces


class AcknowledgedEarly(_Altered):
    """A store that says a put is done and does it when it is called again."""

    class Late(Collection[Any]):
        """Puts later."""

        later: AcknowledgedEarly

        def put(self, record: Any) -> None:
            """Put what was put before."""
            self.later.postpone(lambda: super(AcknowledgedEarly.Late, self).put(record))

        def put_many(self, records: Iterable[Any]) -> int:
            """Put what was put before."""
            batch = list(records)
            self.later.postpone(lambda: super(AcknowledgedEarly.Late, self).put_many(batch))
            return len(batch)

    alteration = Late

    def __init__(self, path: Any, **options: Any) -> None:
        """Open it."""
        self._postponed: Callable[[], object] | None = None
        super().__init__(path, **options)

    def postpone(self, work: Callable[[], object] | None) -> None:
        """Do what was postponed before, and keep this."""
        before, self._postponed = self._postponed, work
        if before is not None:
            with suppress(ConflictError):  # of a batch that must be refused, which nobody sees now
                before()

    def transaction(self) -> Any:
        """A transaction, after what was postponed."""
        self.postpone(None)
        return super().transaction()

    def in_namespace(self, namespace: str) -> OmegaStore:
        """The same store for another namespace."""
        self.postpone(None)
        return super().in_namespace(namespace)

    def delete_namespace(self, namespace: str) -> int:
        """Delete it, after what was postponed."""
        self.postpone(None)
        return super().delete_namespace(namespace)

    def close(self) -> None:
        """Close it, after what was postponed."""
        self.postpone(None)
        super().close()

    def _alter(self, store: OmegaStore) -> None:
        super()._alter(store)
        for collection in store.all():
            cast("AcknowledgedEarly.Late", collection).later = self


class LiveCopy(OmegaStore):
    """A store whose backup is a copy of the file as it lies there, in use."""

    def backup(
        self,
        target: Any,
        *,
        overwrite: bool = False,  # noqa: ARG002 - the signature of what it replaces
        verify: bool = True,  # noqa: ARG002
        progress: Any = None,  # noqa: ARG002
    ) -> None:
        """Copy it in another process: one that closes a file loses its locks on it."""
        child = os.fork()
        if child == 0:
            try:
                shutil.copyfile(self._backend.address, target)
            finally:
                os._exit(0)
        os.waitpid(child, 0)


_POWER_LOSS = frozenset(("powerloss",))
_POWER_LOSS_AND_KILLS = frozenset(("powerloss", "kills"))

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
            campaigns=_POWER_LOSS_AND_KILLS,
            kinds=frozenset(("torn",)),
            opener=InPieces,
        ),
        Control(
            name="live copy as backup",
            flaw="A backup is a copy of the main file while it is in use.",
            campaigns=frozenset(("backups",)),
            kinds=frozenset(("lost", "torn", "damaged", "unusable")),
            opener=LiveCopy,
        ),
    )
}


def controls_of(campaign: str) -> list[Control]:
    """The broken stores that a campaign must flag."""
    return [control for control in CONTROLS.values() if campaign in control.campaigns]
