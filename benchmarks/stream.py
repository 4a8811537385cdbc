"""How much memory does it take to go through a million memories?"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import raw
from report import MISSED, Line, Report, duration

if TYPE_CHECKING:
    from workshop import Workshop

SIZE = 1_000_000
LIMIT = 16.0  # MB
STATUS = "/proc/self/status"

# The whole text of a process that goes through a file, whichever way it does.
_MEASURED = f"""
import sys
from time import process_time

def resident(which):
    with open("{STATUS}") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(which))

{{opening}}
first()
before, start = resident("VmRSS:"), process_time()
rows = sum(1 for _ in every())
print(rows, resident("VmHWM:") - before, process_time() - start)
"""

_OURS = """
import omega_persistence
store = omega_persistence.OmegaStore(sys.argv[1])
first = lambda: store.memories.scan(limit=1)
every = lambda: store.memories
"""

_RAW = f"""
import apsw
connection = apsw.Connection(sys.argv[1])
every = lambda: connection.execute("{raw.ALL}", ("{raw.NAMESPACE}",))
first = lambda: every().fetchone()
"""


class Streamed(NamedTuple):
    """What a process tells about itself: growth in MB, CPU seconds a memory."""

    growth: float
    cpu: float


def run(workshop: Workshop) -> Report:
    size = workshop.scaled(SIZE)
    question = f"Iterating over {size:,} memories in a new process."
    if not os.path.exists(STATUS):
        return Report(question, [], [f"Not measured: this system has no {STATUS}."])
    path = workshop.new_store(size)
    ours, by_hand = (_in_new_process(opening, path, size) for opening in (_OURS, _RAW))
    workshop.remove(path)
    line = Line(
        "peak memory growth, MB",
        f"< {LIMIT:.0f}",
        f"{ours.growth:.1f}",
        "",
        "met" if ours.growth < LIMIT else MISSED,
        duration(ours.cpu),
        duration(by_hand.cpu),
    )
    return Report(
        question,
        [line],
        [
            f"Raw, one cursor over the same file: {by_hand.growth:.1f} MB. Growth is the highest",
            "resident size while iterating, above what the process held when the file was open and",
            "one memory had been read. The last columns give the cost of one memory; random ids.",
        ],
    )


def _in_new_process(opening: str, path: str, size: int) -> Streamed:
    command = [sys.executable, "-c", _MEASURED.format(opening=opening), path]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    rows, growth, cpu = found.stdout.split()
    assert int(rows) == size
    return Streamed(int(growth) / 1e6, float(cpu) / size)
