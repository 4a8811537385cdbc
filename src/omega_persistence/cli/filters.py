"""Options that say which memories `recall` and `search` may return."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import msgspec
import typer

from omega_persistence.backends.filters import Operator
from omega_persistence.cli.values import moment_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omega_persistence.backends.filters import Scalar
    from omega_persistence.entities.filters import Where

Tiers = Annotated[
    list[int] | None,
    typer.Option(
        "--tier", min=1, max=12, help="Only this tier; may be given again.", show_default=False
    ),
]

Session = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Only this conversation or task.", show_default=False),
]

Since = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Only memories made then or later: Unix seconds or ISO 8601.",
        show_default=False,
    ),
]

Until = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Only memories made before then.", show_default=False),
]

MinImportance = Annotated[
    float | None,
    typer.Option(metavar="X", help="Only memories at least this important.", show_default=False),
]

Where_ = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="CONDITION",
        help="Only memories with such metadata: speaker=Ann, score>=3; may be given again.",
        show_default=False,
    ),
]

_CONDITION = re.compile(r"(?P<key>[^=<>!]+)(?P<operator>[=<>!]+)(?P<value>.*)", re.DOTALL)


def filters_of(
    tier: Tiers,
    session: Session,
    since: Since,
    until: Until,
    min_importance: MinImportance,
    where: Where_,
) -> dict[str, Any]:
    """The options as arguments of the library."""
    return {
        "tiers": tier or None,
        "session": session,
        "since": moment_of(since),
        "until": moment_of(until),
        "min_importance": min_importance,
        "where": _where(where),
    }


def _where(conditions: Sequence[str] | None) -> Where | None:
    """Conditions such as ``score>=3``, as the library takes them.

    What is JSON is that value, so 3 is a number and "3" a text; anything else is text.
    """
    if not conditions:
        return None
    found: dict[str, dict[Operator, Scalar]] = {}
    for condition in conditions:
        parts = _CONDITION.fullmatch(condition)
        if parts is None:
            message = f"{condition!r} is no condition such as speaker=Ann or score>=3"
            raise typer.BadParameter(message, param_hint="'--where'")
        key, operator = parts["key"].strip(), cast("Operator", parts["operator"])
        compared = found.setdefault(key, {})
        if operator not in get_args(Operator) or operator in compared:
            known = ", ".join(get_args(Operator))
            message = f"{condition!r}: a key is compared by each of {known} once, and nothing else"
            raise typer.BadParameter(message, param_hint="'--where'")
        compared[operator] = _value(parts["value"].strip())
    return found


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
