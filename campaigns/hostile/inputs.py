"""The kinds of hostile input: each is one or a few calls on a store, with an answer to compare."""

from __future__ import annotations

import io
import json
import os
import shutil
from contextlib import chdir
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict, astuple, replace

from campaigns.hostile.calls import CONTENT, FLAT, LOOKS, NEW, READS, WRITES, call
from campaigns.hostile.exercise import REFUSED
from campaigns.hostile.values import JSON, NUMBERS, PATTERNS, QUERIES, TEXTS, VALUES, shown
from omega_persistence import OmegaStore
from omega_persistence.entities.skills import fold

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from campaigns.hostile.trial import Trial

_CALLS = {
    name: arguments for name, arguments in {**READS, **LOOKS, **WRITES, **FLAT}.items() if arguments
}
_SEVERAL = {"records", "ids", "numbers", "items"}
_OF_MANY_TYPES = {*_SEVERAL, "query", "vector", "explain"}  # any array of numbers; any truth
_OPTIONAL = {"limit", "at", "timestamp"}
_OPTIONAL_OF = {
    *(("recall", "text"), ("recall", "space"), ("vectors.nearest", "space")),
    ("vectors.reembed", "from_space"),
}
_PLAIN = {str, int, float, bytes, type(None)}


def argument(trial: Trial, random: Random) -> None:
    """A method with one argument exchanged: what is taken is of the argument's type."""
    name, arguments = random.choice(list(_CALLS.items()))
    changed = random.choice(list(arguments))
    value: object = random.choice((*VALUES, *QUERIES))
    example: object = arguments[changed]
    what = f"{name}({changed}={shown(value)})"
    given = {**arguments, changed: value}
    done = trial.attempt(what, lambda: call(trial.store, name, given), python=changed in _SEVERAL)
    if done is REFUSED or changed in _OF_MANY_TYPES:
        return
    if value is None and (changed in _OPTIONAL or (name, changed) in _OPTIONAL_OF):
        return
    kind = float if isinstance(example, float) else int if example is None else type(example)
    fits = isinstance(value, kind) or (kind is float and isinstance(value, int))
    if not fits or isinstance(value, bool):
        trial.find("inexact", what, "a value of another type was taken")


def record(trial: Trial, random: Random) -> None:
    """A record with some fields exchanged: it comes back as it was put, or nothing is changed."""
    table = random.choice(list(NEW))
    fields = asdict(NEW[table])
    for name in random.sample(list(fields), random.choice((1, 1, 2, 4))):
        fields[name] = random.choice((*VALUES, *JSON, *PATTERNS))
    what = f"{table}.put { {name: shown(value) for name, value in fields.items()} }"
    made: Any = trial.attempt(f"make {what}", lambda: type(NEW[table])(**fields))
    if made is REFUSED:
        return
    kind = random.choice((_alone, _in_a_batch, _in_a_transaction))
    if trial.attempt(f"{kind.__name__} {what}", lambda: kind(trial.store, table, made)) is REFUSED:
        return
    got = trial.attempt(f"get after {what}", lambda: getattr(trial.store, table).get(made.id))
    if got is REFUSED and getattr(made, "expires_at", None) is not None:
        trial.attempt("purge", trial.store.memories.purge_expired)
        return
    if got != made or not {type(value) for value in astuple(got)} <= _PLAIN or _has_flag(made):
        trial.find("inexact", what, f"it came back as {got!r:.300}")
    trial.attempt(f"delete after {what}", lambda: getattr(trial.store, table).delete(made.id))


def _alone(store: OmegaStore, table: str, made: Any) -> None:
    getattr(store, table).put(made)


def _in_a_batch(store: OmegaStore, table: str, made: Any) -> None:
    others = [replace(each) for each in CONTENT[table]]
    fresh = {"name": "fresh"} if hasattr(made, "name") else {}
    getattr(store, table).put_many([replace(others[0], id="fresh", **fresh), made, *others])
    getattr(store, table).delete("fresh")


def _in_a_transaction(store: OmegaStore, table: str, made: Any) -> None:
    with store.transaction() as tx:
        tx.memories.touch(CONTENT["memories"][0].id, 10**10)
        getattr(tx, table).put(made)


def _has_flag(made: Any) -> bool:
    return any(isinstance(value, bool) for value in astuple(made))


