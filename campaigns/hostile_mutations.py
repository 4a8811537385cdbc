"""Ways to damage the bytes of a database, its log or its rollback journal."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from campaigns.hostile_bases import (
    WAL_FRAME,
    WAL_HEADER,
    journal_parts,
    seal_journal,
    seal_wal,
    wal_frames,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from campaigns.hostile_bases import Image


class UnfitError(Exception):
    """The image has nothing that this mutation could change; another one is drawn."""


_NUMBERS = (0, 1, 2, 3, 4, 7, 0x7F, 0x80, 0xFF, 0x100, 0x200, 0x7FFF, 0x8000, 0xFFFF, 0x10000)
_BIG = (0x7FFFFFFE, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)

# Where the fields of the first 100 bytes are: (offset, width).
_HEADER = (
    *((0, 1), (15, 1), (16, 2), (18, 1), (19, 1), (20, 1), (21, 1), (22, 1), (23, 1)),
    *((24, 4), (28, 4), (32, 4), (36, 4), (40, 4), (44, 4), (48, 4), (52, 4), (56, 4), (64, 4)),
    *((72, 4), (92, 4), (96, 4)),
)
_MARKS = ((60, 4), (68, 4))  # user_version, application_id

_BTREE = (2, 5, 10, 13)
_INTERIOR, _TABLE_LEAF, _LEAVES = (2, 5), 13, (10, 13)

_BAD_TEXT = (
    *(b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\x00", b"\xe2\x82"),
    *(b"\xf8\x88\x80\x80\x80", b"\x1b[31m", b"\xe2\x80\xae"),
)


def flip_bits(random: Random, image: Image, _others: Mapping[str, Image]) -> None:
    content = image[_some_side(random, image)]
    for _ in range(random.choice((1, 1, 1, 2, 4, 32))):
        content[_some_place(random, content)] ^= 1 << random.randrange(8)


def overwrite_run(random: Random, image: Image, _others: Mapping[str, Image]) -> None:
    content = image[_some_side(random, image)]
    place = _some_place(random, content)
    length = min(random.choice((1, 2, 4, 16, 64, 512, 3000)), len(content) - place)
    kind = random.randrange(4)
    if kind == 3:
        source = random.randrange(len(content) - length + 1)
        content[place : place + length] = content[source : source + length]
    else:
        runs = (bytes(length), b"\xff" * length, random.randbytes(length))
        content[place : place + length] = runs[kind]


def move_pages(random: Random, image: Image, _others: Mapping[str, Image]) -> None:
    """Swap, copy, empty or scramble pages."""
    main = _main(image)
    size = page_size(main)
    pages = len(main) // size
    for _ in range(random.choice((1, 1, 2, 5))):
        one, two = random.randrange(pages) * size, random.randrange(pages) * size
        first, second = main[one : one + size], main[two : two + size]
        kind = random.randrange(4)
        if kind == 0:
            main[one : one + size], main[two : two + size] = second, first
        else:
            filling = (second, bytes(size), random.randbytes(size))[kind - 1]
            main[one : one + size] = filling


def cut_off(random: Random, image: Image, _others: Mapping[str, Image]) -> None:
    content = image[_some_side(random, image)]
    size = page_size(image[""])
    ends = (
        *(random.randrange(len(content)), random.randrange(min(600, len(content)))),
        *(random.randrange(len(content)) // size * size, len(content) - 1, 0),
    )
    del content[random.choice(ends) :]


def lengthen(random: Random, image: Image, _others: Mapping[str, Image]) -> None:
    content = image[_some_side(random, image)]
    size = page_size(image[""])
    start = random.randrange(max(1, len(content) - size))
    length = random.choice((1, 24, size, 5 * size))
    tails = (bytes(length), random.randbytes(length), content[start : start + length])
    content += random.choice(tails)


def change_header(random: Random, image: Image, _others: Mapping[str, Image]) -> None:
    """Put another number into a field of the file's first 100 bytes."""
    main = _main(image)
    for _ in range(random.choice((1, 1, 2))):
        _put_number(random, main, *random.choice(_HEADER))


def change_marks(random: Random, image: Image, _others: Mapping[str, Image]) -> None:
    """Change what tells whose file it is, and of which version."""
    _put_number(random, _main(image), *random.choice(_MARKS))


def change_cells(random: Random, image: Image, _others: Mapping[str, Image]) -> None:
    """Change the head of a b-tree page, or where it says that its cells are."""
    main = _main(image)
    start, head, cells = _some_btree(random, main)
    count = int.from_bytes(main[head + 3 : head + 5], "big")
    if random.randrange(3) == 0 or count < 2 or count > 2000:
        place, width = random.choice(((0, 1), (1, 2), (3, 2), (5, 2), (7, 1)))
        _put_number(random, main, head + place, width)
        return
    one = cells + 2 * random.randrange(count)
    two = cells + 2 * random.randrange(count)
    if random.randrange(2):
        main[one : one + 2], main[two : two + 2] = main[two : two + 2], main[one : one + 2]
    else:
        value = random.choice((random.randrange(page_size(main)), head - start, 0xFFFF))
        main[one : one + 2] = value.to_bytes(2, "big")


