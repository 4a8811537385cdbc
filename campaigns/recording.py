"""Recording what a process does to the files of one folder, as SQLite's file system.

While a recorder is entered it is the default file system of SQLite in this process, so that the
library needs to know nothing of it. Nothing is really synced meanwhile. The calls of `os` with
which the library makes copies appear whole are recorded too. Memory shared between connections
(the ``-shm`` file) is not: it means nothing after a crash.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from random import Random
from threading import RLock
from typing import TYPE_CHECKING, Any, Self
from unittest.mock import patch

import apsw

from campaigns.disk import (
    Begin,
    Disk,
    Done,
    Event,
    Image,
    Link,
    Rename,
    Sync,
    SyncFolder,
    Truncate,
    Unlink,
    Write,
)
from omega_persistence.backends.sqlite import checksums

if TYPE_CHECKING:
    from collections.abc import Buffer
    from types import TracebackType

BASE = "unix"
NAME = "campaign-recorder"

_JOURNALS = apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_SUPER_JOURNAL | apsw.SQLITE_OPEN_WAL


class Recorder:
    """``with`` it, everything that happens to a folder is recorded.

    Attributes:
        initial: What was in the folder at first, taken for durable.
        events: What happened, in order.
    """

    def __init__(self, folder: str, seed: str) -> None:
        """Prepare for a folder that nobody has open; SQLite's random numbers come from the seed."""
        self.folder = os.path.realpath(folder)
        self.initial = read_folder(self.folder)
        self.events: list[Event] = []
        self.lock = RLock()
        self._seed = seed
        self._numbers = {name: number for number, name in enumerate(sorted(self.initial))}
        self._next = len(self._numbers)
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        # SQLite's own file system must have been asked for random numbers once, or it would start
        # them anew in the middle of the recording.
        apsw.randomness(0)
        apsw.randomness(1)
        checksums.load()  # it keeps to the file system that is there first, which must be the real
        vfs = _FileSystem(self, Random(self._seed))
        self._cleanup.callback(apsw.randomness, 0)
        self._cleanup.callback(vfs.unregister)
        apsw.randomness(0)
        for name in ("fsync", "link", "rename", "replace", "unlink", "remove"):
            self._cleanup.enter_context(patch.object(os, name, self._wrapped(name)))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cleanup.close()
        if error is None and self._replayed() != read_folder(self.folder):
            message = "the recording does not lead to what is in the folder"
            raise RuntimeError(message)

    def begin(self, actor: int) -> None:
        """An actor is about to begin an operation."""
        self._add(Begin(actor))

    def done(self, actor: int) -> None:
        """An actor's operation has returned."""
        self._add(Done(actor))

    def opened(self, path: str, *, existed: bool) -> int:
        """A file was opened; returns its number."""
        name = os.path.basename(path)
        with self.lock:
            if not existed:
                self._numbers[name] = self._next
                self._next += 1
                self.events.append(Link(name, self._numbers[name]))
            return self._numbers[name]

    def wrote(self, file: int, offset: int, data: bytes) -> None:
        """Bytes were written."""
        self._add(Write(file, offset, data))

    def truncated(self, file: int, size: int) -> None:
        """A size was set."""
        self._add(Truncate(file, size))

    def synced(self, file: int) -> None:
        """A file was synced."""
        self._add(Sync(file))

    def folder_synced(self) -> None:
        """The folder was synced."""
        self._add(SyncFolder())

    def unlinked(self, path: str) -> None:
        """A name was removed."""
        with self.lock:
            if self._numbers.pop(os.path.basename(path), None) is not None:
                self.events.append(Unlink(os.path.basename(path)))

    def _add(self, event: Event) -> None:
        with self.lock:
            self.events.append(event)

    def _linked(self, old: str, new: str) -> None:
        number = self._numbers[os.path.basename(old)]
        self._numbers[os.path.basename(new)] = number
        self.events.append(Link(os.path.basename(new), number))

    def _renamed(self, old: str, new: str) -> None:
        number = self._numbers.pop(os.path.basename(old))
        self._numbers[os.path.basename(new)] = number
        self.events.append(Rename(os.path.basename(old), os.path.basename(new), number))

    def _descriptor_synced(self, descriptor: int) -> None:
        stat = os.fstat(descriptor)
        if os.path.samestat(stat, os.stat(self.folder)):
            self.folder_synced()
        for name, number in self._numbers.items():
            if os.path.samestat(stat, os.stat(os.path.join(self.folder, name))):
                self.synced(number)
                break

    def _wrapped(self, name: str) -> Any:
        real = getattr(os, name)
        heard = {
            "fsync": self._descriptor_synced,
            "link": self._linked,
            "rename": self._renamed,
            "replace": self._renamed,
            "unlink": self.unlinked,
            "remove": self.unlinked,
        }[name]

        def call(*args: Any, **kwargs: Any) -> Any:
            ours = name == "fsync" or os.path.dirname(args[0]) == self.folder
            with self.lock:
                if name == "fsync":
                    heard(*args)
                    return None
                found = real(*args, **kwargs)
                if ours:
                    heard(*args)
                return found

        return call

    def _replayed(self) -> Image:
        disk = Disk(self.initial)
        for event in self.events:
            disk.apply(event)
        return disk.whole()


class _FileSystem(apsw.VFS):
    def __init__(self, recorder: Recorder, random: Random) -> None:
        self._recorder = recorder
        self._random = random
        super().__init__(NAME, BASE, makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        if name is None:  # a temporary file
            return apsw.VFSFile(BASE, name, flags)
        return _File(self._recorder, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: FBT001 - apsw calls it so
        with self._recorder.lock:
            super().xDelete(filename, False)
            self._recorder.unlinked(filename)
            if syncdir:
                self._recorder.folder_synced()

    def xRandomness(self, numbytes: int) -> bytes:
        return self._random.randbytes(numbytes)


class _File(apsw.VFSFile):
    def __init__(self, recorder: Recorder, name: str | apsw.URIFilename, flags: list[int]) -> None:
        path = name if isinstance(name, str) else name.filename()
        existed = os.path.exists(path)
        super().__init__(BASE, name, flags)
        self._recorder = recorder
        self._number = recorder.opened(path, existed=existed)
        # SQLite's file system syncs the folder of a journal when it first syncs that.
        self._syncs_folder = bool(flags[0] & _JOURNALS and flags[0] & apsw.SQLITE_OPEN_CREATE)

    def xWrite(self, data: Buffer, offset: int) -> None:
        with self._recorder.lock:
            super().xWrite(data, offset)
            self._recorder.wrote(self._number, offset, bytes(data))

    def xTruncate(self, newsize: int) -> None:
        with self._recorder.lock:
            super().xTruncate(newsize)
            self._recorder.truncated(self._number, newsize)

    def xSync(self, flags: int) -> None:  # noqa: ARG002 - apsw's signature
        with self._recorder.lock:
            self._recorder.synced(self._number)
            if self._syncs_folder:
                self._syncs_folder = False
                self._recorder.folder_synced()


def read_folder(folder: str) -> Image:
    """The files of a folder that nobody has open, but for shared memory."""
    image: Image = {}
    for name in os.listdir(folder):
        if not name.endswith("-shm"):
            with open(os.path.join(folder, name), "rb") as file:
                image[name] = file.read()
    return image


def write_folder(folder: str, image: Image) -> None:
    """Make a folder hold exactly these files."""
    for name in os.listdir(folder):
        if name not in image:
            os.unlink(os.path.join(folder, name))
    for name, content in image.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(content)
