"""Which memories a search may return, as every backend understands it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Operator = Literal["=", "<", "<=", ">", ">="]
Scalar = str | int | float | bool | None


class Condition(Struct, frozen=True):
    """A comparison with one value of a memory's metadata.

    Values compare within their kind only: numbers with numbers, text with text by code point,
    booleans and None for equality. None also stands for a key that is not there.

    Attributes:
        path: The keys from the outermost object to the value, one at least.
        operator: What must hold between the value in the metadata, on the left, and ``value``.
        value: Text, a finite number within 64 bits if whole, a boolean, or None.
    """

    path: tuple[str, ...]
    operator: Operator
    value: Scalar


class Filter(Struct, frozen=True, kw_only=True):
    """What a memory must be to be returned; a part that is None admits every memory.

    Made by `entities.filters.checked_filter`, which refuses what makes no sense.

    Attributes:
        tiers: It is in one of these; none for an empty tuple.
        session: It belongs to this conversation or task.
        since: It was made then or later, in Unix seconds.
        until: It was made before, in Unix seconds.
        min_importance: It is at least this important.
        where: All of these hold for its metadata.
    """

    tiers: tuple[int, ...] | None = None
    session: str | None = None
    since: int | None = None
    until: int | None = None
    min_importance: float | None = None
    where: tuple[Condition, ...] = ()


ANY = Filter()
"""Admits every memory that has not expired."""
