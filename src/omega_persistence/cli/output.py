"""What commands print: JSON and plain lines on stdout, messages and errors on stderr."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import typer

from omega_persistence.cli.plain import one_line, safe_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from omega_persistence import StorageError

# Hints speak Python; on the command line the same thing is called otherwise.
_IN_PYTHON = (
    (re.compile(r"\b(overwrite|create)=True"), r"--\1"),
    (re.compile(r"\ballow it to be replaced\."), "allow it to be replaced with --overwrite."),
    (re.compile(r"\bon_conflict='(\w+)' or '(\w+)'"), r"--on-conflict \1 or \2"),
    (
        re.compile(r"(?<![\w.])(backup|check|compact|doctor|quarantine|restore)\(\)"),
        r"`omega-persistence \1`",
    ),
    (re.compile(r"\bvectors\.(reembed)\(\)"), r"`omega-persistence \1`"),
    (
        re.compile(r"\b(delete_quarantined|memories\.purge_expired|vectors\.serve)\(\)"),
        r"\1() in Python",
    ),
)


def print_json(document: Any) -> None:
    """One JSON document, indented."""
    _print_document(msgspec.json.format(msgspec.json.encode(document), indent=2))


def print_json_lines(documents: Iterable[Any]) -> None:
    """One JSON document a line."""
    for document in documents:
        _print_document(msgspec.json.encode(document))


def print_text(text: str) -> None:
    """Text as it is, in the encoding of stdout."""
    _write(text.encode(sys.stdout.encoding, sys.stdout.errors or "strict"))


def _print_document(document: bytes) -> None:
    # JSON is UTF-8, whatever the terminal's encoding.
    _write(safe_json(document.decode()).encode() + b"\n")


def _write(data: bytes) -> None:
    sys.stdout.flush()  # what was printed as text comes first
    rest = memoryview(data)
    while rest:  # without a buffer (PYTHONUNBUFFERED) a pipe may take less than it is given
        rest = rest[sys.stdout.buffer.write(rest) :]
    sys.stdout.buffer.flush()


def message(text: str) -> None:
    """A line for people on stderr."""
    typer.echo(one_line(text, 1_000), err=True)


def report(error: StorageError) -> None:
    """An error on one line of stderr, and below it what can be done."""
    complain(str(error), error.hint)


def complain(text: str, hint: str | None = None) -> None:
    """What is wrong on one line of stderr, and below it what can be done."""
    typer.secho("error: ", fg=typer.colors.RED, bold=True, nl=False, err=True)
    message(text)
    if hint:
        message(as_commands(hint))


def as_commands(hint: str) -> str:
    """A hint of the library in the words of the command line."""
    for pattern, command in _IN_PYTHON:
        hint = pattern.sub(command, hint)
    return hint
