"""The files that the hostile-files campaign damages: made by the library, equal in every run."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
from array import array
from base64 import b64encode
from pathlib import Path

import apsw
from msgspec.structs import replace

from omega_persistence import (
    OmegaStore,
    StoredArchitecture,
    StoredCausalEdge,
    StoredIntelligence,
    StoredMemory,
    StoredReflexionEpisode,
    StoredSkill,
    StoredVector,
)

Image = dict[str, bytearray]
"""A database at rest: what stands in the file (``""``) and beside it (``"-wal"``, ...)."""

SIDES = ("", "-wal", "-journal")

REFERENCE = Path(__file__).parents[1] / "tests" / "formats" / "legacy-small.db"
"""A file that the Rust crate wrote, with edge cases of every kind."""

WAL_HEADER, WAL_FRAME = 32, 24
_WAL_SALTS = b"hostile!"
_JOURNAL_NONCE = b"host"
_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")


def build(folder: Path) -> dict[str, Image]:
    """Every base by name. The same bytes each time: what SQLite draws at random is replaced."""
    names = ("store", "wal", "journal", "backup", "reference", "quarantine")
    paths = {name: folder / f"{name}.db" for name in names}
    with OmegaStore(paths["store"], durability="normal") as store:
        fill(store)
        store.backup(paths["backup"])
    for name in ("wal", "journal"):
        _leave_behind(name, paths[name])
    shutil.copyfile(REFERENCE, paths["reference"])
    shutil.copyfile(REFERENCE, paths["quarantine"])
    with OmegaStore(paths["quarantine"], durability="normal") as store:
        store.compact()
    images = {name: read_image(path) for name, path in paths.items()}
    settle_wal(images["wal"]["-wal"])
    _settle_journal(images["journal"]["-journal"])
    return images


def read_image(path: Path) -> Image:
    """What stands in a database that nobody has open, and beside it."""
    found = {side: Path(f"{path}{side}") for side in SIDES}
    return {side: bytearray(file.read_bytes()) for side, file in found.items() if file.exists()}


def write_image(image: Image, path: Path) -> None:
    """Put an image where SQLite will find it; whatever was there is gone."""
    for side in (*SIDES, "-shm"):
        Path(f"{path}{side}").unlink(missing_ok=True)
    for side, content in image.items():
        Path(f"{path}{side}").write_bytes(content)


# ------------------------------------------------------------------------------------ the content


def fill(store: OmegaStore) -> None:
    """A few records of every kind in two namespaces, an expired one, and rows in quarantine."""
    for place in (store, store.in_namespace("other")):
        with place.transaction() as tx:
            tx.memories.put_many(_memories())
            tx.skills.put_many(_skills())
            tx.architectures.put_many(_architectures())
            tx.intelligences.put_many(_intelligences())
            tx.vectors.put_many(_vectors())
            tx.reflexion_episodes.put_many(_episodes())
            tx.causal_edges.put_many(_edges())
    store.import_jsonl(io.BytesIO(_quarantined()))


def _memories() -> list[StoredMemory]:
    words = "river stone lantern quiet harbour été 東京 Straße winter signal".split()
    return [
        StoredMemory(
            id=f"m{number:02}",
            # Two of them are longer than a page.
            content=" ".join(words[number % 7 :]) + " tide" * (2000 if number % 9 == 8 else number),
            tier=number % 12 + 1,
            importance=number / 20,
            embedding_blob=bytes(range(number)) if number % 3 else None,
            created_at=1000 + number,
            last_accessed=2000 + number,
            session=f"s{number % 3}" if number % 2 else None,
            keywords="speaker tag",
            metadata_json='{"n":[1,{"deep":null}]}' if number % 4 else None,
            expires_at=5000 if number == 15 else None,
            access_count=number,
        )
        for number in range(20)
    ]


def _skills() -> list[StoredSkill]:
    patterns = ("review.*code", "(a+)+$", "plain words", "(?=no re2)", "deploy|release", "ÉTÉ 100%")
    return [
        StoredSkill(
            id=f"k{number}",
            name=f"skill {number}",
            description="does it",
            trigger_pattern=pattern,
            success_count=number,
            last_used=3000 + number if number else None,
            created_at=1000,
        )
        for number, pattern in enumerate(patterns)
    ]


def _architectures() -> list[StoredArchitecture]:
    return [
        StoredArchitecture(
            id=f"a{number}",
            name="mind",
            paradigm="neural" if number % 2 else "symbolic",
            substrate="pytorch",
            fitness_json='{"score":0.5}',
            lineage_json=json.dumps({"parent": f"a{number - 1}"}) if number else "{}",
            created_at=1000 + number,
        )
        for number in range(4)
    ]


def _intelligences() -> list[StoredIntelligence]:
    return [
        StoredIntelligence(
            id=f"i{number}",
            name="agent",
            arch_id=f"a{number % 2}",
            maturity=number / 4,
            capabilities_json='["plan"]',
            memories_json='["m01","m02"]',
            state_json="null",
            created_at=1000,
            updated_at=1000,
        )
        for number in range(4)
    ]


def _vectors() -> list[StoredVector]:
    return [
        StoredVector(
            id=f"v{number}",
            memory_id=f"m{number:02}",
            dimensions=8,
            data_blob=struct.pack("<8f", *range(number, number + 8)),
            space="model" if number % 2 else "",
        )
        for number in range(8)
    ]


def _episodes() -> list[StoredReflexionEpisode]:
    return [
        StoredReflexionEpisode(
            id=f"e{number}",
            memory_id=f"m{number % 3:02}",
            trigger="failure",
            context="context",
            action="retry",
            outcome="success",
            created_at=1000 + number,
            reward=number / 2,
        )
        for number in range(5)
    ]


def _edges() -> list[StoredCausalEdge]:
    return [
        StoredCausalEdge(
            id=f"c{number}",
            from_memory=f"m{number:02}",
            to_memory=f"m{(number + 1) % 6:02}",
            weight=number - 2.5,
            edge_type="causes",
            created_at=1000,
        )
        for number in range(6)
    ]


def _quarantined() -> bytes:
    raw = {
        "id": ("text", b"bad \xff"),
        "tier": ("integer", struct.pack("<q", 99)),
        "importance": ("real", struct.pack("<d", float("inf"))),
        "embedding_blob": ("null", b""),
    }
    encoded = {column: (kind, b64encode(value).decode()) for column, (kind, value) in raw.items()}
    lines = [
        {"format": "omega-persistence", "version": 1, "schema": 1},
        *(
            {"kind": "quarantine", "record": {"table": "memories", "raw": encoded, "reason": why}}
            for why in ("not text", "not a tier")
        ),
        {"kind": "end", "counts": {"quarantine": 2}},
    ]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


# --------------------------------------------------------------------- what a killed process leaves


def _leave_behind(what: str, path: Path) -> None:
    """Have a process write and be killed, so that its log or its rollback journal stays."""
    code = f"from campaigns.hostile_bases import be_killed; be_killed({what!r}, {str(path)!r})"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    if ended.returncode != -signal.SIGKILL:
        message = f"the process that was to be killed ended with {ended.returncode}"
        raise RuntimeError(message)


def be_killed(what: str, path: str) -> None:
    """Write, and die in the midst of it. Runs in a process of its own."""
    if what == "wal":
        store = OmegaStore(path, durability="normal")
        fill(store)
        late = replace(_memories()[0], id="late", content="late words", importance=1.0)
        store.memories.put(late)
        store.memories.delete("m03")
    else:
        with OmegaStore(path, journal="truncate", durability="normal") as store:
            fill(store)
        connection = apsw.Connection(path)
        # With so small a cache changed pages go to the file before the commit.
        connection.execute("PRAGMA journal_mode = truncate; PRAGMA cache_size = 2").fetchall()
        connection.execute("BEGIN IMMEDIATE; UPDATE memories SET content = 'never ' || content")
        connection.execute("UPDATE skills SET description = 'never'; DELETE FROM causal_edges")
    os.kill(os.getpid(), signal.SIGKILL)


# ------------------------------------------------------------------------- checksums of both formats


def wal_frames(wal: bytes | bytearray) -> tuple[int, int]:
    """The page size that a log names, and how many whole frames it holds."""
    page = int.from_bytes(wal[8:12], "big") or 65536
    return page, max(0, len(wal) - WAL_HEADER) // (WAL_FRAME + page)


def seal_wal(wal: bytearray) -> None:
    """Make every checksum of a log right, and every salt that of its header."""
    if len(wal) < WAL_HEADER:
        return
    page, frames = wal_frames(wal)
    order = "big" if wal[3] & 1 else "little"
    sums = _wal_sums((0, 0), wal[:24], order)
    wal[24:32] = struct.pack(">II", *sums)
    for frame in range(frames):
        start = WAL_HEADER + frame * (WAL_FRAME + page)
        wal[start + 8 : start + 16] = wal[16:24]
        content = wal[start : start + 8] + wal[start + WAL_FRAME : start + WAL_FRAME + page]
        sums = _wal_sums(sums, content, order)
        wal[start + 16 : start + 24] = struct.pack(">II", *sums)


def _wal_sums(sums: tuple[int, int], content: bytearray, order: str) -> tuple[int, int]:
    words = array("I", bytes(content[: len(content) // 8 * 8]))
    if order != sys.byteorder:
        words.byteswap()
    one, two = sums
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + two) & 0xFFFFFFFF
        two = (two + second + one) & 0xFFFFFFFF
    return one, two


def journal_parts(journal: bytes | bytearray) -> list[tuple[int, int, int, int]]:
    """The parts of a rollback journal: (where its header is, pages in it, page size, sector)."""
    parts: list[tuple[int, int, int, int]] = []
    start = 0
    while journal[start : start + 8] == _JOURNAL_MAGIC and len(journal) >= start + 28:
        count, _, _, sector, page = struct.unpack(">IIIII", journal[start + 8 : start + 28])
        if not 512 <= page <= 65536 or not 32 <= sector <= 65536:
            break
        fitting = max(0, len(journal) - start - sector) // (page + 8)
        parts.append((start, min(count, fitting), page, sector))
        end = start + sector + min(count, fitting) * (page + 8)
        start = -(-end // sector) * sector
    return parts


def seal_journal(journal: bytearray) -> None:
    """Make the checksum of every page in a rollback journal right."""
    for header, count, page, sector in journal_parts(journal):
        nonce = int.from_bytes(journal[header + 12 : header + 16], "big")
        for record in range(count):
            start = header + sector + record * (page + 8) + 4
            total = nonce + sum(journal[start + place] for place in range(page - 200, 0, -200))
            journal[start + page : start + page + 4] = struct.pack(">I", total & 0xFFFFFFFF)


def settle_wal(wal: bytearray) -> None:
    """Replace the salts, which SQLite draws at random."""
    wal[16:24] = _WAL_SALTS
    seal_wal(wal)


def _settle_journal(journal: bytearray) -> None:
    """Replace the nonces, which SQLite draws at random, and cut off what was never synced."""
    end = 0
    for header, count, page, sector in journal_parts(journal):
        journal[header + 12 : header + 16] = _JOURNAL_NONCE
        end = header + sector + count * (page + 8)
    del journal[end:]
    seal_journal(journal)
