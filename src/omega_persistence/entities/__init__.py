"""The entities: one file each holds the record, its SQL and its collection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard

from omega_persistence.entities.architectures import Architectures
from omega_persistence.entities.base import Collection
from omega_persistence.entities.causal_edges import CausalEdges
from omega_persistence.entities.intelligences import Intelligences
from omega_persistence.entities.memories import Memories
from omega_persistence.entities.reflexion_episodes import ReflexionEpisodes
from omega_persistence.entities.skills import Skills
from omega_persistence.entities.vectors import Vectors
from omega_persistence.errors import CorruptionError

if TYPE_CHECKING:
    from omega_persistence.backends import Scope, Session


class Collections:
    """Every collection, all bound to one scope and one namespace."""

    def __init__(self, scope: Scope, namespace: str) -> None:
        # Parents before children: the order in which a copy can be loaded.
        self.memories = Memories(scope, namespace)
        self.skills = Skills(scope, namespace)
        self.architectures = Architectures(scope, namespace)
        self.intelligences = Intelligences(scope, namespace)
        self.vectors = Vectors(scope, namespace)
        self.reflexion_episodes = ReflexionEpisodes(scope, namespace)
        self.causal_edges = CausalEdges(scope, namespace)

    def all(self) -> tuple[Collection[Any], ...]:
        """Every collection, parents before children."""
        return tuple(each for each in vars(self).values() if _is_collection(each))


def _is_collection(value: object) -> TypeGuard[Collection[Any]]:
    return isinstance(value, Collection)


def namespaces(session: Session, collections: Collections) -> list[str]:
    """The namespaces that have records in any of the collections, sorted."""
    found: set[str] = set()
    for collection in collections.all():
        found.update(name for (name,) in session.rows(collection.table.namespaces))
    if any(type(name) is not str for name in found):
        raise CorruptionError("a namespace is not text", hint="See check().")
    return sorted(found)
