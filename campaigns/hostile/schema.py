"""Ways to make a hostile database through SQL: its schema, its rows, its full-text index."""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

import apsw

from campaigns.hostile.bases import STORE, lay_out
from campaigns.hostile.mutations import UnfitError
from campaigns.recording import read_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from campaigns.hostile.bases import Image

_ENDLESS = (
    "SELECT count(*) FROM"
    " (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c)"
)
_SLOW = "instr(zeroblob(30000000) || x'01', zeroblob(15000000) || x'02')"
_HUGE = "length(hex(zeroblob(900000000)))"

_DEFINITIONS = (
    f"CREATE TRIGGER evil AFTER INSERT ON memories BEGIN {_ENDLESS}; END",
    f"CREATE TRIGGER evil BEFORE DELETE ON causal_edges BEGIN SELECT {_SLOW}; END",
    f"CREATE TRIGGER evil AFTER UPDATE ON skills BEGIN SELECT {_HUGE}; END",
    "CREATE TRIGGER evil BEFORE INSERT ON skills BEGIN SELECT RAISE(IGNORE); END",
    "CREATE TRIGGER evil BEFORE INSERT ON memories BEGIN SELECT RAISE(ROLLBACK, 'no'); END",
    "CREATE TRIGGER evil AFTER INSERT ON memories BEGIN DELETE FROM skills; END",
    "CREATE TRIGGER evil AFTER INSERT ON memories BEGIN SELECT load_extension('evil.so'); END",
    "CREATE TRIGGER evil AFTER INSERT ON memories BEGIN UPDATE sqlite_schema SET sql = ''; END",
    "CREATE TRIGGER memories_fts_insert AFTER INSERT ON memories BEGIN SELECT 1; END",
    f"CREATE VIEW evil AS {_ENDLESS}",
    f"CREATE VIEW skills AS SELECT {_SLOW} AS id",
    "CREATE VIEW skills AS SELECT * FROM skills",
    f"CREATE INDEX evil ON memories ({_SLOW})",
    f"CREATE INDEX evil ON memories (id) WHERE {_SLOW}",
    "CREATE UNIQUE INDEX evil ON memories (tier)",
    "CREATE INDEX evil ON memories (id COLLATE nowhere)",
    "CREATE TABLE evil (a, b AS (evil(a)))",
    "CREATE TABLE evil (a REFERENCES memories ON DELETE RESTRICT)",
    "CREATE VIRTUAL TABLE evil USING fts5vocab(memories_fts, row)",
    "CREATE VIRTUAL TABLE evil USING nowhere(a)",
    "CREATE TABLE evil AS SELECT 1",
    "CREATE TABLE evil (" + "(" * 5000,
    "CREATE TABLE evil (" + ", ".join(f"c{number}" for number in range(3000)) + ")",
    *("", "CREATE", "DROP TABLE memories", "\0", "é" * 5000),
)

_EDITS = (
    (") STRICT", ")"),
    (") STRICT", ") STRICT, WITHOUT ROWID"),
    (") STRICT", f", CHECK ({_SLOW})) STRICT"),
    (") STRICT", ", extra INTEGER NOT NULL) STRICT"),
    (") STRICT", f", extra AS ({_SLOW}) STORED) STRICT"),
    ("description TEXT NOT NULL", "description TEXT NOT NULL AS (name || name)"),
    ("description TEXT NOT NULL", f"description TEXT NOT NULL DEFAULT ({_SLOW})"),
    ("content TEXT NOT NULL", "content BLOB"),
    ("id TEXT NOT NULL", "id TEXT NOT NULL COLLATE NOCASE"),
    ("CHECK (id <> '')", "CHECK (0)"),
    ("CHECK (id <> '')", "CHECK (id LIKE '" + "%a" * 20000 + "')"),
    ("ON DELETE CASCADE", ""),
    ("REFERENCES memories", "REFERENCES nowhere"),
    ("seq INTEGER PRIMARY KEY", "seq INTEGER"),
    ("UNIQUE (namespace, id)", "UNIQUE (id)"),
    ("importance DESC", "importance"),
    ("id", "di"),
    ("content = 'memories'", "content = 'skills'"),
    ("content = 'memories'", "content = 'memories_fts'"),
    ("content = 'memories'", "content = ''"),
    ("content_rowid = 'seq'", "content_rowid = 'tier'"),
    ("unicode61 remove_diacritics 2", "trigram"),
    ("unicode61 remove_diacritics 2", "nowhere"),
    ("USING fts5 (", "USING rtree (id, "),
    ("VALUES (new.seq", "VALUES (new.seq + 1"),
    ("TEXT", "REAL"),
)

