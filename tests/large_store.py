"""What a search does in a store that is large, in a small one."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def as_in_a_large_store(
    *, few: int = 0, passed: int = 1000, likely: int = 1000, narrow: int = 0, size: int = 1000
) -> Generator[None]:
    """Have words counted, and common ones avoided, among however few memories.

    Texts of no more bytes than `size` are taken apart if any word was counted.
    """

    def size_of(_texts: int, matches: float, _totals: object) -> int:
        return size if matches else -1

    with pytest.MonkeyPatch.context() as patch:
        changes: dict[str, object] = {
            "terms.SMALL": 0,
            "search.FEW": few,
            "search.PASSED": passed,
            "matching.LIKELY": likely,
            "matching.NARROW": narrow,
            "bm25.size": size_of,
        }
        for name, value in changes.items():
            patch.setattr(f"omega_persistence.backends.sqlite.{name}", value)
        yield
