"""The command doctor, which also examines a store that cannot be opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from omega_persistence.cli import output
from omega_persistence.cli.options import JSON, Namespace, Store, full_path, open_to_read
from omega_persistence.cli.plain import count, size
from omega_persistence.cli.program import BAD_NEWS
from omega_persistence.errors import (
    CorruptionError,
    InvalidDataError,
    NotFoundError,
    StorageError,
)

if TYPE_CHECKING:
    from omega_persistence import Note
    from omega_persistence.backends.surroundings import Surroundings


def doctor(path: Store, namespace: Namespace = "default", json: JSON = False) -> None:
    """Note what may do harm one day, or may not be meant, and say what to do about it.

    The disk, permissions, the log, an unclean shutdown; cycles, missing parents, odd patterns,
    quarantine. Works on a store that cannot be opened, too, and says why; exit code 1 then.
    """
    from omega_persistence.backends.sqlite import surroundings

    facts = surroundings.look(full_path(path))
    notes, usable = _examine(path, namespace, facts)
    if json:
        document = {
            "store": full_path(path),
            "namespace": namespace,
            "usable": usable,
            "surroundings": facts,
            "notes": notes,
        }
        output.print_json(document)
    else:
        _show(path, namespace, facts, notes)
    if not usable:
        raise typer.Exit(BAD_NEWS)


def _examine(path: str, namespace: str, facts: Surroundings) -> tuple[list[Note], bool]:
    """The notes, and whether the store can be used."""
    from omega_persistence.doctor import Note
    from omega_persistence.doctor.surroundings import about_surroundings

    try:
        with open_to_read(path, namespace) as store:
            return store.doctor(), True
    except (NotFoundError, InvalidDataError):  # there is nothing to examine
        raise
    except StorageError as error:
        kind = "damaged" if isinstance(error, CorruptionError) else "cannot_open"
        first = Note(kind=kind, subject=path, text=str(error), hint=error.hint or "")
        return [first, *about_surroundings(facts)], False


def _show(path: str, namespace: str, facts: Surroundings, notes: list[Note]) -> None:
    from omega_persistence.cli import screen

    screen.say(f"{path}, namespace {namespace}", style="bold")
    table = screen.table("place", "")
    for name, value in _facts(facts):
        table.add_row(name, screen.cell(value))
    screen.show("", table)
    screen.say()
    screen.say(count(len(notes), "note") + "." if notes else "Nothing to note.")
    for note in notes:
        screen.say()
        screen.say(f"{note.kind}: {note.text}", style="bold")
        screen.say(note.subject, indent=2)
        if note.hint:
            screen.say(output.as_commands(note.hint), style="dim", indent=2)


def _facts(facts: Surroundings) -> list[tuple[str, str]]:
    room = facts.disk_free_bytes
    return [
        ("engine", facts.engine),
        ("file system", facts.file_system or "unknown"),
        ("free on the disk", "unknown" if room is None else size(room)),
        ("size", size(facts.file_bytes)),
        ("log beside it", size(facts.log_bytes)),
    ]
