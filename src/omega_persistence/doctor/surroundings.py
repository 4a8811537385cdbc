"""Notes about the place where a store lies, and about who uses it and how."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from omega_persistence.doctor import Note

if TYPE_CHECKING:
    from collections.abc import Iterator

    from omega_persistence.backends.surroundings import Surroundings

LONG_HOLD = 60
"""Seconds from which an open snapshot is worth a note."""

LARGE_LOG = 64 * 1024 * 1024
"""Bytes of a log that is worth a note; a quarter of that is usual under load."""

LITTLE_ROOM = 64 * 1024 * 1024
"""Bytes on a disk that is nearly full."""


def about_surroundings(facts: Surroundings) -> list[Note]:
    """What somebody should know of these facts; nothing about a healthy store in a good place."""
    return [*_use(facts), *_log(facts), *_place(facts), *_permissions(facts), *_room(facts)]


def _use(facts: Surroundings) -> Iterator[Note]:
    if facts.newer_schema is not None:
        yield Note(
            kind="newer_schema",
            subject=f"schema {facts.newer_schema}",
            text="a newer version of omega-persistence has migrated the file meanwhile",
            hint="Upgrade this program too, and start it again.",
        )
    if facts.unclean:
        yield Note(
            kind="unclean_shutdown",
            subject=facts.address,
            text="the last to use the file did not close it: it was killed, or the power failed",
            hint="What was acknowledged is there. Run check() to see that the disk kept the rest.",
        )
    if facts.held is not None and facts.held.seconds >= LONG_HOLD:
        yield Note(
            kind="long_snapshot",
            subject=f"thread {facts.held.thread}",
            text=f"a snapshot, transaction or backup has been open for {facts.held.seconds} s",
            hint="End it: until then the log beside the file can only grow.",
        )


def _log(facts: Surroundings) -> Iterator[Note]:
    if facts.log_bytes <= LARGE_LOG:
        return
    waiting = _size(facts.log_waiting_bytes or 0)
    text = f"the log beside the file has grown, and {waiting} of it cannot be moved into the file"
    if not facts.log_waiting_bytes:
        text = "the log beside the file has grown"
        hint = "The next writes shorten it, and so does closing a store that may write."
    elif facts.readers:
        numbers = ", ".join(map(str, facts.readers))
        text += f" while others read what was before; reading now: process {numbers}"
        hint = "Let them end their snapshots, or end them."
    elif facts.read_elsewhere:
        text += " while another process reads what was before"
        hint = "Let it end its snapshot, or end it."
    elif facts.held is not None:
        text += f" while thread {facts.held.thread} of this process reads what was before"
        hint = "Let it end its snapshot."
    else:
        text = f"the log beside the file has grown, and {waiting} of it is not yet in the file"
        hint = "The next writes shorten it, and so does closing a store that may write."
    yield Note(kind="large_log", subject=_size(facts.log_bytes), text=text, hint=hint)


def _place(facts: Surroundings) -> Iterator[Note]:
    if facts.network:
        yield Note(
            kind="network_disk",
            subject=str(facts.file_system),
            text="the file lies on a network file system, where a write-ahead log corrupts",
            hint="Use it from one machine only, with journal='truncate'; better, move it.",
        )


def _permissions(facts: Surroundings) -> Iterator[Note]:
    if facts.others_read or facts.others_write:
        what = "change or replace" if facts.others_write else "read"
        yield Note(
            kind="permissions",
            subject=facts.address,
            text=f"every user of this machine can {what} the file",
            hint="If that is not meant, do chmod 600 to the file and chmod 700 to its folder.",
        )
    if not facts.file_writable:
        yield Note(
            kind="not_writable",
            subject=facts.address,
            text="this user cannot write to the file",
            hint="Change its owner or its permissions, or open it with read_only=True.",
        )
    if not facts.folder_writable:
        yield Note(
            kind="not_writable",
            subject=os.path.dirname(facts.address),
            text="this user cannot make files in the folder, where the log has to be",
            hint="Change the folder's permissions; else one can only read, while nobody writes.",
        )


def _room(facts: Surroundings) -> Iterator[Note]:
    free = facts.disk_free_bytes
    if free is None or free >= max(LITTLE_ROOM, facts.file_bytes):
        return
    if free < LITTLE_ROOM:
        text, hint = "the disk is nearly full", "Free some room before writes fail."
    else:
        text = f"the disk has no room for a copy of the file, which has {_size(facts.file_bytes)}"
        hint = "compact(), and a migration with its backup, need as much as the file again."
    yield Note(kind="disk_space", subject=f"{_size(free)} free", text=text, hint=hint)


def _size(count: int) -> str:
    return f"{count / 2**20:,.1f} MiB"
