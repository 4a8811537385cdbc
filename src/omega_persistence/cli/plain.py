"""Stored text made fit for a terminal, and figures made fit for people. Imports nothing big."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

# What a terminal would obey or hide instead of showing: controls (an escape sequence begins with
# one), line separators, marks that turn the direction of text round, tags.
_CONTROLS = (
    "\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
)
_HIDDEN = re.compile(f"[\x00-\x1f\ud800-\udfff{_CONTROLS}]")
_HIDDEN_IN_JSON = re.compile(f"[{_CONTROLS}]")
_BLANKS = re.compile(r"[ \t\r\n]+")


def one_line(text: str, longest: int = 300) -> str:
    """A text on one line, cut if it is long, with its control characters spelt out."""
    shown = _BLANKS.sub(" ", text[: 2 * longest + 1]).strip()
    cut = len(shown) > longest or len(text) > 2 * longest
    return _spelt_out(shown[:longest].rstrip() + "…" if cut else shown)


def paragraphs(text: str, longest: int = 2_000) -> str:
    """A text with its lines, cut if it is long, with controls spelt out."""
    shown = text[:longest].replace("\r\n", "\n").replace("\t", "    ")
    lines = "\n".join(_spelt_out(line) for line in shown.split("\n"))
    if len(text) > longest:
        lines += f"… (the first {longest:,} of {len(text):,} characters; --json shows all)"
    return lines


def _spelt_out(text: str) -> str:
    return _HIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def safe_json(text: str) -> str:
    """JSON with the controls that it allows in strings written as escapes; it means the same."""
    if text.isascii():
        return text.replace("\x7f", "\\u007f")
    return _HIDDEN_IN_JSON.sub(lambda found: json.dumps(found[0])[1:-1], text)


def size(count: int) -> str:
    """Bytes in a unit that suits them."""
    if count < 1024:
        return f"{count} B"
    number = float(count)
    for unit in ("KiB", "MiB", "GiB"):
        number /= 1024
        if number < 1024:
            return f"{number:.1f} {unit}"
    return f"{number / 1024:.1f} TiB"


def moment(seconds: int) -> str:
    """Unix seconds as a date and time in UTC; as they are when no calendar has them."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return f"{seconds} s"


def count(number: int, one: str, many: str | None = None) -> str:
    """``1 memory``, ``2,000 memories``; the plural of "memory" must be given."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
