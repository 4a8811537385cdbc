"""The command line ``omega-persistence``.

Exit codes and options are in ``omega-persistence --help``. Commands import rich, numpy and re2
only when they need them, so that the others start at once.
"""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from omega_persistence import __version__
from omega_persistence.cli import copies, demo, doctor, recalling, records, remembering, upkeep
from omega_persistence.cli.completion import PROGRAM, shell_completion
from omega_persistence.cli.program import EXIT_CODES, Program, StoreCommand

__all__ = ["app", "main"]

app = typer.Typer(
    name=PROGRAM,
    cls=Program,
    epilog=EXIT_CODES,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{PROGRAM} {__version__}")
        raise typer.Exit


@app.callback()
def _about(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """A durable, typed memory database for AI agents: one file, no server."""


_START, _RECORDS, _COPIES, _FILE = "Start", "Records", "Copies", "The file"
_COMMANDS = (
    (_START, "demo", demo.demo),
    (_START, "init", upkeep.init),
    (_START, "shell-completion", shell_completion),
    (_RECORDS, "delete", records.delete),
    (_RECORDS, "get", records.get),
    (_RECORDS, "list", records.list_),
    (_RECORDS, "put", records.put),
    (_RECORDS, "recall", recalling.recall),
    (_RECORDS, "remember", remembering.remember),
    (_RECORDS, "search", records.search),
    (_COPIES, "backup", copies.backup),
    (_COPIES, "restore", copies.restore),
    (_COPIES, "export", copies.export),
    (_COPIES, "import", copies.import_),
    (_FILE, "stats", upkeep.stats),
    (_FILE, "check", upkeep.check),
    (_FILE, "doctor", doctor.doctor),
    (_FILE, "quarantine", upkeep.quarantine),
    (_FILE, "migrate", upkeep.migrate),
    (_FILE, "compact", upkeep.compact),
    (_FILE, "reindex", upkeep.reindex),
    (_FILE, "reembed", remembering.reembed),
)
for _panel, _name, _function in _COMMANDS:
    app.command(_name, cls=StoreCommand, rich_help_panel=_panel)(_function)


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that does not speak UTF-8 gets escapes for what it cannot show.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app(prog_name=PROGRAM)