def query(trial: Trial, random: Random) -> None:
    """A text to search for: syntax means nothing, and neither do the wildcards of LIKE."""
    pieces = (*QUERIES, *TEXTS[:-1], *PATTERNS, " ", " amber ")
    text = "".join(random.choices(pieces, k=random.choice((1, 1, 2, 5))))
    what = shown(text)
    hits = trial.attempt(f"search {what}", lambda: trial.store.memories.search(text))
    words = "".join(c if c.isalnum() or c == "_" else " " for c in text)
    plain = trial.attempt(f"search words of {what}", lambda: trial.store.memories.search(words))
    if hits is REFUSED or plain is REFUSED:
        trial.find("inexact", f"search {what}", "any text is a query, but it was refused")
    elif "\u0301" not in text and [hit.memory for hit in hits] != [hit.memory for hit in plain]:
        trial.find("inexact", f"search {what}", "its words alone find something else")
    skills = trial.store.skills
    if trial.attempt(f"triggered_by {what}", lambda: skills.triggered_by(text)) is REFUSED:
        trial.find("inexact", f"triggered_by {what}", "any text is one, but it was refused")
    short = random.choice((text, text[:2]))
    found = trial.attempt(
        f"by_pattern {shown(short)}", lambda: skills.by_pattern(short, limit=None)
    )
    if found is not REFUSED:
        wanted = {skill.id for skill in skills if fold(short) in fold(skill.trigger_pattern)}
        if {skill.id for skill in found} != wanted:
            trial.find("inexact", f"by_pattern {shown(short)}", f"expected {sorted(wanted)}")


def pattern(trial: Trial, random: Random) -> None:
    """A trigger pattern that takes others for ever, on a long text."""
    text = random.choice((*PATTERNS, *QUERIES, *TEXTS[:-1]))
    skill = replace(NEW["skills"], id="pattern", name="pattern", trigger_pattern=text)
    long = "".join(random.choices("xya ", k=20_000)) + "a" * 20_000 + "b"
    if trial.attempt(f"put pattern {shown(text)}", lambda: trial.store.skills.put(skill)) is None:
        trial.attempt(f"trigger {shown(text)}", lambda: trial.store.skills.triggered_by(long))
        trial.attempt("delete it", lambda: trial.store.skills.delete("pattern"))


def option(trial: Trial, random: Random) -> None:
    """An option of the store itself."""
    names = ("namespace", "durability", "journal", "busy_timeout")
    name, value = random.choice(names), random.choice(VALUES)
    path = os.path.join(trial.folder, "options.db")
    trial.attempt(
        f"OmegaStore({name}={shown(value)})", lambda: OmegaStore(path, **{name: value}).close()
    )


def path(trial: Trial, random: Random) -> None:
    """A path, for everything that takes one: the files that were there stay as they are."""
    folder = os.path.join(trial.folder, "paths")
    good = _lay_out(trial, folder)
    inside = [f"{folder}/{name}" for name in (*os.listdir(folder), *_NAMES)]
    own = [trial.path + side for side in ("", "-wal", "-shm", "-journal")]
    where: Any = random.choice((*inside, *inside, *own, *_PATHS, *VALUES))
    store = trial.store
    calls: dict[str, Callable[[], object]] = {
        "open": lambda: OmegaStore(where, busy_timeout=0.1).close(),
        "open to read": lambda: OmegaStore(where, busy_timeout=0.1, read_only=True).close(),
        "back up": lambda: store.backup(where),
        "export": lambda: store.export_jsonl(where),
        "verify": lambda: OmegaStore.verify_backup(where),
        "rehearse": lambda: OmegaStore.rehearse_migration(where),
        "restore to": lambda: OmegaStore.restore(good, where),
        "restore from": lambda: OmegaStore.restore(where, f"{folder}/restored.db"),
    }
    name = random.choice(list(calls))
    before = _plain_files(folder)
    with chdir(folder):  # where a path that is only a name belongs
        trial.attempt(f"{name} {shown(where)}", calls[name], system=True)
    after = _plain_files(folder)
    kept = all(after.get(each) == content for each, content in before.items())
    if name != "open" and not kept:  # an empty file may become a store
        trial.find("half done", f"{name} {shown(where)}", "a file that was there has changed")
    if any(each.endswith((".partial", "-journal")) for each in after):
        trial.find("half done", f"{name} {shown(where)}", f"it left {sorted(after)}")