def change_record(random: Random, image: Image, _others: Mapping[str, Image]) -> None:
    """Change the length of a row, its number, or the type of one of its columns."""
    main = _main(image)
    start, head, cells = _some_btree(random, main, _LEAVES)
    count = int.from_bytes(main[head + 3 : head + 5], "big")
    if not 0 < count < 2000:
        raise UnfitError
    pointer = cells + 2 * random.randrange(count)
    place = start + int.from_bytes(main[pointer : pointer + 2], "big")
    place = min(place, len(main) - 1)
    varints = [place]
    for _ in range(3 + random.randrange(12)):  # length, row number, length of the head, types
        while place < len(main) - 1 and main[place] & 0x80:
            place += 1
        place = min(place + 1, len(main) - 1)
        varints.append(place)
    where = random.choice(varints)
    values = (*range(14), 0x7F, random.randrange(128))
    if random.randrange(3):
        main[where] = random.choice(values)
    else:
        wide = random.choice((b"\x81\x00", b"\xff\x7f", b"\xff\xff\xff\x7f", b"\xff" * 9))
        main[where : where + len(wide)] = wide[: len(main) - where]


def change_links(random: Random, image: Image, _others: Mapping[str, Image]) -> None:
    """Lead from one page to a wrong one: to a child, or to the rest of a long row."""
    main = _main(image)
    size = page_size(main)
    pages = len(main) // size
    target = random.choice((0, 1, 2, pages, pages + 1, 0xFFFFFFFF, random.randrange(pages) + 1))
    start, head, cells = _some_btree(random, main, None)
    if main[head] in _INTERIOR:
        count = int.from_bytes(main[head + 3 : head + 5], "big")
        place = head + 8
        if 0 < count < 2000 and random.randrange(2):
            pointer = cells + 2 * random.randrange(count)
            place = start + int.from_bytes(main[pointer : pointer + 2], "big")
    else:
        place = start
    place = min(place, len(main) - 4)
    main[place : place + 4] = target.to_bytes(4, "big")


def change_freelist(random: Random, image: Image, _others: Mapping[str, Image]) -> None:
    """Invent free pages, some of which are in use, or lists of them without an end."""
    main = _main(image)
    size = page_size(main)
    pages = len(main) // size
    trunk = random.randrange(1, pages)
    leaves = [random.randrange(pages + 3) for _ in range(random.choice((0, 1, 5, 200)))]
    following = random.choice((0, trunk + 1, random.randrange(pages) + 1, 0xFFFFFFFF))
    head = struct.pack(">II", following, random.choice((len(leaves), 0xFFFF, 0xFFFFFFFF)))
    if random.randrange(2):
        body = head + b"".join(leaf.to_bytes(4, "big") for leaf in leaves)
        main[trunk * size : trunk * size + len(body)] = body[:size]
    main[32:40] = struct.pack(">II", trunk + 1, random.choice((0, 1, len(leaves) + 1, 0xFFFFFFFF)))


def change_log(random: Random, image: Image, _others: Mapping[str, Image]) -> None:
    """Change the head of a write-ahead log, its frames, their order or the pages in them."""
    wal = image.get("-wal")
    if not wal or len(wal) < WAL_HEADER + WAL_FRAME + 512:
        raise UnfitError
    size, frames = wal_frames(wal)
    if not 512 <= size <= 65536 or not frames:
        raise UnfitError
    step = WAL_FRAME + size
    one, two = (WAL_HEADER + random.randrange(frames) * step for _ in range(2))
    kind = random.randrange(7)
    if kind == 0:
        _put_number(random, wal, random.choice((0, 4, 8, 12, 16, 20, 24, 28)), 4)
    elif kind == 1:
        _put_number(random, wal, one + random.choice((0, 4, 8, 12, 16, 20)), 4)
    elif kind == 2:
        wal[one : one + step], wal[two : two + step] = wal[two : two + step], wal[one : one + step]
    elif kind == 3:
        wal[one : one + step] = wal[two : two + step]
    elif kind == 4:
        del wal[one : one + step]
    elif kind == 5:
        wal[one + 4 : one + 8] = random.randrange(200).to_bytes(4, "big")  # ends a transaction
    else:
        place = one + WAL_FRAME + random.randrange(size)
        wal[place : place + 8] = random.randbytes(8)
    if random.randrange(3):
        seal_wal(wal)


