"""What a backend can tell about the place where a store lies."""

from __future__ import annotations

from msgspec import Struct

from omega_persistence.backends import Hold


class Surroundings(Struct, frozen=True, kw_only=True):
    """Facts about the place where a store lies, and about how it is used; None for not known.

    Attributes:
        engine: What the backend works with, and its version.
        address: The path of the file, or where else the store is.
        file_bytes: Size of the main file.
        log_bytes: Size of the write-ahead log beside it.
        log_waiting_bytes: How much of the log could not be moved into the file just now.
        readers: Numbers of the processes that read what is in the log just now.
        read_elsewhere: Whether there are such processes, also where their numbers are not known.
        held: What has been open for the longest time in this process.
        unclean: Whether the last to use the file did not close it, and it has not been checked
            since.
        newer_schema: The number of the file's newest schema step, when this version of the
            library does not know it.
        file_system: Its type.
        network: Whether other machines or hosts share the file system.
        others_read: Whether other users than the owner may read the file.
        others_write: Whether they may write to the file, or rename it.
        file_writable: Whether this process may write to the file.
        folder_writable: Whether this process may make files beside it.
        disk_free_bytes: Room on the disk for this user.
    """

    engine: str
    address: str
    file_bytes: int = 0
    log_bytes: int = 0
    log_waiting_bytes: int | None = None
    readers: list[int] = []
    read_elsewhere: bool | None = None
    held: Hold | None = None
    unclean: bool = False
    newer_schema: int | None = None
    file_system: str | None = None
    network: bool = False
    others_read: bool = False
    others_write: bool = False
    file_writable: bool = True
    folder_writable: bool = True
    disk_free_bytes: int | None = None
