"""Page checksums as SQLite's documentation of cksumvfs has them, computed by other means."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PAGE = 4096


def checksum(content: bytes) -> bytes:
    """The 8 bytes at the end of a page with this content."""
    first = second = 0
    for one, two in struct.iter_unpack("<II", content):
        first = (first + one + second) & 0xFFFF_FFFF
        second = (second + two + first) & 0xFFFF_FFFF
    return struct.pack("<II", first, second)


def wrong_pages(path: Path, page: int = PAGE) -> list[int]:
    """The numbers of the pages of a file at rest that do not end in their checksum."""
    content = path.read_bytes()
    assert content[20] == 8
    pages = [content[start : start + page] for start in range(0, len(content), page)]
    return [n for n, each in enumerate(pages, 1) if checksum(each[:-8]) != each[-8:]]


def flip(path: Path, position: int, bit: int = 0) -> None:
    """Flip one bit of a file at rest."""
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << bit
    path.write_bytes(content)


def flip_inside(path: Path, text: bytes) -> None:
    """Make a text in a file at rest another one, wherever it stands first, by flipping one bit."""
    position = path.read_bytes().index(text)
    flip(path, position + len(text) // 2)
