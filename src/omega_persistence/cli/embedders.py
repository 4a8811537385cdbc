"""An embedder given on the command line."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Annotated, Any, cast

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


def load_embedder(name: str, where: str = "'--embedder'") -> Embed | Embedder:
    """What a name such as ``models:minilm`` stands for, given ``where`` on the command line.

    Modules of the working folder are found first, as with ``python -m``.
    """
    module, _, attributes = name.partition(":")
    if not module or module.startswith(".") or not attributes:
        message = f"{name!r} is not MODULE:NAME, such as models:minilm"
        raise typer.BadParameter(message, param_hint=where)
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found: Any = importlib.import_module(module)
        for attribute in attributes.split("."):
            found = getattr(found, attribute)
    except Exception as error:
        # Whatever the module raises while it is loaded, which is for its author to mend.
        message = f"{name!r} cannot be loaded: {type(error).__name__}: {error}"
        raise typer.BadParameter(message, param_hint=where) from error
    return cast("Embed | Embedder", found)
