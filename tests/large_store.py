"""What a search does in a store that is large, in a small one."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def as_in_a_large_store(
    *, few: int = 0, matches: int = 1000, likely: int = 1000, narrow: int = 0, budget: int = 10**6
) -> Generator[None]:
    """Have words counted, and common ones avoided, among however few memories.

    A filter that more memories pass than `narrow` is not looked through. Texts that have no more
    bytes together than `budget` are taken apart.
    """

    def budgeted(found: float) -> int:
        return budget if found else 0

    with pytest.MonkeyPatch.context() as patch:
        changes: dict[str, object] = {
            "terms.SMALL": 0,
            "search.FEW": few,
            "search.MATCHES": matches,
            "matching.LIKELY": likely,
            "matching.NARROW": narrow,
            "vectors.nearest.NARROW": narrow,
            "bm25.budget": budgeted,
        }
        for name, value in changes.items():
            patch.setattr(f"omega_persistence.backends.sqlite.{name}", value)
        yield
