"""A disk whose power may fail: what of a recorded run can be on it afterwards.

A write counts as durable once its file was synced, a name once its folder was. What came after
may have reached the disk whole, in part, in any order, or not at all.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

Image = dict[str, bytes]
"""The files of a folder: name -> content."""

SECTOR = 512

SINGLES = 12
"""So many of the writes before a sync are each lost, and kept, alone."""


class Write(Struct, frozen=True):
    """Bytes at an offset of a file."""

    file: int
    offset: int
    data: bytes


class Truncate(Struct, frozen=True):
    """A new size of a file."""

    file: int
    size: int


class Sync(Struct, frozen=True):
    """All of a file is durable."""

    file: int


class Link(Struct, frozen=True):
    """A file has a name; a new file if the number is new."""

    name: str
    file: int


class Unlink(Struct, frozen=True):
    """A name is gone."""

    name: str


class Rename(Struct, frozen=True):
    """A file has another name instead."""

    old: str
    new: str
    file: int


class SyncFolder(Struct, frozen=True):
    """All names are durable."""


class Begin(Struct, frozen=True):
    """An actor begins its next operation."""

    actor: int


class Done(Struct, frozen=True):
    """An actor's operation is acknowledged."""

    actor: int


Change = Write | Truncate
Move = Link | Unlink | Rename
Event = Change | Sync | Move | SyncFolder | Begin | Done


class _File:
    def __init__(self, content: bytes = b"") -> None:
        self.durable = content
        self.latest = bytearray(content)
        self.pending: list[Change] = []


class Disk:
    """The files of a folder while events happen to it."""

    def __init__(self, initial: Image) -> None:
        """Begin with files, numbered in the order of their names, that are durable."""
        self._files = {number: _File(initial[name]) for number, name in enumerate(sorted(initial))}
        self._durable_names = {name: number for number, name in enumerate(sorted(initial))}
        self._names = dict(self._durable_names)
        self.moves: list[Move] = []

    def apply(self, event: Event) -> None:
        """Let something happen."""
        if isinstance(event, Write | Truncate):
            file = self._files[event.file]
            file.pending.append(event)
            _change(file.latest, event)
        elif isinstance(event, Sync):
            file = self._files[event.file]
            if file.pending:
                file.durable = bytes(file.latest)
                file.pending.clear()
        elif isinstance(event, Link | Unlink | Rename):
            if isinstance(event, Link):
                self._files.setdefault(event.file, _File())
            self.moves.append(event)
            _move(self._names, event)
        elif isinstance(event, SyncFolder):
            self._durable_names = dict(self._names)
            self.moves.clear()

    @property
    def pending(self) -> list[tuple[int, Change]]:
        """What is not durable of the files: (number of the file, change)."""
        return [(number, each) for number, file in self._files.items() for each in file.pending]

    def whole(self) -> Image:
        """Everything that happened."""
        return {name: bytes(self._files[number].latest) for name, number in self._names.items()}

    def crash(self, way: str, last: Event, random: Random) -> Image:
        """What the disk holds when the power fails now, in one of `ways`.

        ``last`` is the latest event. Only the ways ``stale``, ``torn``, ``random`` and ``shm`` use
        random numbers.
        """
        kind, _, rest = way.partition(" ")
        number = int(rest or 0)
        if kind == "random":
            chance = random.choice((0.1, 0.5, 0.9))
            if random.random() < 0.5:
                kept = self.moves[: random.randint(0, len(self.moves))]
            else:
                kept = [move for move in self.moves if random.random() < 0.5]
            return self._some(self._moved(kept), lambda _, change: _sectors(change, chance, random))
        if kind in {"torn", "file", "without", "only"}:
            return self._some(self._names, _kept(kind, number, last, random))
        if kind == "shm":
            image = self.whole()
            stores = [name for name in image if name.endswith(".db")]
            return image | {f"{name}-shm": random.randbytes(32768) for name in stores}
        names = self._durable_names if kind in {"none", "data"} else self._names
        if kind == "moves":
            names = self._moved([move for bit, move in enumerate(self.moves) if number >> bit & 1])
        if kind in {"sizes", "stale"}:
            return self._image(names, lambda file: _sized(file, kind, random))
        if kind in {"none", "names"}:
            return self._image(names, lambda file: file.durable)
        return self._image(names, lambda file: bytes(file.latest))

    def _moved(self, moves: list[Move]) -> dict[str, int]:
        names = dict(self._durable_names)
        for move in moves:
            _move(names, move)
        return names

    def _image(self, names: dict[str, int], content: Callable[[_File], bytes]) -> Image:
        return {name: content(self._files[number]) for name, number in names.items()}

    def _some(
        self, names: dict[str, int], keep: Callable[[int, Change], bool | list[Write]]
    ) -> Image:
        """Apply those pending changes, told apart by position, that are kept whole or in part."""
        contents: dict[int, bytes] = {}
        position = 0
        for number, file in self._files.items():
            if not file.pending:
                contents[number] = file.durable
                continue
            content = bytearray(file.durable)
            for change in file.pending:
                kept = keep(position, change)
                position += 1
                for part in [change] if kept is True else kept or []:
                    _change(content, part)
            contents[number] = bytes(content)
        return {name: contents[number] for name, number in names.items()}


