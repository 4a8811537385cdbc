"""The command demo: the main job on real input, told on one page."""

from __future__ import annotations

import os
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from omega_persistence import ConflictError
from omega_persistence.cli import output
from omega_persistence.cli.options import JSON, full_path
from omega_persistence.cli.program import BAD_NEWS

if TYPE_CHECKING:
    from collections.abc import Generator


def demo(
    keep: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Keep the store in this new file.", show_default=False),
    ] = None,
    json: JSON = False,
) -> None:
    """Migrate a database of the Rust crate, add to it, ask it, break it, copy it; and tell.

    Works in a temporary folder. Exit code 1 if anything is not as it should be.
    """
    from omega_persistence.cli import screen
    from omega_persistence.cli.demo_story import tell

    with _place(keep) as path, screen.spinner("running the demonstration"):
        story = tell(path)
    if json:
        output.print_json(story)
    else:
        from omega_persistence.cli.demo_report import print_story

        print_story(story, kept=keep is not None)
    if story.unexpected:
        raise typer.Exit(BAD_NEWS)


@contextmanager
def _place(keep: str | None) -> Generator[str]:
    """Where the store goes: a path that does not exist."""
    if keep is None:
        with TemporaryDirectory(prefix="omega-persistence-") as folder:
            yield os.path.join(folder, "demo.db")
        return
    path = full_path(keep)
    for name in (path, f"{path}.backup", f"{path}.restored"):
        if os.path.exists(name):
            message = f"{name} exists"
            raise ConflictError(message, hint="Choose another name.")
    yield path
