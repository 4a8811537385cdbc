"""What callers say about the memories they look for, checked before any lock."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, cast, get_args

from omega_persistence.backends.filters import Condition, Filter, Operator, Scalar
from omega_persistence.entities.record import checked_time
from omega_persistence.errors import InvalidDataError

Where = Mapping[str, Scalar | Mapping[Operator, Scalar]]
"""Key of the metadata, dots lead into objects -> value or comparisons; see `checked_filter`."""

MAX_CONDITIONS = 16
"""Conditions on metadata in one filter: each decodes the JSON of every row that it looks at."""

_OPERATORS: tuple[str, ...] = get_args(Operator)


def checked_filter(
    *,
    tiers: Iterable[int] | None = None,
    session: str | None = None,
    since: int | None = None,
    until: int | None = None,
    min_importance: float | None = None,
    where: Where | None = None,
) -> Filter:
    """A filter for memories, every part of which must hold; see `Filter`.

    Args:
        tiers: Numbers from 1 to 12, or members of `Tier`.
        session: The conversation or task.
        since: The earliest ``created_at``, in Unix seconds.
        until: The Unix time before which ``created_at`` must be.
        min_importance: From 0 to 1.
        where: Key of the metadata -> the value that it must have, or comparisons that must hold:
            ``{"speaker": "Ann", "score": {">=": 3, "<": 5}}``. Dots lead into objects:
            ``{"place.city": "Bern"}``. Values are text, numbers, booleans or None, which also
            stands for a key that is not there. A text or number is also equal to an array that
            holds it: ``{"tags": "pets"}``.

    Raises:
        InvalidDataError: naming the part and what it must be.
    """
    return Filter(
        tiers=None if tiers is None else _checked_tiers(tiers),
        session=None if session is None else _checked_session(session),
        since=None if since is None else checked_time(since, "since"),
        until=None if until is None else checked_time(until, "until"),
        min_importance=None if min_importance is None else _checked_unit(min_importance),
        where=() if where is None else _checked_where(where),
    )


def _refusal(field: str, rule: str, value: object) -> InvalidDataError:
    return InvalidDataError(f"{field} must be {rule}: {value!r:.80}", field=field)


def _checked_tiers(tiers: object) -> tuple[int, ...]:
    rule = "several whole numbers from 1 to 12"
    if not isinstance(tiers, Iterable) or isinstance(tiers, (str, bytes)):
        raise _refusal("tiers", rule, tiers)
    listed = list(cast("Iterable[object]", tiers))
    numbers = [
        int(tier)
        for tier in listed
        if isinstance(tier, int) and not isinstance(tier, bool) and 1 <= tier <= 12
    ]
    if len(numbers) != len(listed):
        raise _refusal("tiers", rule, listed)
    return tuple(sorted(set(numbers)))


def _checked_session(session: object) -> str:
    if type(session) is not str or not session or not _storable(session):
        raise _refusal("session", "text, not empty, without NUL or lone surrogates", session)
    return session


def _checked_unit(value: object) -> float:
    number = type(value) in {int, float}
    if not number or not 0 <= (value := cast("float", value)) <= 1:
        raise _refusal("min_importance", "a number from 0 to 1", value)
    return float(value)


def _checked_where(where: object) -> tuple[Condition, ...]:
    if not isinstance(where, Mapping):
        raise _refusal("where", "a mapping of metadata keys to values", where)
    conditions: list[Condition] = []
    for key, wanted in cast("Mapping[object, object]", where).items():
        path = _checked_path(key)
        if not isinstance(wanted, Mapping):
            conditions.append(_checked_condition(path, "=", wanted))
            continue
        compared = cast("Mapping[object, object]", wanted)
        if not compared:
            raise _refusal("where", f"a value or comparisons for {key!r:.80}", compared)
        conditions += [_checked_condition(path, *each) for each in compared.items()]
    if len(conditions) > MAX_CONDITIONS:
        raise _refusal("where", f"at most {MAX_CONDITIONS} conditions", len(conditions))
    return tuple(conditions)


def _checked_path(key: object) -> tuple[str, ...]:
    if isinstance(key, str):
        path = tuple(key.split("."))
        # No database's notation for a path can hold these in every version of it.
        if all(path) and not {'"', "\\"} & set(key) and _storable(key):
            return path
    rule = 'keys of text joined by dots, not empty, without ", \\, NUL or lone surrogates'
    raise _refusal("where", rule, key)


def _checked_condition(path: tuple[str, ...], operator: object, value: Any) -> Condition:
    name = ".".join(path)
    if operator not in _OPERATORS:
        raise _refusal("where", f"compared by one of {', '.join(_OPERATORS)}", operator)
    if not _is_scalar(value):
        rule = "text, a finite number within 64 bits, a boolean or None"
        raise _refusal("where", f"{rule} for {name!r:.80}", value)
    if operator != "=" and (value is None or isinstance(value, bool)):
        raise _refusal("where", f"text or a number to have an order, for {name!r:.80}", value)
    return Condition(path, cast("Operator", operator), value)


def _is_scalar(value: object) -> bool:
    if type(value) is str:
        return _storable(value)
    if type(value) is int:
        return -(2**63) <= value < 2**63
    if type(value) is float:
        return math.isfinite(value)
    return value is None or type(value) is bool


def _storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)
