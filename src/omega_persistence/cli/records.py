"""Commands about records: get, list, search, put, delete."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from omega_persistence import NotFoundError
from omega_persistence.cli import output
from omega_persistence.cli.filters import (
    MinImportance,
    Session,
    Since,
    Tiers,
    Until,
    Where_,
    filters_of,
)
from omega_persistence.cli.options import (
    JSON,
    CollectionName,
    Create,
    Namespace,
    RecordId,
    Store,
    collection_named,
    entity_of,
    open_to_read,
    open_to_write,
)
from omega_persistence.cli.plain import count
from omega_persistence.cli.program import BAD_NEWS


def get(
    path: Store,
    collection: CollectionName,
    id: RecordId,
    namespace: Namespace = "default",
    json: JSON = False,
) -> None:
    """Show one record. Exit code 1 if there is none."""
    with open_to_read(path, namespace) as store:
        try:
            record = collection_named(store, collection).get(id)
        except NotFoundError as error:
            output.report(error)
            raise typer.Exit(BAD_NEWS) from error
    if json:
        output.print_json(record)
        return
    from omega_persistence.cli import screen

    screen.show(screen.record_table(record))


def list_(
    path: Store,
    collection: CollectionName,
    limit: Annotated[int, typer.Option(min=1, help="How many records at most.")] = 100,
    after: Annotated[
        str, typer.Option(metavar="ID", help="Begin after this id.", show_default=False)
    ] = "",
    namespace: Namespace = "default",
    json: JSON = False,
) -> None:
    """List records in the order of their ids; with --json, whole and one a line."""
    with open_to_read(path, namespace) as store:
        records = collection_named(store, collection).scan(after=after, limit=limit + 1)
    page = records[:limit]
    if json:
        output.print_json_lines(page)
    elif not page:
        output.message(f"no {collection} in namespace {namespace}{' after that id' * bool(after)}")
    else:
        from omega_persistence.cli import screen

        screen.show(screen.records_view(entity_of(collection), page))
    if len(records) > limit:
        output.message(f"there are more: --after {page[-1].id}")


def search(
    path: Store,
    words: Annotated[
        str,
        typer.Argument(metavar="WORDS", help="One argument; never syntax.", show_default=False),
    ],
    limit: Annotated[int, typer.Option(min=1, help="How many memories at most.")] = 10,
    tier: Tiers = None,
    session: Session = None,
    since: Since = None,
    until: Until = None,
    min_importance: MinImportance = None,
    where: Where_ = None,
    namespace: Namespace = "default",
    json: JSON = False,
) -> None:
    """Find memories that hold any of the words, best first."""
    filters = filters_of(tier, session, since, until, min_importance, where)
    with open_to_read(path, namespace) as store:
        hits = store.memories.search(words, limit=limit, **filters)
    if json:
        output.print_json_lines(hits)
    elif not hits:
        output.message(f"no memory in namespace {namespace} holds any of these words")
    else:
        from omega_persistence.cli import screen

        figures = ("score", "tier")
        made = screen.table("id", *figures, "content", right=figures, whole=("id",))
        for hit in hits:
            identity = screen.id_cell(hit.memory.id)
            figures = (f"{hit.score:.2f}", str(hit.memory.tier))
            made.add_row(identity, *figures, screen.highlighted(hit.snippet))
        screen.show(made)


def put(
    path: Store,
    collection: CollectionName,
    source: Annotated[
        str,
        typer.Argument(
            metavar="RECORDS",
            help="JSON itself, a file of it, or - for stdin: an object, an array of objects, or"
            " an object a line.",
            show_default=False,
        ),
    ],
    create: Create = False,
    namespace: Namespace = "default",
    json: JSON = False,
) -> None:
    """Store records, all of them or none; those with a known id are updated in place.

    Fields that are left out have their defaults: a new id, the present time. A blob is base64;
    a field that ends in _json takes JSON text, or the object itself.
    """
    from omega_persistence.cli.parsing import parse_records

    records = parse_records(_read(source), entity_of(collection))
    with open_to_write(path, namespace, create=create) as store:
        collection_named(store, collection).put_many(records)
    ids = [record.id for record in records]
    if json:
        output.print_json({"collection": collection, "count": len(ids), "ids": ids})
        return
    from omega_persistence.cli.screen import say

    say(f"Put {count(len(ids), 'record')} into {collection}.")
    for id in ids[:10]:
        say(id, indent=2)
    if len(ids) > 10:
        say("...", indent=2)


def delete(
    path: Store,
    collection: CollectionName,
    id: RecordId,
    namespace: Namespace = "default",
    json: JSON = False,
) -> None:
    """Delete one record and what hangs on it. Exit code 1 if there was none."""
    with open_to_write(path, namespace, create=False) as store:
        there = collection_named(store, collection).delete(id)
    if json:
        output.print_json({"collection": collection, "id": id, "deleted": there})
    elif there:
        from omega_persistence.cli.screen import say

        say(f"Deleted {id} from {collection}.")
    else:
        output.message(f"nothing in {collection} of namespace {namespace} has the id {id}")
    if not there:
        raise typer.Exit(BAD_NEWS)


def _read(source: str) -> bytes:
    """The bytes of RECORDS."""
    if source == "-":
        return sys.stdin.buffer.read()
    if source.lstrip()[:1] in {"{", "["}:
        return os.fsencode(source)
    try:
        with open(source, "rb") as file:
            return file.read()
    except OSError as error:
        message = f"{source!r:.200} is neither JSON nor a file: {error.strerror}"
        raise typer.BadParameter(message, param_hint="'RECORDS'") from error
