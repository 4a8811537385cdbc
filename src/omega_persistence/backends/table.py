"""Statements of a table, derived once from the Struct whose fields are its columns."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Generic, LiteralString, TypeVar, cast

from msgspec import Struct
from msgspec.structs import astuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from omega_persistence.backends import Row, Value

T = TypeVar("T", bound=Struct)

# A field name means the same in every table. Storing a record again keeps the greater of these ...
GREATEST = frozenset(
    (
        *("success_count", "failure_count", "access_count", "evidence_count"),
        *("last_used", "last_accessed", "updated_at"),
    )
)
# ... and the lesser of these; references to memories never change; every other field is replaced.
LEAST = frozenset(("created_at",))


class Table(Generic[T]):
    """Ties a Struct to the table whose columns are its fields, after ``namespace``.

    Attributes:
        name: The table, which is also the name of the collection.
        entity: The Struct.
        references: Field -> the table whose ``id`` it must name.
        unique: Fields that, besides ``id``, may not repeat within a namespace.
        derived: Column -> function of the record, for columns that are not on the record.
        visible: SQL that leaves out expired rows, or nothing.
    """

    def __init__(
        self,
        name: LiteralString,
        entity: type[T],
        *,
        references: Mapping[LiteralString, LiteralString] | None = None,
        unique: tuple[LiteralString, ...] = (),
        derived: Mapping[LiteralString, Callable[[T], Value]] | None = None,
    ) -> None:
        # Field names come from our own source, never from callers, so they are as safe as text
        # typed here.
        fields = cast("tuple[LiteralString, ...]", entity.__struct_fields__)
        self.name: LiteralString = name
        self.entity = entity
        self.fields = fields
        self.references: dict[LiteralString, LiteralString] = dict(references or {})
        self.unique: tuple[LiteralString, ...] = unique
        self.derived = dict(derived or {})
        self.expires = "expires_at" in fields
        self.visible: LiteralString = (
            "AND (expires_at IS NULL OR expires_at > :now)" if self.expires else ""
        )
        columns = ("namespace", *fields, *self.derived)
        self.upsert: LiteralString = (
            f"INSERT INTO {name} ({', '.join(columns)})"
            f" VALUES ({', '.join(f':{column}' for column in columns)})"
            f" ON CONFLICT (namespace, id) DO UPDATE SET"
            f" {', '.join(self._merge(column) for column in columns[2:])}"
        )
        self.select: LiteralString = (
            f"SELECT {', '.join(fields)} FROM {name} WHERE namespace = :namespace {self.visible}"
        )
        self.get: LiteralString = f"{self.select} AND id = :id"
        self.page: LiteralString = f"{self.select} AND id > :after ORDER BY id LIMIT :limit"
        self.delete: LiteralString = f"DELETE FROM {name} WHERE namespace = :namespace AND id = :id"

    @cached_property
    def load(self) -> Callable[[Iterable[Row]], list[T]]:
        """The records of rows that ``select`` gave."""
        return _loader(self.entity, self.fields)

    @property
    def count(self) -> LiteralString:
        """How many rows of a namespace are visible, from indexes alone."""
        rows: LiteralString = f"(SELECT count(*) FROM {self.name} WHERE namespace = :namespace)"
        if not self.expires:
            return f"SELECT {rows}"
        return f"SELECT {rows} - ({self.count_expired})"

    @property
    def count_expired(self) -> LiteralString:
        """How many rows of a namespace have expired and wait to be purged."""
        return (
            f"SELECT count(*) FROM {self.name} WHERE namespace = :namespace AND expires_at <= :now"
        )

    @property
    def namespaces(self) -> LiteralString:
        """The namespaces that have rows: one seek in an index for each, never a scan.

        UNION, and not UNION ALL, since in a damaged index one may follow itself for ever.
        """
        return f"""
            WITH RECURSIVE names (name) AS (
                SELECT min(namespace) FROM {self.name}
                UNION
                SELECT (SELECT min(namespace) FROM {self.name} WHERE namespace > names.name)
                FROM names WHERE name IS NOT NULL
            )
            SELECT name FROM names WHERE name IS NOT NULL"""

    @property
    def delete_namespace(self) -> LiteralString:
        """Every row of a namespace, expired ones too."""
        return f"DELETE FROM {self.name} WHERE namespace = :namespace"

    def rows(self, namespace: str, records: Iterable[T]) -> list[Row]:
        """For each record the values of ``upsert``, in its order."""
        derived = self.derived.values()
        if not derived:
            return [(namespace, *astuple(record)) for record in records]
        return [
            (namespace, *astuple(record), *(make(record) for make in derived)) for record in records
        ]

    def _merge(self, column: LiteralString) -> LiteralString:
        old, new = f"{self.name}.{column}", f"excluded.{column}"
        if column in GREATEST:
            # CASE and not max(), where NULL would win.
            return f"{column} = CASE WHEN {old} IS NULL OR {new} > {old} THEN {new} ELSE {old} END"
        if column in LEAST:
            return f"{column} = CASE WHEN {new} < {old} THEN {new} ELSE {old} END"
        if self.references.get(column) == "memories":
            # A child never changes its memory: NULL is refused, and the collection says why.
            return f"{column} = CASE WHEN {new} = {old} THEN {old} END"
        return f"{column} = {new}"


def _loader(entity: type[T], fields: tuple[str, ...]) -> Callable[[Iterable[Row]], list[T]]:
    """Make records of rows: ``[entity(id=id, ...) for id, ... in rows]``, spelt out as source.

    Like ``collections.namedtuple``, since a loop over the names takes four times as long. Only
    names of our own fields are evaluated.
    """
    arguments = ", ".join(f"{field}={field}" for field in fields)
    source = f"lambda rows: [entity({arguments}) for {', '.join(fields)} in rows]"
    return cast("Callable[[Iterable[Row]], list[T]]", eval(source, {"entity": entity}))  # noqa: S307
