"""How long does it take to import the library and open a file?"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import raw
from measure import Cost, compare
from report import Report, clock, times

if TYPE_CHECKING:
    from workshop import Workshop

# Each is the whole text of a process; Python's own start is not measured.
_TIMED = """
import sys
from time import perf_counter, process_time
wall, cpu = perf_counter(), process_time()
{work}
print(process_time() - cpu, perf_counter() - wall)
"""

_IMPORT_OURS = "import omega_persistence"

_IMPORT_RAW = "import apsw, msgspec"

_OPEN_OURS = "store = omega_persistence.OmegaStore(sys.argv[1])"

_OPEN_RAW = f"""
connection = apsw.Connection(sys.argv[1])
connection.set_busy_timeout(5000)
connection.execute('''{raw.SETTINGS}''').fetchall()
assert connection.execute("PRAGMA user_version").fetchone()[0] > 0
"""


def run(workshop: Workshop) -> Report:
    path, rounds = workshop.new_store(1_000), workshop.rounds(51)
    # The first round leaves compiled modules, as the installation of a package does.
    environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="")

    def process(*work: str) -> Cost:
        text = _TIMED.format(work="\n".join(work))
        command = [sys.executable, "-c", text, path]
        found = subprocess.run(command, env=environment, check=True, capture_output=True)
        return Cost(*map(float, found.stdout.split()))

    imported = compare(lambda: process(_IMPORT_OURS), lambda: process(_IMPORT_RAW), rounds)
    opened = compare(
        lambda: process(_IMPORT_OURS, _OPEN_OURS), lambda: process(_IMPORT_RAW, _OPEN_RAW), rounds
    )
    return Report(
        "Importing the library and opening an existing file, in a new process.",
        [
            times("import and open", opened, 1, at_most=1.5),
            times("import alone", imported, 1),
        ],
        [
            clock("Import and open", opened),
            "Raw is import apsw, msgspec, a connection with its settings, and a look at the file's",
            "version. The start of Python itself is not counted.",
        ],
    )
