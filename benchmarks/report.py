"""What a benchmark found, as a table for people."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from typing import NamedTuple

import apsw

import omega_persistence
from measure import Comparison, Cost
from omega_persistence.backends.sqlite.files import file_system

MISSED = "MISSED"


class Line(NamedTuple):
    """One figure of a table."""

    figure: str
    target: str
    cpu: str
    wall: str
    verdict: str
    ours: str
    raw: str


HEAD = ("figure", "target", "CPU", "wall", "verdict", "ours, CPU", "raw, CPU")


class Report(NamedTuple):
    """The answer to one question."""

    question: str
    lines: list[Line]
    notes: list[str]
    head: tuple[str, ...] = HEAD

    @property
    def met(self) -> bool:
        """Whether no target was missed."""
        return all(line.verdict != MISSED for line in self.lines)

    def __str__(self) -> str:
        """The question, the table and the notes."""
        table = [self.head, *self.lines]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        text = [self.question, ""]
        for row in table:
            cells = [row[0].ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
            text.append("  ".join(cells).rstrip())
        return "\n".join([*text, "", *self.notes]).rstrip() + "\n"


def times(figure: str, found: Comparison, operations: int, at_most: float | None = None) -> Line:
    """How many times the raw cost ours is."""
    target = "" if at_most is None else f"<= {at_most:.2f}"
    return _line(figure, target, found.ratio, at_most, found, operations)


def rate(figure: str, found: Comparison, operations: int, at_least: float | None = None) -> Line:
    """Which part of the raw rate ours reaches."""
    target = "" if at_least is None else f">= {at_least:.2f}"
    shown = Cost(1 / found.ratio.cpu, 1 / found.ratio.wall)
    return _line(figure, target, shown, at_least and 1 / at_least, found, operations)


def verdict(met: bool) -> str:  # noqa: FBT001
    """How a table says that a target was met, or not."""
    return "met" if met else MISSED


def clock(what: str, found: Comparison, operations: int = 1) -> str:
    """A note on the wall times, which a table has no room for."""
    ours, raw = found.ours.wall, found.raw.wall
    return f"{what}, wall: ours {duration(ours / operations)}, raw {duration(raw / operations)}."


def duration(seconds: float) -> str:
    """Seconds in a readable unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} us"


def surroundings(folder: str) -> str:
    """When, where and with what the figures were found."""
    try:
        system = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        system = platform.system()
    about = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "system": f"{system}, {platform.system()} {platform.release()}",
        "files on": file_system(os.path.realpath(folder)) or "an unknown file system",
        "library": f"omega-persistence {omega_persistence.__version__}",
        "on": (
            f"Python {platform.python_version()}, SQLite {apsw.sqlite_lib_version()},"
            f" apsw {apsw.apsw_version()}"
        ),
    }
    return "\n".join(f"{name:<11}{value}" for name, value in about.items())


def _line(
    figure: str,
    target: str,
    shown: Cost,
    at_most: float | None,
    found: Comparison,
    operations: int,
) -> Line:
    verdict = ""
    if at_most is not None:
        # The disk and the other jobs of a machine are in the wall time, so CPU decides.
        verdict = MISSED if found.ratio.cpu > at_most else "met"
        if verdict == "met" and found.ratio.wall > at_most:
            verdict = "met (CPU)"
    return Line(
        figure,
        target,
        f"{shown.cpu:.2f}",
        f"{shown.wall:.2f}",
        verdict,
        duration(found.ours.cpu / operations),
        duration(found.raw.cpu / operations),
    )


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
