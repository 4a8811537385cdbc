"""A file system below SQLite whose calls fail on request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw

from omega_persistence.backends.sqlite import checksums

if TYPE_CHECKING:
    from collections.abc import Buffer

MAIN, LOG = ".db", "-wal"


class Fault:
    """Calls of one kind on files of one name, some of which fail.

    Args:
        call: ``"read"``, ``"write"`` or ``"sync"``.
        on: What the file's name ends with.
        error: What the call raises.
        after: How many calls go well before.
        times: How many fail then.
        every: Of how many calls one fails then.
    """

    def __init__(
        self,
        call: str,
        on: str = "",
        *,
        error: type[apsw.Error] = apsw.IOError,
        after: int = 0,
        times: int = 1,
        every: int = 1,
    ) -> None:
        self.call, self.on, self.error = call, on, error
        self.failing = range(after, after + times * every, every)
        self.seen = 0

    @property
    def hit(self) -> int:
        """How many calls have failed."""
        return sum(call < self.seen for call in self.failing)

    def meet(self, call: str, name: str) -> None:
        """Fail a call if it is one of those."""
        if call != self.call or not name.endswith(self.on):
            return
        self.seen += 1
        if self.seen - 1 in self.failing:
            raise self.error(f"injected into {call}")


class Disk(apsw.VFS):
    """The default file system of this process until `remove`; set ``fault`` to make calls fail."""

    def __init__(self) -> None:
        self.fault: Fault | None = None
        checksums.load()  # it keeps to the file system that is there first, which must be the real
        super().__init__("faulty", "unix", makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return _File(self, name, flags)

    def remove(self) -> None:
        """Use the real file system again; every connection must have been closed."""
        self.unregister()
        apsw.set_default_vfs("unix")

    def meet(self, call: str, name: str) -> None:
        """Let the fault, if there is one, look at a call."""
        if self.fault is not None:
            self.fault.meet(call, name)


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        self._name = name.filename() if isinstance(name, apsw.URIFilename) else name or ""
        super().__init__("unix", name, flags)

    def xRead(self, amount: int, offset: int) -> bytes:
        self._disk.meet("read", self._name)
        return super().xRead(amount, offset)

    def xWrite(self, data: Buffer, offset: int) -> None:
        self._disk.meet("write", self._name)
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        self._disk.meet("sync", self._name)
        super().xSync(flags)
