"""Ways to damage the bytes of a database, of its log and of its rollback journal.

Offsets and checksums are those of https://sqlite.org/fileformat2.html.
"""

from __future__ import annotations

import struct
import sys
from array import array
from typing import TYPE_CHECKING

from campaigns.hostile.bases import JOURNAL, LOG, STORE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from campaigns.hostile.bases import Image

    Mutation = Callable[[Random, Image], None]

_NUMBERS = (0, 1, 2, 7, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE)

# The fields of the first 100 bytes, the marks of the library (60, 68) among them: (offset, width).
_HEADER = (
    *((0, 1), (16, 2), (18, 1), (19, 1), (20, 1), (21, 1), (22, 1), (23, 1), (24, 4), (28, 4)),
    *((32, 4), (36, 4), (40, 4), (44, 4), (48, 4), (52, 4), (56, 4), (60, 4), (64, 4), (68, 4)),
    *((72, 4), (92, 4), (96, 4)),
)

_INTERIOR, _TREE_PAGES = (2, 5), (2, 5, 10, 13)

_NOT_TEXT = (
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xc0\x80",
    b"\xf4\x90\x80\x80",
    b"\0",
    b"\xe2\x82",
)

_LOG_HEADER, _FRAME_HEADER = 32, 24
_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
_RESERVED = 8


class UnfitError(Exception):
    """There is nothing left that could be changed so."""


def flip_bits(random: Random, image: Image) -> None:
    """Change single bits."""
    content = _some_file(random, image)
    for _ in range(random.choice((1, 1, 2, 32))):
        content[_some_place(random, content)] ^= 1 << random.randrange(8)


def overwrite(random: Random, image: Image) -> None:
    """Overwrite a stretch with zeros, ones, noise or another stretch."""
    content = _some_file(random, image)
    place, source = _some_place(random, content), random.randrange(len(content))
    length = random.choice((1, 2, 4, 16, 64, 512, 3000))
    length = min(length, len(content) - max(place, source))
    runs = (bytes(length), b"\xff" * length, random.randbytes(length), content[source:][:length])
    content[place : place + length] = random.choice(runs)


def move_pages(random: Random, image: Image) -> None:
    """Swap, copy or empty pages."""
    main, size = image[STORE], page_size(image)
    for _ in range(random.choice((1, 1, 2, 5))):
        one, two = (random.randrange(_pages(image)) * size for _ in range(2))
        first, second = main[one : one + size], main[two : two + size]
        main[one : one + size] = random.choice((second, bytes(size)))
        main[two : two + size] = random.choice((first, second))


