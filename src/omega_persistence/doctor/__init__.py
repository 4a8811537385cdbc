"""Notes about a store: nothing is damaged, but somebody may want to know."""

from __future__ import annotations

from msgspec import Struct


class Note(Struct, frozen=True, kw_only=True):
    """Something that is allowed, and may not be what was meant.

    Attributes:
        kind: About the place and its use: ``unclean_shutdown``, ``newer_schema``,
            ``long_snapshot``, ``large_log``, ``network_disk``, ``permissions``, ``not_writable``,
            ``disk_space``. About the records: ``quarantine``, ``expired``, ``trigger_pattern``,
            ``lineage_parent``, ``lineage_cycle``, ``memory_reference``, ``causal_loop``,
            ``causal_duplicate``, ``causal_cycle``.
        subject: What it is about: a path, a size, the ids of records, or how many and the first
            few.
        text: What was found.
        hint: What to do about it, if anything.
    """

    kind: str
    subject: str
    text: str
    hint: str
