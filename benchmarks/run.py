"""Measure the library against hand-written apsw.

    make bench                           everything, about a quarter of an hour
    make bench ARGS="get iterate"        single benchmarks
    make bench ARGS="--quick"            a tenth of the work, to see that all of them run

Results of a full run are written beside this file, as results/<name>.txt. The exit status is 1
when a target was missed.
"""

from __future__ import annotations

import argparse
import os
import sys
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import backup
import by_tier
import checksums
import get
import group_commit
import iterate
import put
import put_many
import remember
import search
import start
import stream
import vectors
from report import surroundings
from workshop import Workshop

if TYPE_CHECKING:
    from collections.abc import Callable

    from report import Report

BENCHMARKS: dict[str, Callable[[Workshop], Report]] = {
    "put_many": put_many.run,
    "get": get.run,
    "by_tier": by_tier.run,
    "iterate": iterate.run,
    "put": put.run,
    "remember": remember.run,
    "backup": backup.run,
    "stream": stream.run,
    "start": start.run,
    "group_commit": group_commit.run,
    "checksums": checksums.run,
    "search": search.run,
    "vectors": vectors.run,
}

ON_DEMAND: dict[str, Callable[[Workshop], Report]] = {"million_vectors": vectors.million}
"""These take long and gigabytes, so they are run only when they are named."""

METHOD = """\
Ours and raw do the same work in turn, on the same schema with the same durability. A ratio is ours
to raw within one round, and what is shown is the median over the rounds. CPU is the time of the
process on the processor, in itself and in the kernel; verdicts go by it, because other jobs and the
disk are in the wall time."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names", nargs="*", metavar="name", help=", ".join([*BENCHMARKS, *ON_DEMAND])
    )
    parser.add_argument("--quick", action="store_true", help="do a tenth of the work")
    parser.add_argument("--output", help="folder for the results; with --quick there is none")
    parser.add_argument("--folder", help="where to make the files (default: a temporary folder)")
    arguments = parser.parse_args()
    known = BENCHMARKS | ON_DEMAND
    if unknown := set(arguments.names) - known.keys():
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    output = arguments.output
    if output is None and not arguments.quick:
        output = os.path.join(os.path.dirname(os.path.abspath(__file__)), "results")

    missed: list[str] = []
    with TemporaryDirectory(prefix="omega-persistence-", dir=arguments.folder) as folder:
        workshop = Workshop(folder, quick=arguments.quick)
        print(surroundings(folder), METHOD, sep="\n\n", end="\n\n", flush=True)
        for name in arguments.names or BENCHMARKS:
            report = known[name](workshop)
            print(report, flush=True)
            if not report.met:
                missed.append(name)
            if output is not None:
                os.makedirs(output, exist_ok=True)
                with open(os.path.join(output, f"{name}.txt"), "w", encoding="utf-8") as file:
                    file.write(f"{report}\n{surroundings(folder)}\n\n{METHOD}\n")
    if missed:
        print("missed:", ", ".join(missed))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
