"""When texts are taken apart instead of asking the index."""

from __future__ import annotations

from omega_persistence.backends.sqlite import bm25


def test_few_short_texts_are_taken_apart_rather_than_many_matches_passed() -> None:
    short, long = (10_000, 200_000), (10_000, 20_000_000)
    assert bm25.size(100, 40_000, short) > 1000
    assert bm25.size(100, 1000, short) < 0
    assert bm25.size(100, 40_000, long) < 0
    assert bm25.size(100, 0, (0, 0)) < 0


def test_a_word_is_never_worth_nothing() -> None:
    assert bm25.rarity(100, 1) > bm25.rarity(100, 2) > bm25.rarity(100, 60) > 0
    assert bm25.rarity(100, 200) > 0