def change_size(random: Random, image: Image) -> None:
    """Lose the end, or go on after it."""
    content, size = _some_file(random, image), page_size(image)
    if random.random() < 0.3:
        content += random.choice((bytes(size), random.randbytes(random.randrange(3 * size))))
        return
    end = random.randrange(len(content))
    del content[random.choice((end, end // size * size, end % 600, len(content) - 1)) :]


def change_header(random: Random, image: Image) -> None:
    """Put another number into a field of the first page's header."""
    _pages(image)
    for _ in range(random.choice((1, 1, 2))):
        _put_number(random, image[STORE], *random.choice(_HEADER))


def change_tree(random: Random, image: Image) -> None:
    """Change the head of a page of a tree, or where it says that its cells are, or a cell."""
    main, size = image[STORE], page_size(image)
    starts = range(0, _pages(image) * size, size)
    trees = [start for start in starts if main[start or 100] in _TREE_PAGES]
    if not trees:
        raise UnfitError
    start = random.choice(trees)
    head = start or 100
    cells = head + (12 if main[head] in _INTERIOR else 8)
    count = min(int.from_bytes(main[head + 3 : head + 5], "big"), size // 4)
    pointer = cells + 2 * random.randrange(count or 1)
    cell = start + int.from_bytes(main[pointer : pointer + 2], "big")
    place, width = random.choice(
        (
            *((head, 1), (head + 1, 2), (head + 3, 2), (head + 5, 2), (head + 7, 1)),
            *((head + 8, 4), (pointer, 2), (pointer, 2), (start, 4)),
            # The length of a row, its number, the types of its columns; or the page of a child.
            *((cell, 4), (cell, 1), *((cell + random.randrange(20), 1),) * 3),
        )
    )
    _put_number(random, main, min(place, len(main) - width), width)


def change_free_list(random: Random, image: Image) -> None:
    """Call pages free that are in use, or make the list of free pages long or endless."""
    main, size, pages = image[STORE], page_size(image), _pages(image)
    trunk = random.randrange(pages)
    leaves = [random.randrange(pages + 3) for _ in range(random.choice((0, 1, 5, 99)))]
    following = random.choice((0, trunk + 1, random.randrange(pages) + 1))
    numbers = following, random.choice((len(leaves), 0xFFFFFFFF)), *leaves
    if trunk:
        main[trunk * size : trunk * size + 4 * len(numbers)] = struct.pack(
            f">{len(numbers)}I", *numbers
        )
    main[32:40] = struct.pack(">II", trunk + 1, random.choice((0, 1, len(leaves) + 1, 0xFFFFFFFF)))


def spoil_text(random: Random, image: Image) -> None:
    """Put what is not UTF-8 into words."""
    content = _some_file(random, image)
    for _ in range(random.choice((1, 1, 3))):
        word = random.choice(
            (b"amber", b"valley", b"mem-", b"default", b"neural", b"causes", b'{"')
        )
        place = content.find(word, random.randrange(len(content)))
        bad = random.choice(_NOT_TEXT)
        content[place : place + len(bad)] = bad


def change_log(random: Random, image: Image) -> None:
    """Change the head of a log, its frames, their order or the pages in them."""
    log = image.get(LOG, bytearray())
    size, frames = _frames(log)
    if not frames:
        raise UnfitError
    step = _FRAME_HEADER + size
    one, two = (_LOG_HEADER + random.randrange(frames) * step for _ in range(2))
    kind = random.randrange(6)
    if kind == 0:
        _put_number(random, log, random.choice((0, 4, 8, 12, 16, 20, 24, 28)), 4)
    elif kind == 1:
        _put_number(random, log, one + random.choice((0, 4, 8, 16)), 4)
    elif kind == 2:
        log[one : one + step], log[two : two + step] = log[two : two + step], log[one : one + step]
    elif kind == 3:
        del log[one : one + step]
    elif kind == 4:
        log[one + 4 : one + 8] = random.randrange(200).to_bytes(4, "big")  # ends a transaction
    else:
        place = one + _FRAME_HEADER + random.randrange(size - 8)
        log[place : place + 8] = random.randbytes(8)
    if random.random() < 0.7:
        seal_log(log)


def change_journal(random: Random, image: Image) -> None:
    """Change the head of a rollback journal, or which pages it puts back, and how."""
    journal = image.get(JOURNAL, bytearray())
    parts = list(_parts(journal))
    if not parts:
        raise UnfitError
    header, first, count, size = random.choice(parts)
    record = first + random.randrange(count or 1) * (size + 8)
    kind = random.randrange(4)
    if kind == 0:
        _put_number(random, journal, header + random.choice((0, 4, 8, 12, 16, 20, 24)), 4)
    elif kind == 1:
        _put_number(random, journal, record, 4)
    elif kind == 2:
        place = record + 4 + random.randrange(size - 8)
        journal[place : place + 8] = random.randbytes(8)
    else:  # the name of a super-journal
        name = random.choice((b"nowhere-mj", b"store.db", b"\xff" * 20))
        tail = struct.pack(">II", len(name), sum(name)) + _JOURNAL_MAGIC
        journal += (0x40000000 // size + 1).to_bytes(4, "big") + name + tail
    if random.random() < 0.7:
        seal_journal(journal)


def exchange(random: Random, image: Image) -> None:
    """Lose the log or the journal, or mistake one for the other."""
    beside = [name for name in (LOG, JOURNAL) if name in image]
    if not beside:
        raise UnfitError
    content = image.pop(random.choice(beside))
    if random.random() < 0.5:
        image[LOG if beside == [JOURNAL] else JOURNAL] = content


MUTATIONS: tuple[Mutation, ...] = (
    *(flip_bits, overwrite, move_pages, change_size, change_header, change_tree, change_tree),
    *(change_free_list, spoil_text),
)
BESIDE: tuple[Mutation, ...] = (*(change_log,) * 5, *(change_journal,) * 5, exchange)
"""For a database that has a log or a rollback journal."""


def page_size(image: Image) -> int:
    """What the header says, if that can be."""
    size = int.from_bytes(image[STORE][16:18], "big")
    return size if 512 <= size <= 32768 and size & (size - 1) == 0 else 4096


def seal_pages(image: Image, before: Image) -> None:
    """Make the checksum right that ends every changed page of a file with page checksums."""
    main, size = image[STORE], page_size(image)
    for end in range(size, len(main) + 1, size):
        if main[end - size : end] == before[STORE][end - size : end]:
            continue
        sums = _sums((0, 0), main[end - size : end - _RESERVED], "little")
        main[end - _RESERVED : end] = struct.pack("<II", *sums)


def seal_log(log: bytearray) -> None:
    """Make every checksum of a log right, and every salt that of its header."""
    size, frames = _frames(log)
    order = "big" if log[3] & 1 else "little"
    sums = _sums((0, 0), log[:24], order)
    log[24:32] = struct.pack(">II", *sums)
    for frame in range(frames):
        start = _LOG_HEADER + frame * (_FRAME_HEADER + size)
        page = start + _FRAME_HEADER
        log[start + 8 : start + 16] = log[16:24]
        sums = _sums(sums, log[start : start + 8] + log[page : page + size], order)
        log[start + 16 : page] = struct.pack(">II", *sums)


def seal_journal(journal: bytearray) -> None:
    """Make the checksum of every page in a rollback journal right."""
    for header, first, count, size in _parts(journal):
        nonce = int.from_bytes(journal[header + 12 : header + 16], "big")
        for start in range(first + 4, first + count * (size + 8), size + 8):
            total = nonce + sum(journal[start + place] for place in range(size - 200, 0, -200))
            journal[start + size : start + size + 4] = (total & 0xFFFFFFFF).to_bytes(4, "big")


def _sums(sums: tuple[int, int], content: bytearray, order: str) -> tuple[int, int]:
    words = array("I", bytes(content))
    if order != sys.byteorder:
        words.byteswap()
    one, two = sums
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + two) & 0xFFFFFFFF
        two = (two + second + one) & 0xFFFFFFFF
    return one, two


def _frames(log: bytearray) -> tuple[int, int]:
    """The page size that a log names, and how many whole frames it holds."""
    size = int.from_bytes(log[8:12], "big")
    if not 512 <= size <= 32768 or size & (size - 1):
        return 0, 0
    return size, max(0, len(log) - _LOG_HEADER) // (_FRAME_HEADER + size)


def _parts(journal: bytearray) -> Iterator[tuple[int, int, int, int]]:
    """Of each part of a rollback journal: its header, its first page, how many, their size."""
    header = 0
    while journal.startswith(_JOURNAL_MAGIC, header) and len(journal) >= header + 28:
        count, _, _, sector, size = struct.unpack_from(">5I", journal, header + 8)
        if not 512 <= size <= 32768 or not 32 <= sector <= 32768:
            return
        first = header + sector
        count = min(count, max(0, len(journal) - first) // (size + 8))
        yield header, first, count, size
        header = -(-(first + count * (size + 8)) // sector) * sector


def _pages(image: Image) -> int:
    pages = len(image[STORE]) // page_size(image)
    if not pages:
        raise UnfitError
    return pages


def _some_file(random: Random, image: Image) -> bytearray:
    contents = [content for content in image.values() if len(content) > 100]
    if not contents:
        raise UnfitError
    return random.choice(contents)


def _some_place(random: Random, content: bytearray) -> int:
    """Anywhere, or (as often) at the head of a page, where the structure is."""
    place = random.randrange(len(content))
    if random.random() < 0.5:
        place = min(place // 4096 * 4096 + random.randrange(64), len(content) - 1)
    return place


def _put_number(random: Random, content: bytearray, place: int, width: int) -> None:
    place = min(place, len(content) - width)
    old = int.from_bytes(content[place : place + width], "big")
    numbers = (*_NUMBERS, old + 1, old - 1, old * 2, random.getrandbits(8 * width))
    number = random.choice(numbers) & ((1 << 8 * width) - 1)
    content[place : place + width] = number.to_bytes(width, "big")
