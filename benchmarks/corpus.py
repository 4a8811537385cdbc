"""Memories to measure with: varied text from a fixed seed, the same in every run."""

from __future__ import annotations

from itertools import accumulate
from random import Random
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from omega_persistence import StoredMemory

if TYPE_CHECKING:
    from collections.abc import Iterator

Ids = Literal["random", "ordered"]

SEED = 20_240_613
VOCABULARY = 30_000
WORDS_A_MEMORY = 27  # about 150 characters
TIERS = 12
START = 1_700_000_000  # Unix seconds

_SYLLABLES = [
    consonant + rest
    for consonant in "bcdfghjklmnprstvwz"
    for rest in ("a", "e", "i", "o", "u", "an", "er", "in", "or", "al")
]


def memories(count: int, ids: Ids = "random", *, seed: int = SEED) -> Iterator[StoredMemory]:
    """That many memories, spread evenly over the tiers.

    Words follow Zipf's law, as in natural language: a few stand in most memories, most in a few,
    and frequent words are short. Ids are random UUIDs, or UUIDs that begin with the time and come
    in its order.
    """
    random = Random(seed)
    words = _vocabulary(random)
    weights = list(accumulate(1 / (rank + 2.7) for rank in range(len(words))))
    for number in range(count):
        bits = random.getrandbits(128)
        if ids == "ordered":
            bits = (START * 1000 + number) << 80 | bits & (1 << 80) - 1
        yield StoredMemory(
            id=str(UUID(int=bits, version=4)),
            content=" ".join(random.choices(words, cum_weights=weights, k=WORDS_A_MEMORY)),
            tier=number % TIERS + 1,
            importance=random.random(),
            created_at=START + number,
            last_accessed=START + number,
        )


def _vocabulary(random: Random) -> list[str]:
    """Made-up words, the most frequent first."""
    words: dict[str, None] = {}
    while len(words) < VOCABULARY:
        syllables = 1 + (len(words) > 120) + (len(words) > 3_000) + (len(words) > 15_000)
        words["".join(random.choices(_SYLLABLES, k=syllables))] = None
    return list(words)
