"""Embedding spaces: which of them a namespace is searched in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omega_persistence.errors import ConflictError

if TYPE_CHECKING:
    from omega_persistence.backends import Session

_SERVING = "SELECT space FROM serving_spaces WHERE namespace = :namespace"

_SERVE = """
    INSERT INTO serving_spaces (namespace, space) VALUES (:namespace, :space)
    ON CONFLICT (namespace) DO UPDATE SET space = excluded.space
"""

_FORGET = "DELETE FROM serving_spaces WHERE namespace = :namespace"

_ONLY = """
    SELECT min(space) FROM vectors WHERE namespace = :namespace
    INTERSECT
    SELECT max(space) FROM vectors WHERE namespace = :namespace
"""

_HOLDS = "SELECT 1 FROM vectors WHERE namespace = :namespace AND space = :space LIMIT 1"

_ANY = "SELECT space FROM vectors WHERE namespace = :namespace LIMIT 1"


def serving(session: Session, namespace: str) -> str | None:
    """The space that was chosen for a namespace, if any was."""
    row = session.row(_SERVING, namespace=namespace)
    return row[0] if row else None


def serving_or_only(session: Session, namespace: str) -> str | None:
    """The space that was chosen, else the only one that has vectors."""
    chosen = serving(session, namespace)
    if chosen is not None:
        return chosen
    row = session.row(_ONLY, namespace=namespace)
    return row[0] if row else None


def holds(session: Session, namespace: str, space: str) -> bool:
    """Whether there are vectors in a space."""
    return session.row(_HOLDS, namespace=namespace, space=space) is not None


def serve(session: Session, namespace: str, space: str) -> None:
    """Choose the space of a namespace."""
    session.run(_SERVE, namespace=namespace, space=space)


def forget(session: Session, namespace: str) -> None:
    """Leave a namespace that is gone without a choice."""
    session.run(_FORGET, namespace=namespace)


def require_serving(session: Session, namespace: str, space: str) -> None:
    """Refuse a space in which a search of the namespace would not look.

    Raises:
        ConflictError: another space was chosen; or none was, and the vectors are all in others.
    """
    chosen = serving(session, namespace)
    if chosen is None and not holds(session, namespace, space):
        row = session.row(_ANY, namespace=namespace)
        chosen = row[0] if row else None
    if chosen not in (None, space):
        message = f"the vectors of namespace {namespace!r:.80} are in space {chosen!r:.80}, not"
        hint = (
            "Open the store with the embedder of that space, move its vectors over with"
            " vectors.reembed(), or choose the new space with vectors.serve()."
        )
        raise ConflictError(f"{message} {space!r:.80}", hint=hint, field="space")
