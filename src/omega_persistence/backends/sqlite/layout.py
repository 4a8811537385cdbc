"""What a file consists of: nothing in it may run but what this library put there.

A trigger, a view, a CHECK, a generated column or an index on an expression runs when somebody
else reads or writes. In a file from a stranger it could wait for ever, or drop what was just
stored. Plain tables and indexes of other programs run nothing, so they may stay.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, cast

import apsw

if TYPE_CHECKING:
    from collections.abc import Iterable

    from omega_persistence.backends.migrate import Step

DIALECT = "sqlite"

RECORDS = """
    CREATE TABLE schema_migrations (
        version INTEGER PRIMARY KEY, name TEXT NOT NULL, digest TEXT NOT NULL
    ) STRICT"""

OBJECTS = "SELECT type, name, tbl_name, rootpage > 0, sql FROM sqlite_schema"
"""Query for the rows of type `Object`."""

Object = tuple[str, str, str, int, str | None]
"""A table, index, view or trigger: type, name, whose it is, whether it has pages, definition."""

# Words of a table's definition after which an expression may stand; literals as defaults may. A
# definition without these letters is told faster than the expression is compiled.
_LETTERS = ("as", "check", "generated", "default")
_EXPRESSION = r"""\b(?:as|check|generated)\b|\bdefault\b(?!\s+(?:[+\w.'"]|-[\w.]))"""

_COLUMN = r'[\w"]+(?: COLLATE \w+)?(?: ASC| DESC)?'
_PLAIN_INDEX = rf'CREATE INDEX [\w"]+ ON [\w"]+ ?\({_COLUMN}(?:, ?{_COLUMN})*\)'


def foreign(objects: Iterable[Object], steps: tuple[Step, ...]) -> list[str]:
    """What could run in a file, and was not made by the steps of the schema that it has."""
    scripts = "".join(step.sql for step in steps)
    # SQLite keeps a definition as it was written; only a later ALTER makes it differ.
    unknown = [each for each in objects if f"{each[4]};" not in scripts]
    unknown = [each for each in unknown if not _harmless(each[4])]
    if unknown and steps:
        made = _made(steps)
        unknown = [each for each in unknown if each not in made]
    return sorted(f"{kind} {name}" for kind, name, *_ in unknown)


def missing(objects: Iterable[Object], steps: tuple[Step, ...]) -> list[str]:
    """What the steps of the schema made, and the file does not have as they made it."""
    absent = _made(steps).difference(objects)
    return sorted(f"{kind} {name}" for kind, name, *_ in absent)


def _harmless(sql: str | None) -> bool:
    if sql is None:  # the index of a PRIMARY KEY or a UNIQUE
        return True
    if type(sql) is not str:  # in a damaged file
        return False
    if sql.startswith("CREATE TABLE "):
        folded = sql.casefold()
        if not any(letters in folded for letters in _LETTERS):
            return True
        return re.search(_EXPRESSION, sql, re.IGNORECASE) is None
    return re.fullmatch(_PLAIN_INDEX, sql, re.IGNORECASE) is not None


@cache
def _made(steps: tuple[Step, ...]) -> frozenset[Object]:
    """Everything that steps make, found out by doing them: about 2 ms."""
    connection = apsw.Connection(":memory:")
    try:
        connection.execute(RECORDS)
        for step in steps:
            connection.execute(step.sql)
        return frozenset(cast("list[Object]", connection.execute(OBJECTS).fetchall()))
    finally:
        connection.close()
