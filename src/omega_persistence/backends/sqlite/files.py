"""Telling whether SQLite can keep a file safe where it lies."""

from __future__ import annotations

import os

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
    if kind in _NETWORK_FILE_SYSTEMS:
        message = f"{path} lies on a network file system ({kind}), where a write-ahead log corrupts"
        hint = (
            "Keep the file on a local disk, or open it with journal='truncate' from one machine"
            " only, which is slower and lets readers and writers block each other."
        )
        raise UnsupportedError(message, hint=hint)


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