# Text that is not UTF-8 cannot be bound, only written so.
_VALUES: tuple[LiteralString, ...] = (
    *("NULL", "0", "-1", "13", "9223372036854775807", "-9223372036854775808", "9e999", "0.5"),
    *("''", "x''", "x'00'", "zeroblob(100000)", "CAST(x'ff' AS TEXT)", "CAST(x'eda080' AS TEXT)"),
    *("CAST(x'610062' AS TEXT)", "printf('%.*c', 100000, 'a')", "'{}'", "'[]'", "'{'", "'default'"),
    *("'{\"parent\":[1,null,{}]}'", "'[1e999]'", "'\"\\ud800\"'", "printf('%.*c', 100000, '[')"),
    *('\'{"id":["integer","AAAA"]}\'', "'(' || printf('%.*c', 5000, 'a') || '+)+$'"),
    *("'(a{1000}){1000}'", "X'0000c07f0000c07f'"),
)

_TABLES: tuple[LiteralString, ...] = (
    *("memories", "skills", "architectures", "intelligences", "vectors", "reflexion_episodes"),
    *("causal_edges", "quarantine", "schema_migrations"),
)

_FULL_TEXT: tuple[LiteralString, ...] = (
    "UPDATE memories_fts_data SET block = randomblob(0) WHERE id = 10",
    "UPDATE memories_fts_data SET block = zeroblob(length(block))",
    "UPDATE memories_fts_data SET block = substr(block, 1, length(block) / 2) WHERE id > 10",
    "UPDATE memories_fts_data SET block = block || block WHERE id > 1",
    "UPDATE memories_fts_data SET id = id + 1 WHERE id > 10",
    "DELETE FROM memories_fts_data WHERE id > 10",
    "DELETE FROM memories_fts_idx",
    "UPDATE memories_fts_docsize SET sz = x'ffffffffffffffffff'",
    "DELETE FROM memories_fts_docsize",
    "UPDATE memories_fts_config SET v = 99",
    "INSERT INTO memories_fts_config VALUES ('pgsz', 2147483647), ('rank', 'evil()')",
    "INSERT INTO memories_fts_config VALUES ('automerge', -5), ('hashsize', -1)",
    "INSERT INTO memories_fts (rowid, content) VALUES (1, 'amber again'), (-5, 'stone')",
    "ANALYZE; UPDATE sqlite_stat1 SET stat = '1 1 1 1 99999999999999999999 unordered'",
)

_MARKS: tuple[LiteralString, ...] = (
    "DELETE FROM schema_migrations",
    "UPDATE schema_migrations SET digest = CAST(x'ff' AS TEXT)",
    "UPDATE schema_migrations SET version = -1",
    "INSERT INTO schema_migrations VALUES (99, 'later', 'digest')",
    "DROP TABLE schema_migrations",
    "ALTER TABLE schema_migrations DROP COLUMN name",
    "PRAGMA user_version = 0",
    "PRAGMA application_id = 0",
    "PRAGMA application_id = 0; PRAGMA user_version = 0",
)


def define(random: Random, connection: apsw.Connection) -> None:
    """Add a trigger, view, table or index, also under false colours, or put it over another."""
    definition = random.choice(_DEFINITIONS)
    kind = definition.split(" ")[1].lower() if definition.count(" ") > 1 else "table"
    if random.random() < 0.4:
        sql = "UPDATE sqlite_schema SET sql = ?, type = ?, rootpage = 0 WHERE name = ?"
        connection.execute(sql, (definition, kind, _some_name(random, connection)))
        return
    kind = random.choice((kind, kind, "table", "index", "nothing"))
    row = (kind, "evil", random.choice(_TABLES), random.choice((0, 0, 2, 9999)), definition)
    connection.execute("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", row)


