"""Commands that copy a store: backup, restore, export, import."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Literal

import typer

from omega_persistence import OmegaStore
from omega_persistence.cli import output
from omega_persistence.cli.options import (
    JSON,
    NAMESPACE_VARIABLE,
    Create,
    Namespace,
    Overwrite,
    Store,
    full_path,
    open_to_read,
    open_to_write,
)
from omega_persistence.cli.plain import count, size

STANDARD = "-"
"""Stands for stdin or stdout."""

_POLICIES = ("added", "updated", "skipped")


def backup(
    path: Store,
    target: Annotated[str, typer.Argument(metavar="TARGET", help="The new file.")],
    overwrite: Overwrite = False,
    verify: Annotated[bool, typer.Option(help="Check the copy for damage.")] = True,
    json: JSON = False,
) -> None:
    """Copy a store, as it is at this moment, into a file of its own; readers and writers go on."""
    from omega_persistence.cli import screen

    with (
        open_to_read(path, "default") as store,
        screen.progress_bar("backing up", "pages") as progress,
    ):
        store.backup(target, overwrite=overwrite, verify=verify, progress=progress)
    written = os.path.getsize(target)
    if json:
        output.print_json(
            {
                "store": full_path(path),
                "backup": full_path(target),
                "bytes": written,
                "verified": verify,
            }
        )
    else:
        verified = "verified" if verify else "not verified"
        screen.say(f"Backed up {path} to {target}: {size(written)}, {verified}.")


def restore(
    source: Annotated[str, typer.Argument(metavar="BACKUP", help="A backup.")],
    target: Annotated[str, typer.Argument(metavar="TARGET", help="The file that shall hold it.")],
    overwrite: Overwrite = False,
    json: JSON = False,
) -> None:
    """Make a file hold exactly what a backup holds, after checking the backup for damage.

    With --overwrite a store is replaced in one transaction, also while processes have it open.
    """
    from omega_persistence.cli import screen

    with screen.progress_bar("restoring", "pages") as progress:
        OmegaStore.restore(source, target, overwrite=overwrite, progress=progress)
    if json:
        output.print_json({"backup": full_path(source), "store": full_path(target)})
    else:
        screen.say(f"Restored {target} from {source}: {size(os.path.getsize(target))}.")


def export(
    path: Store,
    target: Annotated[str, typer.Argument(metavar="TARGET", help="The new file, or - for stdout.")],
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", help="Every namespace, and the quarantine.")
    ] = False,
    overwrite: Overwrite = False,
    namespace: Namespace = "default",
    json: JSON = False,
) -> None:
    """Write records as JSON Lines, whole and from one moment; [bold]import[/bold] reads them.

    With - the records are all that goes to stdout, and --json is of no use.
    """
    from omega_persistence.cli import screen

    standard = target == STANDARD
    if standard and json:
        message = "with TARGET - stdout has the records"
        raise typer.BadParameter(message, param_hint="'--json'")
    with (
        open_to_read(path, namespace) as store,
        screen.progress_bar("exporting", "records") as progress,
    ):
        written = store.export_jsonl(
            sys.stdout.buffer if standard else target,
            all_namespaces=all_namespaces,
            overwrite=overwrite,
            progress=progress,
        )
    if standard:
        sys.stdout.buffer.flush()
        output.message(f"Exported {count(written, 'record')} of {path}.")
    elif json:
        document = {"store": full_path(path), "export": full_path(target), "records": written}
        output.print_json(document)
    else:
        screen.say(f"Exported {count(written, 'record')} of {path} to {target}.")


def import_(
    path: Store,
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A file that export wrote, or - for stdin.")
    ],
    on_conflict: Annotated[
        Literal["error", "skip", "update"],
        typer.Option(
            help="For an id that the store has: refuse the file, keep the store's record, or"
            " update it."
        ),
    ] = "error",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do it, tell, and undo it.")] = False,
    create: Create = False,
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace",
            "-n",
            metavar="NAME",
            envvar=NAMESPACE_VARIABLE,
            help="Where all records go; if not given, where they came from.",
        ),
    ] = None,
    json: JSON = False,
) -> None:
    """Store records that [bold]export[/bold] wrote: all of them, or none."""
    from omega_persistence.cli import screen

    with (
        open_to_write(path, "default", create=create) as store,
        screen.progress_bar("importing", "bytes") as progress,
    ):
        report = store.import_jsonl(
            sys.stdin.buffer if source == STANDARD else source,
            into=namespace,
            on_conflict=on_conflict,
            dry_run=dry_run,
            progress=progress,
        )
    if json:
        output.print_json(report)
        return
    done = "Would import" if dry_run else "Imported"
    screen.say(f"{done} into {path}:")
    made = screen.table("collection", *_POLICIES, right=_POLICIES)
    for name in report.added:
        numbers = (report.added[name], report.updated[name], report.skipped[name])
        made.add_row(name, *(f"{number:,}" for number in numbers))
    screen.show("", made)
    if report.quarantined:
        screen.say()
        screen.say(f"{count(report.quarantined, 'row')} put in quarantine.")
