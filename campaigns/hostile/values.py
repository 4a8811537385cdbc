"""Values that callers should not pass, and some do."""

from __future__ import annotations

import datetime as dt
import decimal
from pathlib import Path
from typing import Any

import numpy as np

from campaigns.hostile.calls import CONTENT, EVIL
from omega_persistence import Tier


class Text(str):  # noqa: SLOT000 - as plain as a caller's
    """A text that is not exactly one."""


class Number(int):
    """A whole number that is not exactly one."""


TEXTS: tuple[str, ...] = (
    *("", " ", "\t\n", "nothing", "other", ":memory:", "NULL", "*", "\0", "a\0b", "\ud800"),
    *("a\udcffb", "\ufeff", "\ufdd0", "\x1b[31m", "\u202e", "\u2028", "%", "_", "\\", "a%", "_b"),
    *("\\%", "'", '"', "`", "[", "(", "'; DROP TABLE memories; --", "x' OR '1'='1", ":id", "?1"),
    *("e\u0301", "é", "ﬁ", "ß", "İ", "東京", "👩‍👩‍👧", "a" * 100_000, "é" * 20_000, "9" * 5_000),
    "x" * (16 * 1024 * 1024 + 1),
)

QUERIES: tuple[str, ...] = (
    *("amber", 'amber"', '"amber', "amber*", "amber OR", "NOT amber", "AND", "amber AND NOT reef"),
    *("NEAR(amber reef)", "content:amber", "-amber", "^amber", "{content} : amber", "amber + reef"),
    *("((((amber", "memories_fts", "rank", "amber\0reef", '""', '"""', "ÄMBER", "Prarie", "雪山"),
    *(" OR ".join(["amber"] * 5_000), " ".join(f"w{n}" for n in range(20_000)), "amber " * 20_000),
    *('"' * 10_000, "(" * 10_000, "雪" * 10_000, "." * 100_000),
)

PATTERNS: tuple[str, ...] = (
    *(EVIL, "(a|a)*$", "(.*a){20}b", r"^(\w+\s?)*$", "(a?){30}a{30}b", "((a{30}){30})b", "(?=a)b"),
    *(r"(a)\1", "a{1001}", "*", "(", "[", "\\", "((a{100}){100}){100}", "(x|y)*x(x|y){14}"),
    *("a" * 20_000, "(" * 5_000 + ")" * 5_000, "|" * 5_000, r"\p{Greek}", r"\C", ".*" * 200),
)

JSON: tuple[str, ...] = (
    *("null", "0", '"x"', "{}", "[]", "{", "[1,]", "{'a':1}", '{"a":1}x', "NaN", '{"a":NaN}'),
    *('{"a":1e999}', '{"a":1,"a":2}', '{"\\ud800":1}', '{"a":"\\u0000"}', '\ufeff{"a":1}'),
    *('{"a":' + "9" * 400 + "}", '{"parent":{"parent":[]}}', '{"a":"' + "x" * 50_000 + '"}'),
    *('{"a":' * deep + "1" + "}" * deep for deep in (10, 900, 1_000, 1_001, 50_000)),
    *("[" * deep + "]" * deep for deep in (10, 999, 1_001, 100_000)),
)

NUMBERS: tuple[Any, ...] = (
    *(0, 1, -1, 7, 13, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**30),
    *(0.0, -0.0, 0.5, 1.0, 7.0, 5e-324, 1e308, float("nan"), float("inf"), -float("inf")),
    *(True, False, Number(7), Tier.OMEGA, decimal.Decimal(1), 1j, np.int64(7), np.float32(0.5)),
    *(np.float64("nan"), np.bool_(1)),
)

OTHERS: tuple[Any, ...] = (
    *(None, b"", b"m01", b"\xff", bytearray(b"m01"), memoryview(b"m01"), Text("m01"), Path("m01")),
    *([], ["m01", 7], [None], (), {}, {"m01": 1}, {"id"}, range(3), object(), object, len, ...),
    *(iter(()), dt.datetime.fromtimestamp(0, dt.UTC), [[]], {1: 2}, [float("nan")]),
    CONTENT["memories"][0],
)

VALUES: tuple[Any, ...] = (*TEXTS, *NUMBERS, *OTHERS)


def shown(value: object) -> str:
    """A value in a line of a report."""
    return f"{type(value).__name__} {value!r:.60}".encode("ascii", "backslashreplace").decode()
