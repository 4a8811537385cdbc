"""An embedder given on the command line, and texts that stand for numbers and moments."""

from __future__ import annotations

import importlib
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, cast

import msgspec
import typer

if TYPE_CHECKING:
    from omega_persistence.entities.embedding import Embed, Embedder

EmbedderName = Annotated[
    str | None,
    typer.Option(
        "--embedder",
        metavar="MODULE:NAME",
        help="A function from texts to vectors, or an Embedder, in a module that Python finds from"
        " here.",
        show_default=False,
    ),
]


def load_embedder(name: str) -> Embed | Embedder:
    """What a name such as ``models:minilm`` stands for.

    Modules of the working folder are found first, as with ``python -m``.
    """
    module, _, attributes = name.partition(":")
    if not module or not attributes:
        raise _refusal(f"{name!r} is not MODULE:NAME, such as models:minilm")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found: Any = importlib.import_module(module)
        for attribute in attributes.split("."):
            found = getattr(found, attribute)
    except (ImportError, AttributeError) as error:
        raise _refusal(f"{name!r} cannot be loaded: {error}") from error
    return cast("Embed | Embedder", found)


def _refusal(message: str) -> typer.BadParameter:
    return typer.BadParameter(message, param_hint="'--embedder'")


def moment_of(text: str | None) -> int | None:
    """Unix seconds of a number, or of a date and time in ISO 8601, in UTC if it does not say."""
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"{text!r} is neither Unix seconds nor a date such as 2023-05-08T09:30"
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
    except msgspec.MsgspecError as error:
        message = f"{text!r:.80} is not {what}: {error}"
        raise typer.BadParameter(message) from error