def change_journal(random: Random, image: Image, _others: Mapping[str, Image]) -> None:
    """Change the head of a rollback journal, or which pages it puts back and how."""
    journal = image.get("-journal")
    parts = journal_parts(journal) if journal else []
    if not journal or not parts:
        raise UnfitError
    header, count, size, sector = random.choice(parts)
    record = header + sector + random.randrange(max(1, count)) * (size + 8)
    kind = random.randrange(5)
    if kind == 0:
        _put_number(random, journal, header + random.choice((0, 4, 8, 12, 16, 20, 24)), 4)
    elif kind == 1:
        _put_number(random, journal, min(record, len(journal) - 4), 4)
    elif kind == 2:
        place = min(record + 4 + random.randrange(size), len(journal) - 8)
        journal[place : place + 8] = random.randbytes(8)
    elif kind == 3:
        name = random.choice((b"nowhere-mj", b"hostile.db", b"\xff" * 20, b""))
        total = sum(name) & 0xFFFFFFFF
        page = (0x40000000 // size + 1).to_bytes(4, "big")
        tail = struct.pack(">II", len(name), total) + bytes.fromhex("d9d505f920a163d7")
        journal += page + name + tail
    else:
        del journal[random.randrange(len(journal)) :]
    if random.randrange(2):
        seal_journal(journal)


def change_text(random: Random, image: Image, _others: Mapping[str, Image]) -> None:
    """Put what is not UTF-8, or should not be in a text, into words."""
    words = (b"river", b"tide", b"speaker", b"neural", b"m0", b"default", b"causes", b'{"', b"CREATE")
    side = _some_side(random, image)
    content = image[side]
    found = [place for word in words for place in _places(content, word)]
    if not found:
        raise UnfitError
    for _ in range(random.choice((1, 1, 3))):
        place = random.choice(found)
        bad = random.choice(_BAD_TEXT)
        content[place : place + len(bad)] = bad
    if side == "-wal":
        seal_wal(content)


def exchange_sides(random: Random, image: Image, others: Mapping[str, Image]) -> None:
    """Lose the log or journal, take another file's, or mistake one for the other."""
    kind = random.randrange(3)
    sides = [side for side in image if side]
    if kind == 0 and sides:
        del image[random.choice(sides)]
    elif kind == 1 and sides:
        side = random.choice(sides)
        image["-journal" if side == "-wal" else "-wal"] = image.pop(side)
    else:
        side, base = random.choice((("-wal", "wal"), ("-journal", "journal")))
        image[side] = bytearray(others[base][side])


def splice(random: Random, image: Image, others: Mapping[str, Image]) -> None:
    """Put a stretch of another file in the same place."""
    main = _main(image)
    other = others[random.choice(sorted(others))][""]
    size = page_size(main)
    start = random.randrange(len(main) // size) * size
    length = random.choice((1, 2, 10)) * size
    piece = other[start : start + length]
    main[start : start + len(piece)] = piece


BYTE_MUTATIONS: tuple[Callable[[Random, Image, Mapping[str, Image]], None], ...] = (
    *(flip_bits, overwrite_run, move_pages, cut_off, lengthen, change_header, change_marks),
    *(change_cells, change_record, change_links, change_freelist, change_log, change_journal),
    *(change_text, exchange_sides, splice),
)


def page_size(main: bytes | bytearray) -> int:
    """What the header says, if that can be."""
    size = int.from_bytes(main[16:18], "big")
    size = 65536 if size == 1 else size
    return size if 512 <= size <= 65536 and size & (size - 1) == 0 else 4096


def _main(image: Image) -> bytearray:
    main = image[""]
    if len(main) < 2 * page_size(main):
        raise UnfitError
    return main


def _some_side(random: Random, image: Image) -> str:
    sides = [side for side, content in image.items() if len(content) > 8]
    if not sides:
        raise UnfitError
    return random.choice(sides)


def _some_place(random: Random, content: bytearray) -> int:
    """Anywhere, or (as often) at the head of a page, where the structure is."""
    place = random.randrange(len(content))
    if random.randrange(2):
        place = min(place // 4096 * 4096 + random.randrange(64), len(content) - 1)
    return place


def _some_btree(
    random: Random, main: bytearray, kinds: tuple[int, ...] | None = _BTREE
) -> tuple[int, int, int]:
    """A b-tree page, or any page for None: where it, its head and its cell pointers start."""
    size = page_size(main)
    pages = list(range(len(main) // size))
    random.shuffle(pages)
    for page in pages:
        head = page * size + (0 if page else 100)
        if kinds is None or main[head] in kinds:
            return page * size, head, head + (12 if main[head] in _INTERIOR else 8)
    raise UnfitError


def _put_number(random: Random, content: bytearray, place: int, width: int) -> None:
    old = int.from_bytes(content[place : place + width], "big")
    values = (*_NUMBERS, *_BIG, old + 1, old - 1, old * 2, random.getrandbits(8 * width))
    value = random.choice(values) & ((1 << 8 * width) - 1)
    content[place : place + width] = value.to_bytes(width, "big")


def _places(content: bytearray, word: bytes) -> list[int]:
    places: list[int] = []
    place = content.find(word)
    while place >= 0 and len(places) < 100:
        places.append(place)
        place = content.find(word, place + 1)
    return places
