"""The command recall, and how an answer is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from omega_persistence.cli import output
from omega_persistence.cli.embedders import EmbedderName, load_embedder
from omega_persistence.cli.filters import (
    MinImportance,
    Session,
    Since,
    Tiers,
    Until,
    Where_,
    filters_of,
)
from omega_persistence.cli.options import JSON, Namespace, Store, open_to_read
from omega_persistence.cli.values import json_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.table import Table

    from omega_persistence.recall.hits import Explanation, Hit, NearMiss


def recall(
    path: Store,
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="The question; never syntax.", show_default=False)
    ],
    limit: Annotated[int, typer.Option(min=1, help="How many memories at most.")] = 10,
    tier: Tiers = None,
    session: Session = None,
    since: Since = None,
    until: Until = None,
    min_importance: MinImportance = None,
    where: Where_ = None,
    vector: Annotated[
        str | None,
        typer.Option(metavar="JSON", help="The question's embedding.", show_default=False),
    ] = None,
    space: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The space of --vector.", show_default=False),
    ] = None,
    embedder: EmbedderName = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say why, and what was nearly among them.")
    ] = False,
    namespace: Namespace = "default",
    json: JSON = False,
) -> None:
    """Recall the memories that answer a question, best first, by words, vectors and sessions."""
    arguments: dict[str, Any] = {
        "limit": limit,
        **filters_of(tier, session, since, until, min_importance, where),
        "vector": json_of(vector, list[float], "a JSON array of numbers"),
        "space": space,
    }
    model = None if embedder is None else load_embedder(embedder)
    with open_to_read(path, namespace, embedder=model) as store:
        explained = store.recall(text, explain=True, **arguments) if explain else None
        hits = explained.hits if explained else store.recall(text, explain=False, **arguments)
    if json:
        if explained is None:
            output.print_json_lines(hits)
        else:
            output.print_json(explained)
    elif explained is not None:
        _show_explanation(explained)
    elif not hits:
        output.message(f"no memory in namespace {namespace} answers")
    else:
        _show(_table(hits))


def _show(made: Table) -> None:
    from omega_persistence.cli import screen

    screen.show(made)


def _table(hits: Iterable[Hit]) -> Table:
    from omega_persistence.cli import screen

    figures = ("score", "tier")
    made = screen.table("id", *figures, "content", right=figures, whole=("id",))
    for hit in hits:
        identity = screen.id_cell(hit.memory.id)
        made.add_row(
            identity, f"{hit.score:.2f}", str(hit.memory.tier), screen.wrapped(hit.memory.content)
        )
    return made


def _show_explanation(explained: Explanation) -> None:
    from omega_persistence.cli import screen

    screen.say(f"Words: {', '.join(explained.words) or 'none'}.")
    if explained.space is not None:
        screen.say(f"Space of the vectors: {explained.space or 'the unnamed one'}.")
    for number, hit in enumerate(explained.hits, start=1):
        screen.say()
        screen.say(f"{number}. {hit.memory.id} {hit.score:.2f}", style="bold")
        screen.say(hit.memory.content, indent=3)
        screen.say(_figures(hit), indent=3)
        for reason in hit.why:
            screen.say(f"- {reason}", indent=3)
    if explained.near_misses:
        screen.say()
        screen.say("Nearly among them:", style="bold")
        for miss in explained.near_misses:
            kept = f"{miss.memory.id} {miss.score:.2f}, kept out by the {miss.kept_out}"
            screen.say(kept, indent=3)


def _figures(hit: Hit | NearMiss) -> str:
    """The parts of a score that are not zero."""
    parts = ((name, getattr(hit.parts, name)) for name in hit.parts.__struct_fields__)
    told = [f"{name} {value:.2f}" for name, value in parts if value and name != "score"]
    return " + ".join(told)
