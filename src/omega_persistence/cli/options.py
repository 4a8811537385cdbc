"""Arguments and options that several commands share, and how a store is opened for them."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from omega_persistence import OmegaStore, StorageError
from omega_persistence.entities import Collections

if TYPE_CHECKING:
    from collections.abc import Generator

    from omega_persistence.backends import Scope
    from omega_persistence.entities.base import Collection
    from omega_persistence.entities.embedding import Embed, Embedder

STORE_VARIABLE = "OMEGA_PERSISTENCE_STORE"
NAMESPACE_VARIABLE = "OMEGA_PERSISTENCE_NAMESPACE"

# Bound to nothing: only their names and types are asked for.
_COLLECTIONS = {each.table.name: each for each in Collections(cast("Scope", None), "default").all()}


def _outlives_the_command(path: str) -> str:
    if path in {"", ":memory:"}:
        message = "name a file: a store without one would be gone when the command ends"
        raise typer.BadParameter(message)
    return path


def _known_collection(name: str) -> str:
    known = name.replace("-", "_")
    if known not in _COLLECTIONS:
        message = f"there is no collection {name!r}; choose one of {', '.join(_COLLECTIONS)}"
        raise typer.BadParameter(message)
    return known


def _collections_beginning_with(incomplete: str) -> list[str]:
    return [name for name in _COLLECTIONS if name.startswith(incomplete)]


Store = Annotated[
    str,
    typer.Argument(
        metavar="STORE",
        envvar=STORE_VARIABLE,
        callback=_outlives_the_command,
        help="The store's file; may be left out when the variable names it.",
        show_default=False,
    ),
]

CollectionName = Annotated[
    str,
    typer.Argument(
        metavar="COLLECTION",
        callback=_known_collection,
        autocompletion=_collections_beginning_with,
        help=f"One of {', '.join(_COLLECTIONS)}; with _ or -.",
        show_default=False,
    ),
]

RecordId = Annotated[str, typer.Argument(metavar="ID", help="The record's id.", show_default=False)]

Namespace = Annotated[
    str,
    typer.Option(
        "--namespace", "-n", metavar="NAME", envvar=NAMESPACE_VARIABLE, help="Whose records."
    ),
]

JSON = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, and nothing else.")]

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists.")]

Create = Annotated[bool, typer.Option("--create", help="Make the store if there is none.")]


def collection_named(store: OmegaStore, name: str) -> Collection[Any]:
    """A collection of a store by the name of its table."""
    return next(each for each in store.all() if each.table.name == name)


def entity_of(name: str) -> type[Any]:
    """The type of the records of a collection."""
    return _COLLECTIONS[name].table.entity


@contextmanager
def open_to_read(
    path: str, namespace: str, *, embedder: Embed | Embedder | None = None
) -> Generator[OmegaStore]:
    """A store that is neither made nor migrated nor changed in any way."""
    log = full_path(path) + "-wal"
    in_use = os.path.exists(log)
    try:
        with OmegaStore(
            path,
            namespace=namespace,
            create=False,
            migrate=False,
            read_only=True,
            embedder=embedder,
        ) as store:
            yield store
    finally:
        if not in_use and os.path.exists(log) and os.access(path, os.W_OK):
            # A reader leaves an empty log behind, which only a writer may take away.
            with suppress(StorageError):
                open_to_write(path, namespace).close()


def open_to_write(
    path: str,
    namespace: str,
    *,
    create: bool = False,
    checksums: bool = False,
    embedder: Embed | Embedder | None = None,
) -> OmegaStore:
    """A store for writing; an older file is not migrated by the way."""
    return OmegaStore(
        path,
        namespace=namespace,
        create=create,
        migrate=False,
        checksums=checksums,
        embedder=embedder,
    )


def full_path(path: str) -> str:
    """A path as the store reports it."""
    return os.path.realpath(path)
