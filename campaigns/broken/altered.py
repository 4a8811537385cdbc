"""Stores whose collections do something else."""

from __future__ import annotations

from typing import Any

from omega_persistence import OmegaStore
from omega_persistence.entities.base import Collection


class Altered(OmegaStore):
    """A store whose collections are of altered classes, in every namespace."""

    alteration: type[Collection[Any]]

    def __init__(self, path: Any, **options: Any) -> None:
        """Open it."""
        super().__init__(path, **options)
        self._alter(self)

    def in_namespace(self, namespace: str) -> OmegaStore:
        """The same store for another namespace, altered likewise."""
        other = super().in_namespace(namespace)
        self._alter(other)
        return other

    def _alter(self, store: OmegaStore) -> None:
        for collection in store.all():
            kind = type(collection)
            collection.__class__ = type(kind.__name__, (self.alteration, kind), {})