def ways(disk: Disk, last: Event, coming: Event | None, randoms: int) -> list[str]:
    """How the disk may look if the power fails between two events.

    ``all`` and ``none`` of what is pending; ``data`` without names and ``names`` without data;
    ``sizes`` whose new part is zeros, or ``stale`` old blocks; the last write ``torn``; before a
    sync each pending write ``without`` which, or ``only`` which, the others arrived, one ``file``
    alone, some ``moves`` of names, and garbage in ``shm``; ``random`` sectors and names.
    """
    found = ["all"]
    pending = disk.pending
    if pending or disk.moves:
        found.append("none")
    if pending and disk.moves:
        found += ["data", "names"]
    if pending:
        found += ["sizes", "stale"]
    if isinstance(last, Write) and len(_cuts(last)) > 1:
        found += [f"torn {number}" for number in range(3)]
    if isinstance(coming, Sync | SyncFolder):
        step = max(1, -(-len(pending) // SINGLES))
        if len(pending) > 1:
            for position in range(len(pending) - 1, -1, -step):
                found += [f"without {position}", f"only {position}"]
        files = {number for number, _ in pending}
        if len(files) > 1:
            found += [f"file {number}" for number in sorted(files)]
        found += [f"moves {mask}" for mask in range(1, 2 ** min(len(disk.moves), 4) - 1)]
        found.append("shm")
    if len(pending) + len(disk.moves) > 1:
        found += [f"random {number}" for number in range(randoms)]
    return found


def _change(content: bytearray, change: Change) -> None:
    if isinstance(change, Truncate):
        del content[change.size :]
        content.extend(bytes(change.size - len(content)))
    else:
        content.extend(bytes(max(0, change.offset - len(content))))
        content[change.offset : change.offset + len(change.data)] = change.data


def _move(names: dict[str, int], move: Move) -> None:
    if isinstance(move, Link):
        names[move.name] = move.file
    elif isinstance(move, Unlink):
        names.pop(move.name, None)
    else:
        names.pop(move.old, None)
        names[move.new] = move.file


def _sized(file: _File, kind: str, random: Random) -> bytes:
    size = len(file.latest)
    more = max(0, size - len(file.durable))
    return file.durable[:size] + (bytes(more) if kind == "sizes" else random.randbytes(more))


def _cuts(write: Write) -> list[Write]:
    """A write as its sectors."""
    edges = [write.offset, write.offset + len(write.data)]
    edges[1:1] = range(write.offset - write.offset % SECTOR + SECTOR, edges[1], SECTOR)
    return [
        Write(write.file, start, write.data[start - write.offset : end - write.offset])
        for start, end in pairwise(edges)
    ]


def _sectors(change: Change, chance: float, random: Random) -> bool | list[Write]:
    if isinstance(change, Truncate):
        return random.random() < chance
    return [part for part in _cuts(change) if random.random() < chance]


def _kept(
    kind: str, number: int, last: Event, random: Random
) -> Callable[[int, Change], bool | list[Write]]:
    """Which pending changes arrive, by position and change; of a torn one, which parts."""

    def keep(position: int, change: Change) -> bool | list[Write]:
        if kind == "file":
            return change.file == number
        if kind == "only":
            return position == number
        if kind == "without":
            return position != number
        if change is not last or not isinstance(change, Write):
            return True
        # Of the last write its beginning, its end, or any of its sectors.
        parts = _cuts(change)
        if number == 2:
            return [part for part in parts if random.random() < 0.5]
        middle = random.randint(1, len(parts) - 1)
        return parts[:middle] if number == 0 else parts[middle:]

    return keep
