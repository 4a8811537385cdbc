"""Numbered steps of the schema: found, verified against what a file records, and planned."""

from __future__ import annotations

import os
from binascii import crc32
from functools import cache

from msgspec import Struct

from omega_persistence.errors import SchemaError

_FOLDER = os.path.join(os.path.dirname(os.path.dirname(__file__)), "migrations")


class Step(Struct, frozen=True):
    """One file ``NNNN_words.<dialect>.sql``.

    The digest tells an edited step from the released one: a CRC-32 of the text without trailing
    blanks. Whoever could forge it could as well edit this library, and SHA-256 would cost every
    start 3 ms.
    """

    version: int
    name: str
    sql: str
    digest: str


class Migration(Struct, frozen=True, kw_only=True):
    """What bringing a file to the schema of this library did, or would do.

    Attributes:
        from_version: The schema of the file; 0 for one of the Rust crate.
        to_version: The schema afterwards.
        steps: The names of the steps, in order.
        backup: The copy of the file as it was; None in a rehearsal.
        moved: Rows that arrived, by table, when the file came from the Rust crate.
        quarantined: Rows that broke the rules, by table, likewise.
    """

    from_version: int
    to_version: int
    steps: list[str]
    backup: str | None = None
    moved: dict[str, int] = {}
    quarantined: dict[str, int] = {}


@cache
def steps(dialect: str) -> tuple[Step, ...]:
    """Every step of a dialect, in order.

    Raises:
        SchemaError: the numbers do not run from 1 without gaps.
    """
    ending = f".{dialect}.sql"
    names = sorted(name for name in os.listdir(_FOLDER) if name.endswith(ending))
    found: list[Step] = []
    for expected, name in enumerate(names, start=1):
        number, _, words = name.removesuffix(ending).partition("_")
        if number != f"{expected:04}":
            message = f"migration {expected:04} is missing, found {name}"
            raise SchemaError(message)
        with open(os.path.join(_FOLDER, name), encoding="utf-8") as file:
            text = file.read()
        normal = "\n".join(line.rstrip() for line in text.strip().splitlines())
        found.append(Step(expected, words, text, f"{crc32(normal.encode()):08x}"))
    return tuple(found)


def pending(recorded: list[tuple[int, str]], known: tuple[Step, ...]) -> tuple[Step, ...]:
    """The steps that a file still needs, given the (version, digest) that it records.

    Raises:
        SchemaError: the file is newer than this library, or was made by an altered step.
    """
    if len(recorded) > len(known):
        message = f"the file has schema {recorded[-1][0]}, this library knows up to {len(known)}"
        raise SchemaError(message, hint="Upgrade omega-persistence.")
    for (version, digest), step in zip(recorded, known, strict=False):
        if (version, digest) != (step.version, step.digest):
            message = f"schema step {version} of the file is not the one of this library"
            raise SchemaError(message, hint="The file was made by an altered version.")
    return known[len(recorded) :]
