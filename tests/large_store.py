"""What a search does in a store that is large, in a small one."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def as_in_a_large_store(
    *, few: int = 0, passed: int = 1000, likely: int = 1000, narrow: int = 0, texts: bool = True
) -> Generator[None]:
    """Have words counted, and common ones avoided, among however few memories."""

    def worthwhile(_size: int, matches: float) -> bool:
        return texts and matches > 0

    with pytest.MonkeyPatch.context() as patch:
        changes: dict[str, object] = {
            "search.SMALL": 0,
            "search.FEW": few,
            "search.PASSED": passed,
            "matching.LIKELY": likely,
            "matching.NARROW": narrow,
            "bm25.worthwhile": worthwhile,
        }
        for name, value in changes.items():
            patch.setattr(f"omega_persistence.backends.sqlite.{name}", value)
        yield
