"""Stores as JSON Lines: what `OmegaStore.export_jsonl` writes and `import_jsonl` reads.

A file is UTF-8 text with one JSON object a line. Only a line feed ends a line; blank lines mean
nothing. There are four kinds of lines, in this order:

The header
    ``{"format": "omega-persistence", "version": 1, "schema": 1}``. ``version`` is that of this
    format; a higher one than the reader knows is refused. ``schema`` is that of the store that
    was exported, and explains why a reader may not know a field. Other keys mean nothing yet.

Records
    ``{"kind": "memories", "namespace": "default", "record": {"id": "m-1", ...}}``. ``kind`` is
    the name of a collection, and ``record`` has the fields of its record: text, whole and real
    numbers as they are, bytes in base64 (RFC 4648, padded), null for None. A field that always
    has the same default may be left out; ``id`` and times may not. A field that the reader does
    not know is refused. Memories that have expired are among them. Within a namespace parents come
    before their children; an export has the namespaces in order, in each of them the collections
    as `OmegaStore.all` lists them, and in each of those the records by id.

Quarantined rows
    ``{"kind": "quarantine", "record": {"table": "memories", "raw": {"id": ["text", "bS0x"]},
    "reason": "..."}}``, as described for `QuarantinedRow`. They belong to a whole store, so an
    export of one namespace has none.

The end
    ``{"kind": "end", "counts": {"memories": 1}}``: how many lines of each kind there were; a kind
    that is left out had none. A file without this line, or with other counts, was cut off or
    altered, and nothing of it is imported. Nothing may follow.

Two exports of the same records are equal byte for byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from typing import Protocol

    class Readable(Protocol):
        """A file object that gives bytes: a file, a pipe, standard input, a decompressor."""

        def read(self, size: int, /) -> bytes:
            """At most so many bytes; none at the end."""
            ...

    class Writable(Protocol):
        """A file object that takes bytes."""

        def write(self, data: bytes, /) -> object:
            """Take bytes; returns how many, or None for all."""
            ...


OnConflict = Literal["error", "skip", "update"]
"""What to do with a record whose id the store has: refuse the file, keep the store's, or put it."""


class ImportReport(Struct, frozen=True, kw_only=True):
    """What an import did, or would do.

    Attributes:
        added: Collection -> records that were not in the store.
        updated: Collection -> records that were, and were stored again.
        skipped: Collection -> records that were left out for one that was in the store.
        quarantined: Rows put in quarantine; those that were there already are not counted.
        dry_run: Whether all of it was undone.
    """

    added: dict[str, int]
    updated: dict[str, int]
    skipped: dict[str, int]
    quarantined: int
    dry_run: bool
