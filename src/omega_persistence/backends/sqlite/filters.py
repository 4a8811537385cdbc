"""A filter as an SQL condition."""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

import msgspec
from msgspec.structs import replace

from omega_persistence.backends.filters import ANY

if TYPE_CHECKING:
    from omega_persistence.backends import Value
    from omega_persistence.backends.filters import Condition, Filter, Scalar

VISIBLE = "(memories.expires_at IS NULL OR memories.expires_at > :now)"

# Each is used if the filter has such a part, whose value is bound to the parameter of that name.
_PARTS: dict[LiteralString, LiteralString] = {
    "session": "memories.session = :session",
    "since": "memories.created_at >= :since",
    "until": "memories.created_at < :until",
    "min_importance": "memories.importance >= :min_importance",
}

_TIERS = "memories.tier IN (SELECT value FROM json_each(:tiers))"

# Parameters have no digits in their names.
_LETTERS: tuple[LiteralString, ...] = (
    *("a", "b", "c", "d", "e", "f", "g", "h"),
    *("i", "j", "k", "l", "m", "n", "o", "p"),
)


def condition(filter: Filter) -> tuple[LiteralString, dict[str, Value]]:
    """What a row of ``memories`` must fulfil, and the values of the parameters therein.

    The row has not expired and passes the filter. The namespace is left to the statement, which
    goes by way of it. ``:now`` is bound by the session.
    """
    passing, values = passes(filter)
    return f"{VISIBLE} AND {passing}" if passing else VISIBLE, values


def passes(filter: Filter) -> tuple[LiteralString, dict[str, Value]]:
    """The same without the expiry, which the indexes for filters lack; empty if all pass."""
    parts: list[LiteralString] = []
    values: dict[str, Value] = {}
    for name, part in _PARTS.items():
        value = getattr(filter, name)
        if value is not None:
            parts.append(part)
            values[name] = value
    if filter.tiers is not None:
        parts.append(_TIERS)
        values["tiers"] = msgspec.json.encode(filter.tiers).decode()
    for letter, each in zip(_LETTERS, filter.where, strict=False):
        parts.append(_comparison(each, letter))
        values[f"path_{letter}"] = _json_path(each.path)
        values[f"value_{letter}"] = _comparable(each.value)
    return " AND ".join(parts), values


def indexed(filter: Filter) -> list[Filter]:
    """The parts of a filter that an index of memories answers by itself; there may be none.

    What passes such a part can be listed without reading the memories.
    """
    of_session = replace(filter, tiers=None, min_importance=None, where=())
    of_tiers = replace(filter, session=None, since=None, until=None, where=())
    return [part for part in (of_session, of_tiers) if part != ANY]


def _comparison(condition: Condition, letter: LiteralString) -> LiteralString:
    arguments: LiteralString = f"memories.metadata_json, :path_{letter}"
    value: LiteralString = f"json_extract({arguments})"
    kind: LiteralString = f"json_type({arguments})"
    if condition.value is None:
        return f"{value} IS :value_{letter}"
    if isinstance(condition.value, bool):
        return f"{kind} = :value_{letter}"
    operator: LiteralString = condition.operator
    # Without its type, an array would compare like its text, and true like 1.
    kinds: LiteralString = "'text'" if isinstance(condition.value, str) else "'integer', 'real'"
    alone: LiteralString = f"{kind} IN ({kinds}) AND {value} {operator} :value_{letter}"
    if operator != "=":
        return f"({alone})"
    return f"""({alone} OR {kind} = 'array' AND EXISTS (
        SELECT 1 FROM json_each({arguments}) AS element
        WHERE element.type IN ({kinds}) AND element.value = :value_{letter}))"""


def _comparable(value: Scalar) -> Value:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


def _json_path(keys: tuple[str, ...]) -> str:
    """A path in SQLite's notation, each key quoted: nothing in it is syntax."""
    return "$" + "".join(f'."{key}"' for key in keys)