def edit(random: Random, connection: apsw.Connection) -> None:
    """Change a few words in a definition that has them."""
    old, new = random.choice(_EDITS)
    found = connection.execute("SELECT name FROM sqlite_schema WHERE instr(sql, ?)", (old,))
    names = [name for (name,) in found]
    if not names:
        raise UnfitError
    sql = "UPDATE sqlite_schema SET sql = replace(sql, ?, ?) WHERE name = ?"
    connection.execute(sql, (old, new, random.choice(names)))


def misplace(random: Random, connection: apsw.Connection) -> None:
    """Let a table or an index begin at a wrong page, or forget it."""
    name = _some_name(random, connection)
    if random.random() < 0.3:
        connection.execute("DELETE FROM sqlite_schema WHERE name = ?", (name,))
        return
    root = random.choice((0, 1, 2, -1, 2**31, random.randrange(60), "x"))
    connection.execute("UPDATE sqlite_schema SET rootpage = ? WHERE name = ?", (root, name))


def change_row(random: Random, connection: apsw.Connection) -> None:
    """Put a value into a row, or into all of them, that no rule of the schema would let in."""
    table, value = random.choice(_TABLES), random.choice(_VALUES)
    found = connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
    columns = [name for (name,) in found]
    if not columns:
        raise UnfitError
    column, some = random.choice(columns), random.choice(("1", "rowid % 5 = 0"))
    sql = f"UPDATE OR REPLACE {table} SET {column} = {value} WHERE {some}"
    if random.random() < 0.5:
        connection.execute(sql)
        return
    definition = "UPDATE sqlite_schema SET sql = ? WHERE name = ?"
    tight = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (table,)).get
    loose = str(tight).replace(") STRICT", ")").replace(" NOT NULL", "")
    connection.execute(definition, (loose, table))
    connection.execute("PRAGMA writable_schema = RESET")  # reads it again
    try:
        connection.execute(sql)
    finally:
        connection.config(apsw.SQLITE_DBCONFIG_WRITABLE_SCHEMA, 1)
        connection.execute(definition, (tight, table))


def change_index(random: Random, connection: apsw.Connection) -> None:
    """Change the tables in which the full-text index keeps its pages, sizes and settings."""
    connection.execute(random.choice(_FULL_TEXT))


def change_marks(random: Random, connection: apsw.Connection) -> None:
    """Lie about whose file it is, and which steps of the schema were made."""
    connection.execute(random.choice(_MARKS))


def _some_name(random: Random, connection: apsw.Connection) -> str:
    found = connection.execute("SELECT name FROM sqlite_schema ORDER BY name")
    names = [name for (name,) in found if isinstance(name, str)]
    if not names:
        raise UnfitError
    return random.choice(names)


_CHANGES: tuple[Callable[[Random, apsw.Connection], None], ...] = (
    *(define, define, edit, edit, misplace, change_row, change_row, change_index, change_marks),
)


def through_sql(random: Random, image: Image, folder: str) -> None:
    """Let SQLite open an image in a folder, with none of its defences, and change it."""
    try:
        connection = apsw.Connection(lay_out(image, folder))
        try:
            connection.limit(apsw.SQLITE_LIMIT_LENGTH, 1_000_000)  # what is slow is not for here
            connection.config(apsw.SQLITE_DBCONFIG_WRITABLE_SCHEMA, 1)
            connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 0)
            connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
            connection.execute("PRAGMA ignore_check_constraints = on; PRAGMA synchronous = off")
            random.choice(_CHANGES)(random, connection)
        finally:
            connection.close()
        changed = read_folder(folder)
    except (apsw.Error, UnicodeDecodeError) as error:  # after another change this one is impossible
        raise UnfitError from error
    except MemoryError as error:  # a damaged file may be made to grow without bound
        raise UnfitError from error
    image.clear()
    image[STORE] = bytearray(changed[STORE])
