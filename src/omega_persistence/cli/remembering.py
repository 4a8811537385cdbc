"""Commands in the words of an agent: remember, reembed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from omega_persistence import Tier
from omega_persistence.cli import output
from omega_persistence.cli.embedders import EmbedderName, load_embedder
from omega_persistence.cli.options import JSON, Create, Namespace, Store, open_to_write
from omega_persistence.cli.plain import count
from omega_persistence.cli.values import json_of, moment_of


def remember(
    path: Store,
    content: Annotated[
        str, typer.Argument(metavar="TEXT", help="What to remember.", show_default=False)
    ],
    tier: Annotated[int, typer.Option(min=1, max=12, help="Its tier, 1 to 12.")] = Tier.EPISODIC,
    importance: Annotated[float, typer.Option(help="0 to 1.")] = 0.5,
    session: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The conversation or task.", show_default=False),
    ] = None,
    speaker: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who said it.", show_default=False)
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TAG", help="What it is about; may be given again.", show_default=False
        ),
    ] = None,
    metadata: Annotated[
        str | None, typer.Option(metavar="JSON", help="A JSON object.", show_default=False)
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="When it was, in Unix seconds or ISO 8601.", show_default=False
        ),
    ] = None,
    id: Annotated[
        str | None, typer.Option(metavar="ID", help="Its id.", show_default=False)
    ] = None,
    vector: Annotated[
        str | None,
        typer.Option(metavar="JSON", help="Its embedding, an array.", show_default=False),
    ] = None,
    space: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The space of --vector.", show_default=False),
    ] = None,
    embedder: EmbedderName = None,
    on_duplicate: Annotated[
        Literal["keep", "skip", "merge"],
        typer.Option(help="If the same is there: keep both, keep that one, or make one of them."),
    ] = "keep",
    create: Create = False,
    namespace: Namespace = "default",
    json: JSON = False,
) -> None:
    """Remember a text, with who said it, when, and its vector if there is an embedder."""
    arguments: dict[str, Any] = {
        "tier": tier,
        "importance": importance,
        "session": session,
        "speaker": speaker,
        "tags": tag or (),
        "metadata": json_of(metadata, dict, "a JSON object"),
        "at": moment_of(at),
        "id": id,
        "vector": json_of(vector, list[float], "a JSON array of numbers"),
        "space": space,
        "on_duplicate": on_duplicate,
    }
    model = None if embedder is None else load_embedder(embedder)
    with open_to_write(path, namespace, create=create, embedder=model) as store:
        made = store.remember(content, **arguments)
    if json:
        output.print_json(made)
        return
    from omega_persistence.cli.screen import say

    say(f"Remembered {made.id}.")


def reembed(
    path: Store,
    to_space: Annotated[
        str, typer.Argument(metavar="SPACE", help="The space of the new model.", show_default=False)
    ],
    embedder: Annotated[
        str,
        typer.Argument(
            metavar="EMBEDDER",
            help="The new model, as MODULE:NAME: a function from texts to vectors, or an Embedder.",
            show_default=False,
        ),
    ],
    from_space: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="NAME",
            help="The space whose memories get new vectors; all memories if not given.",
            show_default=False,
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How many texts at once; by default 64, or what the Embedder says.",
            show_default=False,
        ),
    ] = None,
    remove_old: Annotated[
        bool, typer.Option("--remove-old", help="Remove the old vectors after the switch.")
    ] = False,
    namespace: Namespace = "default",
    json: JSON = False,
) -> None:
    """Move a namespace to another model's vectors; run again, it goes on where it was cut off."""
    from omega_persistence.cli import screen

    model = load_embedder(embedder, "'EMBEDDER'")
    with (
        open_to_write(path, namespace) as store,
        screen.progress_bar("embedding", "memories") as progress,
    ):
        done = store.vectors.reembed(
            from_space, to_space, model, batch=batch, keep_old=not remove_old, progress=progress
        )
    if json:
        output.print_json({"namespace": namespace, "space": to_space, "embedded": done})
        return
    embedded = count(done, "memory", "memories")
    screen.say(f"Embedded {embedded}; namespace {namespace} is searched in space {to_space} now.")
