"""Options whose text stands for something else: a moment, or JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import typer


def moment_of(text: str | None) -> int | None:
    """Unix seconds of a number, or of a date and time in ISO 8601, in UTC if it does not say.

    Eight digits are a date, as in ISO 8601: nobody means a day of 1970 by 20230508.
    """
    if text is None:
        return None
    eight_digits = len(text) == 8 and text.isdecimal()
    if not eight_digits:
        try:
            return int(text)
        except ValueError:
            pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        hint = "; eight digits are a date" if eight_digits else ""
        message = f"{text!r} is neither Unix seconds nor a date such as 2023-05-08T09:30{hint}"
        raise typer.BadParameter(message) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp())


def json_of(text: str | None, kind: type[Any], what: str) -> Any:
    """The value of an option that takes JSON; None for None."""
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, UnicodeError) as error:
        message = f"{text!r:.80} is not {what}: {error}"
        raise typer.BadParameter(message) from error
