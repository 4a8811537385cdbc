"""What `recall.py` found, as a table and as a picture."""

from __future__ import annotations

from typing import NamedTuple

from locomo import CATEGORIES

DEPTHS = (5, 10, 25, 50)


class Result(NamedTuple):
    """Recall@k in percent by category, and the mean CPU time of a question."""

    recall: dict[str, list[float]]
    milliseconds: float


def table(results: dict[str, Result]) -> str:
    columns = ["all", *CATEGORIES.values()]
    columns = [name for name in columns if name in next(iter(results.values())).recall]
    lines = [
        "| recall@" + "/".join(map(str, DEPTHS)) + " | " + " | ".join(columns) + " | CPU ms |",
        "| --- " * (len(columns) + 2) + "|",
    ]
    for name, result in results.items():
        cells = ["/".join(f"{value:.1f}" for value in result.recall[each]) for each in columns]
        lines.append(f"| {name} | {' | '.join(cells)} | {result.milliseconds:.2f} |")
    return "\n".join(lines)


COLOURS = ("#888888", "#c08030", "#4080c0", "#103060")


def plot(results: dict[str, Result]) -> str:
    """Recall@k as an SVG picture."""
    width, height, left, top = 560, 320, 50, 20
    across = {depth: left + place * 150 for place, depth in enumerate(DEPTHS)}

    def up(value: float) -> float:
        return top + (100 - value) * (height - 60) / 80

    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="12"',
        f' viewBox="0 0 {width + 120} {height}">',
        f'<rect width="{width + 120}" height="{height}" fill="white"/>',
    ]
    for value in range(20, 101, 20):
        y = up(value)
        parts.append(f'<path d="M{left} {y:.1f}H{width - 60}" stroke="#dddddd"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{value}</text>')
    for depth, x in across.items():
        parts.append(f'<text x="{x}" y="{height - 20}" text-anchor="middle">k = {depth}</text>')
    for colour, (name, result) in zip(COLOURS, results.items(), strict=False):
        points = [
            (across[depth], up(value))
            for depth, value in zip(DEPTHS, result.recall["all"], strict=True)
        ]
        line = " ".join(f"{x},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        x, y = points[-1]
        parts.append(f'<text x="{x + 8}" y="{y + 4:.1f}" fill="{colour}">{name}</text>')
    return "\n".join((*parts, "</svg>", ""))
