"""The command shell-completion."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal, get_args

import typer

PROGRAM = "omega-persistence"
_VARIABLE = "_OMEGA_PERSISTENCE_COMPLETE"


Shell = Literal["bash", "zsh", "fish", "powershell"]


def shell_completion(
    context: typer.Context,
    shell: Annotated[
        Shell | None,
        typer.Argument(
            metavar="SHELL",
            help=f"{', '.join(get_args(Shell))}; your login shell if left out.",
        ),
    ] = None,
) -> None:
    """Print the script that completes commands, options and collections in a shell.

    For bash: add [bold]eval "$(omega-persistence shell-completion bash)"[/bold] to ~/.bashrc.
    """
    login = os.path.basename(os.environ.get("SHELL", ""))
    chosen = shell or (login if login in get_args(Shell) else "bash")
    program: Any = context.find_root().command
    # The variable is how the script itself asks the program for completions; with "source" in
    # it the program prints the script.
    os.environ[_VARIABLE] = f"source_{chosen}"
    try:
        program.main(args=[], prog_name=PROGRAM)
    finally:
        del os.environ[_VARIABLE]
