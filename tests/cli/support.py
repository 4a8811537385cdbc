"""The command line as a function, and as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from typer.testing import CliRunner

from omega_persistence.cli import app

if TYPE_CHECKING:
    from typer.testing import Result

COMMAND = [sys.executable, "-W", "error", "-m", "omega_persistence.cli"]


def run(*arguments: object, code: int = 0, stdin: str | bytes | None = None) -> Result:
    """Run a command, which must end with this exit code and without a traceback."""
    done = CliRunner().invoke(app, list(map(str, arguments)), input=stdin)
    assert isinstance(done.exception, SystemExit | None), done.exception
    assert done.exit_code == code, done.output
    return done


def printed_json(*arguments: object, code: int = 0, stdin: str | bytes | None = None) -> Any:
    """The one JSON document that a command prints with ``--json``."""
    return json.loads(run(*arguments, "--json", code=code, stdin=stdin).stdout)


def printed_lines(*arguments: object) -> list[Any]:
    """The JSON documents, one a line, that a command prints with ``--json``."""
    lines = run(*arguments, "--json").stdout.split("\n")
    assert lines.pop() == ""
    return [json.loads(line) for line in lines]


def refused(*arguments: object, stdin: str | None = None) -> list[str]:
    """The lines on stderr of a command that the store refuses; nothing else is printed."""
    done = run(*arguments, code=3, stdin=stdin)
    assert done.stdout == ""
    first, *rest = done.stderr.splitlines()
    assert first.startswith("error: ")
    assert len(rest) <= 1
    return [first.removeprefix("error: "), *rest]


def process(*arguments: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run a command in a process of its own."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], input=stdin, capture_output=True, timeout=120, check=False
    )
