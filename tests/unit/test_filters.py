"""What callers may say about the memories they look for."""

from __future__ import annotations

from typing import Any

import pytest

from omega_persistence import InvalidDataError, Tier
from omega_persistence.backends.filters import ANY, Condition, Filter
from omega_persistence.entities.filters import MAX_CONDITIONS, checked_filter


def test_nothing_said_admits_everything():
    assert checked_filter() == ANY


def test_every_part_is_taken_over():
    found = checked_filter(
        tiers=[Tier.OMEGA, 3, 3],
        session="talk",
        since=-5,
        until=7,
        min_importance=1,
        where={"speaker": "Ann", "place.city": {">=": "B", "<": "C"}, "seen": True, "gone": None},
    )
    assert found == Filter(
        tiers=(3, 12),
        session="talk",
        since=-5,
        until=7,
        min_importance=1.0,
        where=(
            Condition(("speaker",), "=", "Ann"),
            Condition(("place", "city"), ">=", "B"),
            Condition(("place", "city"), "<", "C"),
            Condition(("seen",), "=", True),
            Condition(("gone",), "=", None),
        ),
    )
    assert checked_filter(tiers=()).tiers == ()


COMPARISONS: list[Any] = [{}, {"!=": 1}, {"$gt": 1}, {7: 1}, {"=": {}}]
REFUSED: list[dict[str, Any]] = [
    *({"tiers": each} for each in (4, "4", b"4", [0], [13], [True], [1.0], ["4"], [None])),
    *({"session": each} for each in ("", 7, b"s", "a\0b", "\ud800")),
    *({name: each} for name in ("since", "until") for each in ("1", 1.5, True, 2**63)),
    *({"min_importance": each} for each in (-0.1, 1.1, True, "1", float("nan"))),
    *({"where": each} for each in ([], "a", [("a", 1)])),
    *({"where": {key: 1}} for key in ("", ".", "a.", ".a", "a..b", 'a"b', "a\\b", "a\0", 7, None)),
    *({"where": {"a": each}} for each in ([1], b"x", 2**63, float("inf"), float("nan"), "\ud800")),
    *({"where": {"a": each}} for each in COMPARISONS),
    *({"where": {"a": {operator: value}}} for operator in ("<", ">=") for value in (None, True)),
    {"where": {f"key{i}": i for i in range(MAX_CONDITIONS + 1)}},
]


@pytest.mark.parametrize("arguments", REFUSED, ids=repr)
def test_what_makes_no_sense_is_refused_by_name(arguments: dict[str, Any]):
    (name,) = arguments
    with pytest.raises(InvalidDataError, match=name) as caught:
        checked_filter(**arguments)
    assert caught.value.field == name


def test_the_most_conditions_are_taken():
    assert len(checked_filter(where={f"k{i}": i for i in range(MAX_CONDITIONS)}).where) == 16
