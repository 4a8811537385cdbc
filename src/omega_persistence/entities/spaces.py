"""Embedding spaces: which of them a namespace is searched in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omega_persistence.errors import ConflictError, InvalidDataError

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

# The one that was chosen, else this one if it has vectors, else another that has.
_SERVED = """
    SELECT coalesce(
        (SELECT space FROM serving_spaces WHERE namespace = :namespace),
        (SELECT space FROM vectors WHERE namespace = :namespace AND space = :space LIMIT 1),
        (SELECT space FROM vectors WHERE namespace = :namespace LIMIT 1))
"""

# The first and the last in the order of the index, which is one only as a rule; and the one chosen.
_ENDS = """
    SELECT
        (SELECT space FROM vectors WHERE namespace = :namespace
         ORDER BY space, dimensions LIMIT 1),
        (SELECT dimensions FROM vectors WHERE namespace = :namespace
         ORDER BY space, dimensions LIMIT 1),
        (SELECT space FROM vectors WHERE namespace = :namespace
         ORDER BY space DESC, dimensions DESC LIMIT 1),
        (SELECT dimensions FROM vectors WHERE namespace = :namespace
         ORDER BY space DESC, dimensions DESC LIMIT 1),
        (SELECT space FROM serving_spaces WHERE namespace = :namespace)
"""

# Seeks in the index, two for each space and length, and never a scan. UNION, and not UNION ALL,
# since in a damaged index one may follow itself for ever.
_SPACES = """
    WITH RECURSIVE spaces (space, dimensions) AS (
        SELECT * FROM (
            SELECT space, dimensions FROM vectors WHERE namespace = :namespace
            ORDER BY space, dimensions LIMIT 1
        ) AS first
        UNION
        SELECT following.space, following.dimensions
        FROM spaces JOIN vectors AS following ON following.seq = coalesce(
            (SELECT seq FROM vectors
             WHERE namespace = :namespace AND space = spaces.space
               AND dimensions > spaces.dimensions
             ORDER BY dimensions LIMIT 1),
            (SELECT seq FROM vectors
             WHERE namespace = :namespace AND space > spaces.space
             ORDER BY space, dimensions LIMIT 1))
    )
    SELECT space, dimensions FROM spaces
"""


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


def searched(session: Session, namespace: str, dimensions: int, space: str | None) -> str | None:
    """The space that a query of so many dimensions searches; None if there are no vectors.

    Raises:
        InvalidDataError: it fits no space, not the one that is named, or several.
    """
    ((first, least, last, greatest, chosen),) = session.rows(_ENDS, namespace=namespace)
    if first is None:
        return None
    rows = [(first, least)]
    if rows != [(last, greatest)]:
        rows = session.rows(_SPACES, namespace=namespace)
    if space is None:
        space = chosen
    known = [(name, length) for name, length in rows if space is None or name == space]
    fitting = [name for name, length in known if length == dimensions]
    if not known or len(fitting) == 1:
        return fitting[0] if fitting else None
    held = ", ".join(f"{name!r:.80} of {length}" for name, length in known)
    if fitting:
        message = f"several spaces hold vectors of {dimensions} dimensions: {held}"
        raise InvalidDataError(message, field="space", hint="Name one of them as space.")
    message = f"no space holds vectors of {dimensions} dimensions: there is {held}"
    raise InvalidDataError(message, field="query", hint="Use the model that embedded them.")


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
    row = session.row(_SERVED, namespace=namespace, space=space)
    served = row and row[0]
    if served not in (None, space):
        message = f"the vectors of namespace {namespace!r:.80} are in space {served!r:.80}, not"
        hint = (
            "Open the store with the embedder of that space, move its vectors over with"
            " vectors.reembed(), or choose the new space with vectors.serve()."
        )
        raise ConflictError(f"{message} {space!r:.80}", hint=hint, field="space")