_NAMES = (
    *("new.db", "missing/new.db", "notes.txt/new.db", "new.db-wal", "a?b#c%20.db", "line\nfeed.db"),
    *("\udcff.db", "x" * 255, "x" * 256, "x" * 5000, "x" * 248 + ".db", "../store.db", "new.db\0"),
)
_PATHS = ("/", "//", ".", "/dev/null", "/dev/full", "/proc/self/nothing", "file:x?mode=memory")


def _lay_out(trial: Trial, folder: str) -> str:
    """A folder with a bit of everything; returns the path of a good backup in it."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.join(folder, "folder"))
    for name, content in {"notes.txt": b"Dear diary\n" * 50, "empty.db": b""}.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(content)
    for name, target in {"dangling": "gone.db", "loop": "loop", "own": trial.path}.items():
        os.symlink(target, os.path.join(folder, name))
    os.link(trial.path, os.path.join(folder, "own too"))
    os.mkfifo(os.path.join(folder, "pipe"))
    good = os.path.join(folder, "good.db")
    trial.store.backup(good, verify=False)
    return good


def _plain_files(folder: str) -> dict[str, bytes]:
    """What stands in a folder's files; never in those that the store has open."""
    found: dict[str, bytes] = {}
    for entry in os.scandir(folder):
        if entry.is_file(follow_symlinks=False) and entry.stat().st_nlink == 1:
            with open(entry.path, "rb") as file:
                found[entry.name] = file.read()
    return found


def lines(trial: Trial, random: Random) -> None:
    """An import of an export that was cut, mixed up or altered."""
    exported = io.BytesIO()
    trial.store.export_jsonl(exported, all_namespaces=True)
    changed = exported.getvalue().splitlines(keepends=True)
    for _ in range(random.choice((1, 1, 2, 5))):
        _change(random, changed)
    options: dict[str, Any] = {
        "on_conflict": random.choice(("error", "skip", "update", random.choice(TEXTS))),
        "dry_run": random.random() < 0.3,
        "into": random.choice((None, None, "elsewhere", random.choice(TEXTS))),
    }
    source, before = io.BytesIO(b"".join(changed)), trial.state()
    done = trial.attempt("import", lambda: trial.store.import_jsonl(source, **options))
    if done is not REFUSED and options["dry_run"] and trial.state() != before:
        trial.find("half done", "import", "a dry run changed the store")
    for namespace in set(trial.store.namespaces()) - {"default"}:  # else it doubles each time
        trial.attempt("delete", partial(trial.store.delete_namespace, namespace))


def _change(random: Random, lines: list[bytes]) -> None:
    if not lines:
        return
    place, kind = random.randrange(len(lines)), random.randrange(8)
    line = lines[place]
    if kind == 0:
        del lines[place]
    elif kind == 1:
        lines.insert(random.randrange(len(lines)), line)
    elif kind == 2:
        lines[place] = line[: random.randrange(len(line) + 1)]
    elif kind == 3:
        lines[place] = line.replace(line[-9:-8], bytes([random.randrange(256)]))
    elif kind == 4:
        lines.insert(place, random.choice(JSON).encode("utf-8", "surrogatepass") + b"\n")
    else:
        lines[place] = _changed_value(random, line)


def _changed_value(random: Random, line: bytes) -> bytes:
    """The line with another value in a field of its record, or around it."""
    try:
        whole = json.loads(line)
        inner = random.choice((whole, whole["record"], whole["record"]))
        numbers = [number for number in NUMBERS if type(number) in {int, float, bool}]
        value: object = random.choice((*TEXTS[:-1], *JSON, *numbers, None, [[1]], {"a": 1}))
        inner[random.choice([*inner, "more"])] = value
        return json.dumps(whole).encode() + b"\n"
    except (ValueError, KeyError, TypeError, RecursionError):  # it is no record's any more
        return b"null\n"


KINDS: tuple[Callable[[Trial, Random], None], ...] = (
    *(argument,) * 6,
    *(record,) * 6,
    *(query,) * 2,
    pattern,
    option,
    *(path,) * 2,
    lines,
)
