"""What a store must hold: the rules of its operations, spelt out apart from the library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct
from msgspec.structs import replace

from omega_persistence.entities import Collections

if TYPE_CHECKING:
    from collections.abc import Iterable

    from omega_persistence import OmegaStore

State = dict[tuple[str, str], dict[Any, Any]]
"""(namespace, table) -> id -> record, without empty tables; the quarantine under ``("", ...)``."""

Span = tuple[int, int]
"""How many operations had been acknowledged, and how many had been begun."""

_EVERYTHING = Collections(cast("Any", None), "")  # asked for its tables only
TABLES: dict[type[Any], str] = {each.table.entity: each.table.name for each in _EVERYTHING.all()}

_KEEP_GREATER = (
    *("success_count", "failure_count", "access_count", "evidence_count"),
    *("last_used", "last_accessed", "updated_at"),
)

_CHILDREN = {
    "vectors": ("memory_id",),
    "reflexion_episodes": ("memory_id",),
    "causal_edges": ("from_memory", "to_memory"),
}


class Fault(Struct, frozen=True):
    """A promise that was broken.

    ``kind`` is one of ``"lost"``: an acknowledged operation is gone; ``"torn"``: the store shows
    what no number of whole operations leaves; ``"damaged"``: ``check()`` or SQLite says so;
    ``"unusable"``: opening, reading or writing failed in another way; ``"copy"``: a backup is
    missing or is not what was backed up; ``"unclean"``: an error was none of the library's own.
    """

    kind: str
    detail: str


class Model:
    """What is in a store, as far as the promises go."""

    def __init__(self, state: State | None = None) -> None:
        self._tables: State = {key: dict(rows) for key, rows in (state or {}).items()}

    def state(self) -> State:
        """What is in it now, apart from later changes."""
        return {key: dict(rows) for key, rows in self._tables.items() if rows}

    def rows(self, namespace: str, table: str) -> dict[str, Any]:
        """The records of a table by id."""
        return self._tables.setdefault((namespace, table), {})

    def put(self, namespace: str, record: Any) -> None:
        """Store a record; merge it with the one of the same id."""
        rows = self.rows(namespace, table_of(record))
        old = rows.get(record.id)
        rows[record.id] = record if old is None else _merged(old, record)

    def delete(self, namespace: str, table: str, id: str) -> None:
        """Delete a record and what hangs on it."""
        del self.rows(namespace, table)[id]
        if table == "memories":
            for children, fields in _CHILDREN.items():
                rows = self.rows(namespace, children)
                for child in list(rows.values()):
                    if any(getattr(child, field) == id for field in fields):
                        del rows[child.id]

    def count(self, namespace: str, verb: str, id: str, at: int) -> None:
        """Count an access, a success or a failure."""
        table, counter, time = {
            "touch": ("memories", "access_count", "last_accessed"),
            "record_success": ("skills", "success_count", "last_used"),
            "record_failure": ("skills", "failure_count", "last_used"),
        }[verb]
        rows = self.rows(namespace, table)
        old = rows[id]
        known = getattr(old, time)
        at = at if known is None else max(at, known)
        rows[id] = replace(old, **{counter: getattr(old, counter) + 1, time: at})

    def delete_namespace(self, namespace: str) -> None:
        """Delete every record of a namespace."""
        for key in self._tables:
            if key[0] == namespace:
                self._tables[key] = {}

    def load(self, state: State) -> None:
        """Hold exactly what is given."""
        self._tables = {key: dict(rows) for key, rows in state.items()}


class History:
    """One actor's operations, one after the other; nobody else writes into its namespaces.

    Attributes:
        namespaces: Where it writes.
        states: What its namespaces hold after 0, 1, 2, ... operations.
    """

    def __init__(self, namespaces: Iterable[str], states: list[State]) -> None:
        self.namespaces = frozenset(namespaces)
        self.states = states


def table_of(record: Any) -> str:
    """The table of a record."""
    return TABLES[type(record)]


def read(store: OmegaStore) -> State:
    """What is in a store."""
    state: State = {}
    for namespace in store.namespaces():
        for collection in store.in_namespace(namespace).all():
            rows = {record.id: record for record in collection}
            if rows:
                state[namespace, collection.table.name] = rows
    quarantined = {row.number: row for row in store.quarantine()}
    if quarantined:
        state["", "quarantine"] = quarantined
    return state


def judge(found: State, histories: list[History], spans: list[Span]) -> list[Fault]:
    """Whether each actor's records are those after k whole operations.

    k is at least the number of acknowledged operations and at most that of begun ones.
    """
    faults: list[Fault] = []
    owners = frozenset[str]().union(*(history.namespaces for history in histories))
    for namespace, table in found:
        if namespace not in owners:
            faults.append(Fault("torn", f"nobody wrote {table} into namespace {namespace!r}"))
    for history, (done, begun) in zip(histories, spans, strict=True):
        part = {key: rows for key, rows in found.items() if key[0] in history.namespaces}
        if part in history.states[done : begun + 1]:
            continue
        if part in history.states[:done]:
            shown = max(k for k, state in enumerate(history.states[:done]) if state == part)
            detail = f"{done} operations were acknowledged, the store shows {shown}"
            faults.append(Fault("lost", detail))
        else:
            difference = _difference(part, history.states[done])
            faults.append(Fault("torn", f"not the {done} operations acknowledged: {difference}"))
    return faults


def _merged(old: Any, new: Any) -> Any:
    changes: dict[str, Any] = {}
    for field in _KEEP_GREATER:
        if hasattr(new, field):
            both = getattr(old, field), getattr(new, field)
            changes[field] = max((value for value in both if value is not None), default=None)
    if hasattr(new, "created_at"):
        changes["created_at"] = min(old.created_at, new.created_at)
    return replace(new, **changes)


def _difference(found: State, expected: State) -> str:
    told: list[str] = []
    for key in sorted(found.keys() | expected.keys()):
        here, there = found.get(key, {}), expected.get(key, {})
        missing, extra = there.keys() - here.keys(), here.keys() - there.keys()
        changed = {id for id in here.keys() & there.keys() if here[id] != there[id]}
        for word, ids in (("lacks", missing), ("also has", extra), ("changed", changed)):
            if ids:
                told.append(f"{'.'.join(key)} {word} {sorted(map(str, ids))}")
    return "; ".join(told)[:500]
