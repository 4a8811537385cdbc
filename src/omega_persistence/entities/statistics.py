"""Counts and sizes of a store."""

from __future__ import annotations

from msgspec import Struct


class DatabaseStatistics(Struct, frozen=True, kw_only=True):
    """Counts of a namespace and sizes of its file, all from one snapshot but the sizes.

    Attributes:
        namespace: Whose records are counted.
        counts: Records by collection: the fields that end in ``_count`` and any added later.
        memories_per_tier: Tier -> how many memories; tiers without any are left out.
        expired_memory_count: Memories that no read sees and that `purge_expired` would delete.
        quarantine_count: Rows of an older program that broke the rules, in the whole file.
        schema_version: The number of the file's newest schema step.
        file_bytes: Size of the file; of the pages in use for a store in memory.
        wal_bytes: Size of the write-ahead log beside it.
        free_bytes: Free pages within the file, which `compact` gives back.
        oldest_snapshot_seconds: How long ago the oldest snapshot, transaction or backup was begun
            that this process has open through this store; None if there is none.
        checksums: Whether the file has page checksums.
    """

    memory_count: int
    skill_count: int
    architecture_count: int
    intelligence_count: int
    vector_count: int
    reflexion_count: int
    causal_edge_count: int
    namespace: str
    counts: dict[str, int]
    memories_per_tier: dict[int, int]
    expired_memory_count: int
    quarantine_count: int
    schema_version: int
    file_bytes: int
    wal_bytes: int
    free_bytes: int
    oldest_snapshot_seconds: int | None
    checksums: bool = False
