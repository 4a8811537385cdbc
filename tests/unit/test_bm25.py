"""When texts are taken apart instead of asking the index."""

from __future__ import annotations

from omega_persistence.backends.sqlite import bm25


def test_few_short_texts_are_taken_apart_rather_than_many_matches_passed() -> None:
    assert bm25.budget(40_000) > 100 * 150
    assert bm25.budget(1000) < 100 * 150
    assert bm25.budget(0) == 0


def test_a_word_is_never_worth_nothing() -> None:
    assert bm25.rarity(100, 1) > bm25.rarity(100, 2) > bm25.rarity(100, 60) > 0
    assert bm25.rarity(100, 100) > 0
