"""The demonstration as people read it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rich.columns import Columns
from rich.padding import Padding
from rich.text import Text

from omega_persistence.cli import screen
from omega_persistence.cli.plain import count, one_line, paragraphs, size

if TYPE_CHECKING:
    from rich.console import RenderableType

    from omega_persistence.cli.demo_story import Story

MARGIN = 3
WIDEST = 112


def print_story(story: Story, *, kept: bool) -> None:
    """Print the report."""
    page = _Page()
    page.title("omega-persistence: a demonstration")
    _opened(page, story)
    _added(page, story)
    _asked(page, story)
    _again_and_failed(page, story)
    _copied(page, story)
    _result(page, story, kept=kept)


class _Page:
    """Numbered sections of sentences and tables, with a margin."""

    def __init__(self) -> None:
        self._width = min(screen.console().width, WIDEST)
        self._sections = 0

    def title(self, text: str) -> None:
        screen.show(Text(text, style="bold"))

    def section(self, heading: str) -> None:
        self._sections += 1
        screen.show("", Text(f"{self._sections}. {heading}", style="bold cyan"))

    def sentence(self, text: str, style: str = "") -> None:
        self._inset(Text(one_line(text, 1_000), style=style))

    def table(self, *tables: RenderableType) -> None:
        for each in tables:
            screen.show("")
            self._inset(each)

    def _inset(self, what: RenderableType) -> None:
        screen.show(Padding(what, (0, 0, 0, MARGIN)), width=self._width)


def _opened(page: _Page, story: Story) -> None:
    page.section("A database that the Rust crate wrote is opened")
    page.sentence(
        f"A copy of it ({size(story.shipped_bytes)}) was opened, and so migrated, in"
        f" {_time(story, 'migrate')}. The file as it was is kept beside it. This is what it holds:"
    )
    migration = story.migration
    moved = migration.moved if migration else {}
    quarantined = migration.quarantined if migration else {}
    made = screen.table("collection", "records", "quarantined", right=("records", "quarantined"))
    for name in story.found:
        made.add_row(name, f"{moved.get(name, 0):,}", f"{quarantined.get(name, 0):,}")
    tiers = screen.tiers_table(story.memories_per_tier)
    page.table(Columns([made, tiers], padding=(1, 4)))


def _added(page: _Page, story: Story) -> None:
    page.section("Records of every kind are added, in one transaction")
    made = screen.table("collection", "added", "now", right=("added", "now"))
    for name, number in story.added.items():
        made.add_row(name, f"{number:,}", f"{story.before_failure[name]:,}")
    page.sentence(
        f"{count(sum(story.added.values()), 'record')}, all or none, durable after"
        f" {_time(story, 'add')}."
    )
    page.table(made)


def _asked(page: _Page, story: Story) -> None:
    page.section("Each is asked for")
    page.sentence(f"{count(len(story.answers), 'question')}, {_time(story, 'ask')} in all.")
    made = screen.table("question", "answer")
    made.leading = 1
    for each in story.answers:
        question = Text(each.question)
        question.append(f"\n{each.call}", style="dim")
        made.add_row(question, Text(paragraphs(each.answer)))
    page.table(made)


def _again_and_failed(page: _Page, story: Story) -> None:
    page.section("A memory is stored again")
    page.sentence(
        f"It was updated in place and kept what hangs on it: {', '.join(story.again)}."
        " (The Rust crate deletes them.)"
    )
    page.section("A transaction fails")
    page.sentence("It stored two memories, then an edge to a memory that does not exist:")
    page.sentence(story.refusal, style="red")
    before, after = sum(story.before_failure.values()), sum(story.after_failure.values())
    page.sentence(f"Nothing of it is left: {before:,} records before, {after:,} after.")


def _copied(page: _Page, story: Story) -> None:
    page.section("Backup, check, restore")
    made = screen.table("step", "result", "time", right=("time",))
    made.add_row("backup", f"{size(story.backup_bytes)}, verified", _time(story, "backup"))
    problems = count(story.backup_problems, "problem") if story.backup_problems else "no damage"
    made.add_row("check of the backup", problems, _time(story, "verify"))
    same = "equal to" if story.restored_counts == story.after_failure else "not equal to"
    restored = f"{sum(story.restored_counts.values()):,} records, {same} the store's"
    made.add_row("restore into a new file", restored, _time(story, "restore"))
    page.table(made)


def _result(page: _Page, story: Story, *, kept: bool) -> None:
    page.section("Result")
    held = story.expectations - len(story.unexpected)
    page.sentence(
        f"{held} of {story.expectations} expectations held.",
        style="bold red" if story.unexpected else "bold green",
    )
    for what in story.unexpected:
        page.sentence(f"Not so: {what}.", style="red")
    if kept:
        folder, name = os.path.split(story.store)
        page.sentence(f"The store, its backup and what was restored are in {folder}: {name}*")
    else:
        page.sentence("The files are gone again; keep them with --keep PATH.")
    screen.show("")


def _time(story: Story, what: str) -> str:
    seconds = story.seconds[what]
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{seconds * 1000:.0f} ms"
