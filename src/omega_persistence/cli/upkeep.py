"""Commands about the whole file: init, stats, check, quarantine, migrate, compact, reindex."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from omega_persistence import CorruptionError, OmegaStore
from omega_persistence.cli import output
from omega_persistence.cli.options import (
    JSON,
    Namespace,
    Store,
    full_path,
    open_to_read,
    open_to_write,
)
from omega_persistence.cli.plain import count, size
from omega_persistence.cli.program import BAD_NEWS

if TYPE_CHECKING:
    from omega_persistence import DatabaseStatistics, Migration, Problem


def init(
    path: Store,
    checksums: Annotated[
        bool,
        typer.Option(
            "--checksums", help="Give every page a checksum, so that flipped bits are noticed."
        ),
    ] = False,
    json: JSON = False,
) -> None:
    """Make an empty store; one that exists is left as it is.

    With --checksums one that was made without them is refused.
    """
    created = not os.path.exists(path) or os.path.getsize(path) == 0
    with open_to_write(path, "default", create=True, checksums=checksums) as store:
        statistics = store.statistics()
    if json:
        document: dict[str, Any] = {
            "store": full_path(path),
            "created": created,
            "schema_version": statistics.schema_version,
            "checksums": statistics.checksums,
        }
        output.print_json(document)
        return
    from omega_persistence.cli.screen import say

    done = "Made" if created else "There already is"
    checked = ", with page checksums" if statistics.checksums else ""
    say(f"{done} a store at {path}, schema {statistics.schema_version}{checked}.")


def stats(path: Store, namespace: Namespace = "default", json: JSON = False) -> None:
    """Count the records of a namespace, and measure the file."""
    with open_to_read(path, namespace) as store:
        statistics, namespaces = store.statistics(), store.namespaces()
    if json:
        import msgspec

        output.print_json({**msgspec.structs.asdict(statistics), "namespaces": namespaces})
        return
    from omega_persistence.cli import screen

    screen.say(f"{path}, namespace {namespace}", style="bold")
    tables = [screen.counts_table(statistics.counts)]
    if statistics.memories_per_tier:
        tables.append(screen.tiers_table(statistics.memories_per_tier))
    facts = screen.table("file", "")
    for name, value in _facts(statistics, namespaces):
        facts.add_row(name, screen.cell(value))
    for each in (*tables, facts):
        screen.show("", each)


def _facts(statistics: DatabaseStatistics, namespaces: list[str]) -> list[tuple[str, str]]:
    facts = [
        ("size", size(statistics.file_bytes)),
        ("log beside it", size(statistics.wal_bytes)),
        ("free within", size(statistics.free_bytes)),
        ("schema", str(statistics.schema_version)),
        ("page checksums", "yes" if statistics.checksums else "no"),
        ("namespaces", ", ".join(namespaces) or "none yet"),
    ]
    if statistics.expired_memory_count:
        facts.append(("expired", count(statistics.expired_memory_count, "memory", "memories")))
    if statistics.quarantine_count:
        facts.append(("quarantine", count(statistics.quarantine_count, "row")))
    return facts


def check(path: Store, json: JSON = False) -> None:
    """Look for damage in a store or a backup, and change nothing. Exit code 1 if there is any.

    Pages, indexes, the rules of the schema, references, full text, vectors, and page checksums if
    the file has them. Reads the whole file.
    """
    from omega_persistence.cli import screen

    with screen.spinner(f"checking {path}"):
        problems = _problems(path)
    if json:
        output.print_json({"store": full_path(path), "ok": not problems, "problems": problems})
    elif not problems:
        screen.say(f"No damage found in {path}.")
    else:
        screen.say(f"{path} is damaged: {count(len(problems), 'problem')}.", style="bold red")
        made = screen.table("kind", "table", "detail", whole=("kind",))
        for problem in problems:
            made.add_row(problem.kind, problem.table or "-", screen.wrapped(problem.detail))
        screen.show("", made)
        output.message("Restore a backup with `omega-persistence restore`.")
    if problems:
        raise typer.Exit(BAD_NEWS)


def _problems(path: str) -> list[Problem]:
    """What `check` finds, also when the file is too damaged to be opened."""
    from omega_persistence import Problem

    try:
        return OmegaStore.verify_backup(path)
    except CorruptionError as error:
        return [Problem(kind="integrity", detail=str(error))]


def quarantine(
    path: Store,
    limit: Annotated[int, typer.Option(min=1, help="How many rows at most.")] = 100,
    json: JSON = False,
) -> None:
    """List rows that could not become records when a file of the Rust crate was migrated."""
    with open_to_read(path, "default") as store:
        found = store.quarantine(limit=limit + 1)
    rows = found[:limit]
    if json:
        output.print_json_lines(rows)
        return
    from omega_persistence.cli import screen

    if not rows:
        screen.say("No rows are in quarantine.")
        return
    made = screen.table("number", "table", "id", "reason", right=("number",), whole=("table",))
    for row in rows:
        identity = screen.cell("-" if row.id is None else row.id)
        made.add_row(str(row.number), row.table, identity, screen.wrapped(row.reason))
    screen.show(made)
    if len(found) > limit:
        output.message(f"there are more than these: --limit {2 * limit}")


def migrate(
    path: Store,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Do it, tell, and undo it: the file stays as it is.")
    ] = False,
    namespace: Namespace = "default",
    json: JSON = False,
) -> None:
    """Bring an older file, or one of the Rust crate, up to date; a copy of it is kept.

    Records of the Rust crate go into the namespace.
    """
    from omega_persistence.cli import screen

    with screen.spinner(f"migrating {path}"):
        if dry_run:
            migration = OmegaStore.rehearse_migration(path, namespace=namespace)
        else:
            with OmegaStore(path, namespace=namespace, create=False) as store:
                migration = store.migration
    if json:
        output.print_json({"store": full_path(path), "dry_run": dry_run, "migration": migration})
        return
    if migration is None:
        screen.say(f"{path} is up to date.")
        return
    _tell_migration(path, migration, dry_run=dry_run)


def _tell_migration(path: str, migration: Migration, *, dry_run: bool) -> None:
    from omega_persistence.cli import screen

    was = "a file of the Rust crate" if migration.moved else f"schema {migration.from_version}"
    done = "would be migrated" if dry_run else "was migrated"
    screen.say(f"{path}, {was}, {done} to schema {migration.to_version}.")
    if migration.backup:
        screen.say(f"The file as it was is kept: {migration.backup}")
    if migration.moved:
        made = screen.table("table", "moved", "quarantined", right=("moved", "quarantined"))
        for name, moved in migration.moved.items():
            made.add_row(name, f"{moved:,}", f"{migration.quarantined.get(name, 0):,}")
        screen.show("", made)
    if any(migration.quarantined.values()) and not dry_run:
        output.message(f"See what is in quarantine with `omega-persistence quarantine {path}`.")


def compact(path: Store, json: JSON = False) -> None:
    """Give free room back and bring indexes into shape; writers wait meanwhile."""
    from omega_persistence.cli import screen

    with screen.spinner(f"compacting {path}"), open_to_write(path, "default") as store:
        before = store.statistics().file_bytes
        store.optimize()
        store.compact()
        after = store.statistics().file_bytes
    if json:
        document: dict[str, Any] = {
            "store": full_path(path),
            "bytes_before": before,
            "bytes_after": after,
        }
        output.print_json(document)
    else:
        screen.say(f"{path}: {size(before)} before, {size(after)} now.")


def reindex(path: Store, json: JSON = False) -> None:
    """Build the full-text index and the vector codes anew; writers wait meanwhile."""
    from omega_persistence.cli import screen

    with (
        open_to_write(path, "default") as store,
        screen.progress_bar("indexing", "records") as progress,
    ):
        store.reindex(progress=progress)
    if json:
        output.print_json({"store": full_path(path), "reindexed": True})
    else:
        screen.say(f"Built the indexes of {path} anew.")
