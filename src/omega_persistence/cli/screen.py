"""What people see: tables, records and progress. Imports rich, so commands import this late."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
from rich import box
from rich.cells import cell_len
from rich.console import Console, Group
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from omega_persistence import Tier
from omega_persistence.cli.output import print_text
from omega_persistence.cli.plain import moment, one_line, paragraphs, size

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence

    from rich.console import RenderableType

    from omega_persistence import Progress as Callback


LONGEST_ID = 48
"""Characters; ours have 36."""

GAP = 2
"""Blanks between two columns."""

NARROWEST_TEXT = 9
"""Characters; narrower columns tell nothing."""


def console(*, stderr: bool = False) -> Console:
    """A console to which text is text: no markup, no emoji codes, no colouring of figures."""
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


_TRAILING = re.compile(" +$", re.MULTILINE)


def show(*renderables: RenderableType, width: int | None = None) -> None:
    """Put something on stdout, without the blanks that rich fills lines up with."""
    screen = console()
    with screen.capture() as captured:
        for each in renderables:
            screen.print(each, width=width)
    print_text(_TRAILING.sub("", captured.get()))


def say(text: str = "", style: str = "", indent: int = 0) -> None:
    """A line on stdout; a terminal wraps it, nothing else does."""
    screen = console()
    with screen.capture() as captured:
        screen.print(Text(" " * indent + one_line(text, 1_000), style=style), soft_wrap=True)
    print_text(captured.get())


def table(*columns: str, right: Iterable[str] = (), whole: Iterable[str] = ()) -> Table:
    """An empty table; columns in ``right`` hold figures, those in ``whole`` are never cut."""
    made = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, GAP - 1, 0, 0),
        header_style="bold",
        show_edge=False,
    )
    for column in columns:
        figures = column in right
        made.add_column(
            column,
            justify="right" if figures else "left",
            no_wrap=figures or column in whole,
            overflow="ellipsis",
        )
    return made


def cell(text: str, style: str = "") -> Text:
    """Text of a store on one line; what does not fit is cut."""
    return Text(one_line(text), style=style, no_wrap=True, overflow="ellipsis")


def id_cell(id: str) -> str:
    """An id on one line, cut only if it is far longer than ours are."""
    return one_line(id, LONGEST_ID)


def wrapped(text: str) -> Text:
    """Text on as many lines as it needs."""
    return Text(one_line(text, 1_000), overflow="fold")


def highlighted(snippet: str) -> Text:
    """A snippet of a search; on a terminal its words are bold instead of between ``**``."""
    if not console().is_terminal:
        return wrapped(snippet)
    made = Text(overflow="fold")
    for place, part in enumerate(one_line(snippet).split("**")):
        made.append(part, style="bold yellow" if place % 2 else "")
    return made


def records_view(kind: type[Any], records: Sequence[Any]) -> RenderableType:
    """Records in rows, or one below the other where rows would be too narrow to read.

    The id and every field that has no default, but JSON, for which `record_table` has room.
    """
    names = [
        each.name
        for each in msgspec.structs.fields(kind)
        if each.name == "id" or (each.required and not each.name.endswith("_json"))
    ]
    rows = [[_brief(name, getattr(record, name)) for name in names] for record in records]
    figures = [
        all(isinstance(row[place], (int, float)) for row in rows) for place in range(len(names))
    ]
    if _room_for_text(names, rows, figures) < NARROWEST_TEXT:
        return _cards(names, rows)
    made = table(
        *names, right=[n for n, is_figure in zip(names, figures, strict=True) if is_figure]
    )
    made.columns[names.index("id")].no_wrap = True
    for row in rows:
        made.add_row(*(cell(str(value)) for value in row))
    return made


def _room_for_text(names: Sequence[str], rows: Sequence[Sequence[Any]], figures: list[bool]) -> int:
    """How wide each column of text can be when ids and figures are whole."""
    room = console().width - GAP * (len(names) - 1)
    texts = 0
    for place, name in enumerate(names):
        if name == "id" or figures[place]:
            room -= max(cell_len(str(value)) for value in (name, *(row[place] for row in rows)))
        else:
            texts += 1
    return room // max(texts, 1)


def _cards(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> RenderableType:
    cards: list[RenderableType] = []
    for row in rows:
        card = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
        card.add_column(style="bold", no_wrap=True)
        card.add_column()
        for name, value in zip(names, row, strict=True):
            card.add_row(name, cell(str(value)))
        cards += [card, ""]
    return Group(*cards[:-1])


def _brief(name: str, value: Any) -> Any:
    if isinstance(value, bytes):
        return size(len(value))
    if name == "id":
        return id_cell(value)
    return value


def record_table(record: Any) -> Table:
    """One record, a field a row."""
    made = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name in record.__struct_fields__:
        made.add_row(name, Text(_in_full(name, getattr(record, name))))
    return made


def _in_full(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bytes):
        return size(len(value))
    if name == "tier":
        return f"{value} {tier_name(value)}"
    if name.endswith("_at") or name.startswith("last_"):
        return f"{moment(value)} ({value})"
    return paragraphs(str(value))


def tier_name(tier: int) -> str:
    """What a tier is called."""
    return Tier(tier).name.capitalize()


def counts_table(counts: Mapping[str, int], what: str = "records") -> Table:
    """How many records each collection has."""
    made = table("collection", what, right=(what,))
    for name, number in counts.items():
        made.add_row(cell(name), f"{number:,}")
    return made


def tiers_table(per_tier: Mapping[int, int]) -> Table:
    """How many memories each tier has, with a bar for comparison."""
    made = table("tier", "name", "memories", "", right=("tier", "memories"))
    most = max(per_tier.values(), default=0)
    for tier, number in sorted(per_tier.items()):
        bar = Text("█" * max(1, round(20 * number / most)), style="cyan")
        made.add_row(str(tier), tier_name(tier), f"{number:,}", bar)
    return made


@contextmanager
def spinner(doing: str) -> Generator[None]:
    """Something that turns on stderr while a block runs, if stderr is a terminal."""
    screen = console(stderr=True)
    if not screen.is_terminal:
        yield
        return
    with screen.status(Text(one_line(doing))):
        yield


@contextmanager
def progress_bar(doing: str, unit: str) -> Generator[Callback]:
    """A bar on stderr, if that is a terminal, and the function that moves it.

    A total of 0 means that it is not known.
    """
    screen = console(stderr=True)
    if not screen.is_terminal:
        yield lambda _done, _total: None
        return
    amount = (
        (DownloadColumn(binary_units=True),)
        if unit == "bytes"
        else (MofNCompleteColumn(), TextColumn(unit))
    )
    columns = (TextColumn("{task.description}"), BarColumn(), *amount, TimeElapsedColumn())
    with Progress(*columns, console=screen, transient=True) as bars:
        task = bars.add_task(doing, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total or None)
