"""The program around the commands: exit codes, errors, and where the store's path comes from."""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from omega_persistence.cli import output
from omega_persistence.cli.options import STORE_VARIABLE
from omega_persistence.errors import StorageError

DONE = 0
BAD_NEWS = 1
WRONG_USE = 2
REFUSED = 3
INTERRUPTED = 130
NOBODY_READS = 141

EXIT_CODES = """\
[bold]Exit codes[/bold]
  0  Done.
  1  Done, and the answer is bad news: no such record, damage found,
     a store that doctor cannot open, a demonstration that went wrong.
  2  The command line is wrong.
  3  The store refused. What, and what can be done about it, is on stderr.
130  Interrupted. What was not acknowledged did not take place.
141  Nobody reads the output any more.
"""


# What typer raises about a command line; it has no public name in every version.
_UsageError: Any = typer.BadParameter.__mro__[1]


class Program(TyperGroup):
    """Turns errors into a line on stderr and an exit code; the only place that does."""

    def main(self, *args: Any, **options: Any) -> NoReturn:
        """Run the command line, and end the process."""
        try:
            code: object = super().main(*args, **{**options, "standalone_mode": False})
        except _UsageError as error:
            asked = error.ctx.command_path if error.ctx else "omega-persistence"
            output.complain(error.format_message(), f"Try `{asked} --help`.")
            sys.exit(WRONG_USE)
        sys.exit(code if isinstance(code, int) else DONE)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments; without any, show the help."""
        return super().parse_args(ctx, args or ["--help"])

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            _let_go_of_stdout()
            raise typer.Exit(NOBODY_READS) from None
        except StorageError as error:
            output.report(error)
            raise typer.Exit(REFUSED) from error
        except KeyboardInterrupt:
            output.message("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        return result


class StoreCommand(TyperCommand):
    """A command whose first argument, STORE, may come from the environment instead.

    All arguments of such a command are required. So if they do not do as they stand, and do with
    the variable's path before them, STORE was left out. Commands without STORE are as ever.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments, those given first."""
        given = list(args)
        path = os.environ.get(STORE_VARIABLE)
        takes_store = any(each.envvar == STORE_VARIABLE for each in self.params)
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter:
            if not (path and takes_store):
                raise
        ctx.params.clear()
        return super().parse_args(ctx, [os.path.abspath(path), *given])


def _let_go_of_stdout() -> None:
    """Send what is still buffered nowhere, or the interpreter would complain on its way out."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
