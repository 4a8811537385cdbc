"""Telling whether SQLite can keep a file safe where it lies."""

from __future__ import annotations

import os

import apsw

from omega_persistence.backends import files
from omega_persistence.errors import UnsupportedError

_NETWORK_FILE_SYSTEMS = frozenset(
    (
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre"),
        *("virtiofs", "davfs", "vboxsf", "prl_fs"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs"),
    )
)


def require_local(path: str) -> None:
    """Refuse a file system that is known to lose SQLite's locks or shared memory.

    Raises:
        UnsupportedError: the folder is mounted from another machine or host.
    """
    kind = file_system(os.path.dirname(path))
    if is_network(kind):
        message = f"{path} lies on a network file system ({kind}), where a write-ahead log corrupts"
        hint = (
            "Keep the file on a local disk, or open it with journal='truncate' from one machine"
            " only, which is slower and lets readers and writers block each other."
        )
        raise UnsupportedError(message, hint=hint)


def is_network(kind: str | None) -> bool:
    """Whether a type of file system is one that other machines or hosts share."""
    return kind in _NETWORK_FILE_SYSTEMS


def file_system(folder: str, mounts: str = "/proc/self/mounts") -> str | None:
    """The type of the file system that a folder is on; None where the system does not tell."""
    try:
        with open(mounts, encoding="utf-8", errors="surrogateescape") as lines:
            points = [line.split(" ")[1:3] for line in lines]
    except OSError:
        return None
    best, kind = "", None
    for escaped, found in points:
        point = escaped.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
        inside = folder == point or folder.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):  # a later mount hides an earlier one
            best, kind = point, found
    return kind


def left_open(path: str) -> bool:
    """Whether a file is as a program leaves it that ends without closing it.

    A log or a rollback journal with something in it lies beside the file, and nobody has the file
    open: a connection holds a lock on the file as long as it is open (with a journal, as long as
    it is at work), and the last to close takes the log away. The lock is asked for through
    SQLite's own layer, which knows the locks of this process, and given back at once.
    """
    if not _side_file_in_use(path) or "unix" not in apsw.vfs_names():
        return False
    try:
        file = apsw.VFSFile(
            "unix", path, [apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READWRITE, 0]
        )
        try:
            file.xLock(apsw.SQLITE_LOCK_SHARED)
            file.xLock(apsw.SQLITE_LOCK_EXCLUSIVE)
            return _side_file_in_use(path)  # somebody may just have closed
        finally:
            file.xUnlock(apsw.SQLITE_LOCK_NONE)
            file.xClose()
    except apsw.Error:
        return False  # somebody has it open, or one may not lock it


def _side_file_in_use(path: str) -> bool:
    return any(files.size(path + side) for side in ("-wal", "-journal"))
