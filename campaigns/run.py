"""Run every campaign that exists, or those that are named.

    python -m campaigns.run                     everything, in full
    python -m campaigns.run powerloss --quick   one of them, for some seconds

Progress goes to the standard error stream. The standard output has one line of JSON for each
campaign and one for the whole. The exit status is 1 if any promise was broken or any broken store
was not noticed.
"""

from __future__ import annotations

import argparse
import pkgutil
import sys
from importlib import import_module

import msgspec

import campaigns
from campaigns.common import Campaign, Meter, Result


def discover() -> dict[str, Campaign]:
    """The campaigns of this package by name: each module that offers one as ``CAMPAIGN``."""
    found: dict[str, Campaign] = {}
    for module in pkgutil.iter_modules(campaigns.__path__):
        if module.name != "run":
            campaign = getattr(import_module(f"campaigns.{module.name}"), "CAMPAIGN", None)
            if campaign is not None:
                found[campaign.name] = campaign
    return found


def summary(results: list[Result]) -> str:
    """What all campaigns found, as one line of JSON."""
    unflagged = [
        f"{result.campaign}: {control}"
        for result in results
        for control, kinds in result.controls.items()
        if not kinds
    ]
    whole = {
        "campaigns": [result.campaign for result in results],
        "passed": all(result.passed for result in results),
        "problems": sum(result.counts["problems"] for result in results),
        "broken_stores_flagged": sum(
            bool(kinds) for result in results for kinds in result.controls.values()
        ),
        "broken_stores_missed": unflagged,
        "seconds": round(sum(result.seconds for result in results), 1),
        "cpu_seconds": round(sum(result.cpu_seconds for result in results), 1),
    }
    return msgspec.json.encode(whole).decode()


def main() -> int:
    """Run from the command line."""
    known = discover()
    parser = argparse.ArgumentParser(
        prog="python -m campaigns.run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(known))
    parser.add_argument("--quick", action="store_true", help="some seconds for each")
    parser.add_argument("--seed", type=int, default=1, help="default: 1")
    given = parser.parse_args()
    if unknown := set(given.names) - known.keys():
        parser.error(f"no such campaign: {', '.join(sorted(unknown))}")
    results: list[Result] = []
    for name in given.names or known:
        campaign = known[name]
        size = campaign.quick if given.quick else campaign.full
        meter = Meter(name, campaign.unit)
        results.append(campaign.run(given.seed, size, meter))
        meter.end()
        print(results[-1], flush=True)
    print(summary(results))
    return 0 if all(result.passed for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
