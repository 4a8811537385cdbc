"""Ways to damage a database through SQL: its schema, its rows, its full-text index."""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw

from campaigns.hostile_bases import read_image, settle_wal, write_image
from campaigns.hostile_mutations import UnfitError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from random import Random

    from campaigns.hostile_bases import Image

_ENDLESS = (
    "SELECT count(*) FROM (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"
    " SELECT x FROM c)"
)
_SLOW = "instr(zeroblob(30000000) || x'01', zeroblob(15000000) || x'02')"
_HUGE = "length(hex(zeroblob(900000000)))"

_TABLES = (
    *("memories", "skills", "architectures", "intelligences", "vectors", "reflexion_episodes"),
    *("causal_edges", "quarantine", "schema_migrations"),
)

_TRIGGERS = (
    f"CREATE TRIGGER evil AFTER INSERT ON memories BEGIN {_ENDLESS}; END",
    f"CREATE TRIGGER evil BEFORE DELETE ON causal_edges BEGIN SELECT {_SLOW}; END",
    f"CREATE TRIGGER evil AFTER UPDATE ON skills BEGIN SELECT {_HUGE}; END",
    "CREATE TRIGGER evil BEFORE INSERT ON skills BEGIN SELECT RAISE(IGNORE); END",
    "CREATE TRIGGER evil BEFORE INSERT ON memories BEGIN SELECT RAISE(ABORT, 'no'); END",
    "CREATE TRIGGER evil BEFORE INSERT ON memories BEGIN SELECT RAISE(ROLLBACK, 'no'); END",
    "CREATE TRIGGER evil AFTER INSERT ON memories BEGIN DELETE FROM skills; END",
    "CREATE TRIGGER evil AFTER INSERT ON vectors BEGIN DELETE FROM vectors; END",
    "CREATE TRIGGER evil AFTER UPDATE ON memories BEGIN"
    " UPDATE memories SET content = content || content; END",
    "CREATE TRIGGER evil AFTER INSERT ON architectures BEGIN"
    " INSERT INTO memories_fts (memories_fts) VALUES ('delete-all'); END",
    "CREATE TRIGGER evil AFTER INSERT ON memories BEGIN SELECT load_extension('evil.so'); END",
    "CREATE TRIGGER evil AFTER INSERT ON memories BEGIN UPDATE sqlite_schema SET sql = ''; END",
    "CREATE TRIGGER memories_fts_insert AFTER INSERT ON memories BEGIN SELECT 1; END",
)

_VIEWS = (
    f"CREATE VIEW {{}} AS {_ENDLESS}",
    f"CREATE VIEW {{}} AS SELECT {_SLOW} AS id",
    "CREATE VIEW {} AS SELECT * FROM {}",
    "CREATE VIEW {} AS SELECT 'default' AS namespace, 'x' AS id",
)

_OTHERS = (
    f"CREATE INDEX evil ON memories ({_SLOW})",
    f"CREATE INDEX evil ON memories (id) WHERE {_SLOW}",
    "CREATE UNIQUE INDEX evil ON memories (tier)",
    "CREATE INDEX evil ON memories (id COLLATE nowhere)",
    "CREATE INDEX evil ON memories (evil(id))",
    "CREATE TABLE evil (a, b AS (evil(a)))",
    f"CREATE TABLE evil (a CHECK ({_SLOW}))",
    "CREATE TABLE evil (a REFERENCES memories ON DELETE RESTRICT)",
    "CREATE VIRTUAL TABLE evil USING rtree(a, b, c)",
    "CREATE VIRTUAL TABLE evil USING fts5vocab(memories_fts, row)",
    "CREATE VIRTUAL TABLE evil USING nowhere(a)",
    "CREATE VIRTUAL TABLE evil USING sqlite_dbpage()",
    "CREATE TABLE evil AS SELECT 1",
    "CREATE TABLE evil (" + "(" * 5000,
    "CREATE TABLE evil (" + ", ".join(f"c{number}" for number in range(3000)) + ")",
    *("", "CREATE", "DROP TABLE memories", "SELECT 1", "CREATE TABLE", "\x00", "é" * 5000),
)

_EDITS = (
    (") STRICT", ")"),
    (") STRICT", ") STRICT, WITHOUT ROWID"),
    (") STRICT", f", CHECK ({_SLOW})) STRICT"),
    (") STRICT", ", extra TEXT) STRICT"),
    (") STRICT", ", extra INTEGER NOT NULL) STRICT"),
    (") STRICT", f", extra AS ({_SLOW}) STORED) STRICT"),
    ("content TEXT NOT NULL", f"content TEXT NOT NULL AS ({_SLOW})"),
    ("description TEXT NOT NULL", "description TEXT NOT NULL AS (name || name)"),
    ("description TEXT NOT NULL", f"description TEXT NOT NULL DEFAULT ({_SLOW})"),
    ("content TEXT NOT NULL", "content ANY"),
    ("content TEXT", "content BLOB"),
    ("id TEXT NOT NULL", "id TEXT NOT NULL COLLATE NOCASE"),
    ("CHECK (id <> '')", f"CHECK ({_SLOW})"),
    ("CHECK (id <> '')", "CHECK (0)"),
    ("CHECK (id <> '')", "CHECK (abs(-9223372036854775807 - 1))"),
    ("CHECK (id <> '')", "CHECK (id LIKE '" + "%a" * 20000 + "')"),
    ("ON DELETE CASCADE", "ON DELETE SET NULL"),
    ("ON DELETE CASCADE", ""),
    ("REFERENCES memories", "REFERENCES skills"),
    ("REFERENCES memories", "REFERENCES nowhere"),
    ("seq INTEGER PRIMARY KEY", "seq INTEGER"),
    ("UNIQUE (namespace, id)", "UNIQUE (id)"),
    ("PRIMARY KEY (namespace, id)", "PRIMARY KEY (id)"),
    ("importance DESC", "importance"),
    ("(namespace, ", "("),
    ("json_valid", "length"),
    ("id", "di"),
    ("name", "id"),
    ("namespace TEXT", "id TEXT"),
    ("content = 'memories'", "content = 'skills'"),
    ("content = 'memories'", "content = 'memories_fts'"),
    ("content = 'memories'", "content = ''"),
    ("content = 'memories'", "content = 'sqlite_schema'"),
    ("content_rowid = 'seq'", "content_rowid = 'tier'"),
    ("unicode61 remove_diacritics 2", "trigram"),
    ("unicode61 remove_diacritics 2", "porter ascii"),
    ("unicode61 remove_diacritics 2", "nowhere"),
    ("tokenize", "prefix = '1 2 3', columnsize = 0, detail = none, tokenize"),
    ("USING fts5", "USING fts4"),
    ("USING fts5 (", "USING rtree (id, "),
    ("VALUES (new.seq", "VALUES (new.seq + 1"),
    ("AFTER INSERT", "BEFORE INSERT"),
    ("id TEXT", "id INTEGER"),
    ("TEXT", "REAL"),
    ("INTEGER", "TEXT"),
)

# Statements of their own make what a bound value cannot: text that is not UTF-8.
_VALUES = (
    *("NULL", "0", "-1", "1", "13", "9223372036854775807", "-9223372036854775808", "5e-324"),
    *("9e999", "-9e999", "1e308", "-0.0", "0.5", "''", "'9'", "x''", "x'00'", "zeroblob(100000)"),
    *("CAST(x'ff' AS TEXT)", "CAST(x'c3' AS TEXT)", "CAST(x'eda080' AS TEXT)"),
    *("CAST(x'610062' AS TEXT)", "char(0x202e)", "printf('%.*c', 100000, 'a')", "'m01'", "'a0'"),
    *("'{}'", "'[]'", "'null'", "'{'", "'{\"parent\":[1,null,{}]}'", "'[1e999]'", "'\"\\ud800\"'"),
    *("printf('%.*c', 900, '[') || printf('%.*c', 900, ']')", "printf('%.*c', 100000, '[')"),
    *("'{\"a\":1}'", "'{\"a\":[\"integer\",\"AAAA\"]}'", "'{\"a\":[\"text/zip\",\"AAAA\"]}'"),
    *("'{\"id\":[\"real\",\"\"]}'", "'{\"a\":[\"text/idna\",\"//8=\"]}'", "'[[1,2],[3,4]]'"),
    *("'(' || printf('%.*c', 5000, 'a') || '+)+$'", "'(a{1000}){1000}'", "'\\'", "'default'"),
    *("X'0000c07f0000c07f'", "'omega_1'", "'; DROP TABLE memories'", "-9223372036854775807"),
)


def replace_schema(random: Random, connection: apsw.Connection) -> None:
    """Put other text, also that of a view or a trigger, in the place of something's definition."""
    names = _names(connection)
    name = random.choice(names)
    texts = (*_TRIGGERS, *_OTHERS, *(view.format(name, name) for view in _VIEWS))
    kind = random.randrange(3)
    text = random.choice(texts)
    changes = (
        "sql = :sql",
        "sql = :sql, type = 'view', rootpage = 0",
        "sql = :sql, rootpage = 0",
    )
    _run(connection, f"UPDATE sqlite_schema SET {changes[kind]} WHERE name = :name", text, name)


def edit_schema(random: Random, connection: apsw.Connection) -> None:
    """Change a few words in the definitions that have them."""
    old, new = random.choice(_EDITS)
    found = connection.execute("SELECT name FROM sqlite_schema WHERE instr(sql, ?)", (old,))
    names = [name for (name,) in found]
    if not names:
        raise UnfitError
    if random.randrange(2):
        names = [random.choice(names)]
    for name in names:
        text = "UPDATE sqlite_schema SET sql = replace(sql, :old, :new) WHERE name = :name"
        _run(connection, text, old, new, name)


def add_to_schema(random: Random, connection: apsw.Connection) -> None:
    """Add triggers, views, tables and indexes, also under false colours."""
    texts = (*_TRIGGERS, *_OTHERS, *(view.format("evil", "evil") for view in _VIEWS))
    text = random.choice(texts)
    kind = random.choice(("trigger", "view", "table", "index", "nothing", ""))
    table = random.choice((*_TABLES, "evil", "memories_fts"))
    root = random.choice((0, 0, 0, 2, 5, 9999, -1, "x"))
    row = (kind, random.choice(("evil", "memories_fts_insert", "sqlite_x")), table, root, text)
    _run(connection, "INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", *row)


def change_roots(random: Random, connection: apsw.Connection) -> None:
    """Let tables and indexes begin at wrong pages, or share one."""
    names = _names(connection)
    for _ in range(random.choice((1, 1, 2))):
        root = random.choice((0, 1, 2, -1, 2**31, random.randrange(60), "x", None))
        name = random.choice(names)
        _run(connection, "UPDATE sqlite_schema SET rootpage = ? WHERE name = ?", root, name)


def lose_schema(random: Random, connection: apsw.Connection) -> None:
    """Forget tables, indexes or triggers."""
    name = random.choice(_names(connection))
    _run(connection, "DELETE FROM sqlite_schema WHERE name = ?", name)


def change_rows(random: Random, connection: apsw.Connection) -> None:
    """Put values into rows that no rule of the schema would let in."""
    tables = [name for name in _names(connection) if name in _TABLES]
    if not tables:
        raise UnfitError
    for _ in range(random.choice((1, 1, 3))):
        table = random.choice(tables)
        columns = [name for (name,) in connection.execute(_COLUMNS, (table,))]
        if not columns:
            raise UnfitError
        rows = random.choice(("SELECT min(rowid) FROM {0}", "SELECT max(rowid) FROM {0}", _SOME))
        column, value = random.choice(columns), random.choice(_VALUES)
        where = f"rowid IN ({rows.format(table)})"
        # OR REPLACE, since half of the values stand in the way of each other.
        _run(connection, f"UPDATE OR REPLACE {table} SET {column} = {value} WHERE {where}")


def lose_rows(random: Random, connection: apsw.Connection) -> None:
    """Delete parents, or anything else, without what hangs on them."""
    tables = [name for name in _names(connection) if name in _TABLES]
    if not tables:
        raise UnfitError
    table = random.choice(tables)
    _run(connection, f"DELETE FROM {table} WHERE rowid % {random.choice((1, 2, 5))} = 0")


def change_full_text(random: Random, connection: apsw.Connection) -> None:
    """Change the tables in which the full-text index keeps its pages, sizes and settings."""
    noise = f"x'{random.randbytes(random.choice((1, 9, 40))).hex()}'"
    blob = random.choice((noise, noise, "x''", "zeroblob(100)", "NULL", "substr(block, 1, 9)"))
    changes = (
        f"UPDATE memories_fts_data SET block = {blob} WHERE id IN (SELECT id FROM memories_fts_data"
        f" ORDER BY id LIMIT 1 OFFSET {random.randrange(12)})",
        f"UPDATE memories_fts_data SET block = {blob} WHERE id = {random.choice((1, 10))}",
        f"UPDATE memories_fts_data SET block = substr(block, 1, {random.randrange(90)}) || {noise}"
        " WHERE id > 10",
        "UPDATE memories_fts_data SET id = id + 1 WHERE id > 10",
        "DELETE FROM memories_fts_data WHERE id > 10",
        "DELETE FROM memories_fts_idx",
        "UPDATE memories_fts_idx SET pgno = pgno + 2",
        f"UPDATE memories_fts_docsize SET sz = {noise}",
        "DELETE FROM memories_fts_docsize",
        f"UPDATE memories_fts_config SET v = {random.choice((0, 3, 5, 99, -1, 'NULL', 'x'))}"
        " WHERE k = 'version'".replace("= x", "= 'x'"),
        "INSERT INTO memories_fts_config VALUES ('pgsz', 2147483647), ('rank', 'evil()')",
        "INSERT INTO memories_fts_config VALUES ('automerge', -5), ('usermerge', 99999)",
        "INSERT INTO memories_fts_config VALUES ('secure-delete', 7), ('hashsize', -1)",
        "INSERT INTO memories_fts (memories_fts) VALUES ('delete-all')",
        "INSERT INTO memories_fts (rowid, content) VALUES (1, 'river again'), (-5, 'stone')",
    )
    _run(connection, random.choice(changes))


def change_steps(random: Random, connection: apsw.Connection) -> None:
    """Lie about which steps of the schema were made."""
    changes = (
        "DELETE FROM schema_migrations",
        "UPDATE schema_migrations SET digest = 'deadbeef'",
        "UPDATE schema_migrations SET digest = CAST(x'ff' AS TEXT)",
        "UPDATE schema_migrations SET version = 99",
        "UPDATE schema_migrations SET version = -1",
        "INSERT INTO schema_migrations VALUES (2, 'later', 'digest')",
        "INSERT INTO schema_migrations VALUES (0, 'earlier', 'digest')",
        "DROP TABLE schema_migrations",
        "ALTER TABLE schema_migrations RENAME TO other",
        "ALTER TABLE schema_migrations DROP COLUMN name",
        "ALTER TABLE schema_migrations RENAME COLUMN digest TO digset",
        "PRAGMA user_version = 0",
        "PRAGMA application_id = 0",
        "PRAGMA application_id = 0; PRAGMA user_version = 0",
    )
    _run(connection, random.choice(changes))


def change_statistics(random: Random, connection: apsw.Connection) -> None:
    """Mislead the query planner."""
    _run(connection, "ANALYZE")
    stat = random.choice(("", "0", "1 1 1 1", "9" * 30, "-5 x", "1000000 1 1 1 1 unordered", "é"))
    changes = (
        ("UPDATE sqlite_stat1 SET stat = ?", stat),
        ("UPDATE sqlite_stat1 SET idx = 'nowhere', stat = ?", stat),
        ("INSERT INTO sqlite_stat1 VALUES ('memories', 'memories_by_tier', ?)", stat * 50),
        ("UPDATE sqlite_stat1 SET tbl = NULL WHERE stat <> ?", stat),
    )
    _run(connection, *random.choice(changes))


SQL_MUTATIONS: tuple[Callable[[Random, apsw.Connection], None], ...] = (
    *(replace_schema, edit_schema, add_to_schema, change_roots, lose_schema, change_rows),
    *(change_rows, lose_rows, change_full_text, change_steps, change_statistics),
)


def through_sql(
    mutation: Callable[[Random, apsw.Connection], None], random: Random, image: Image, path: Path
) -> None:
    """Let SQLite open an image at a path, without any of its defences, and mutate it."""
    write_image(image, path)
    keep_log = random.randrange(2)
    try:
        kept = _loosen(path) if mutation is change_rows and random.randrange(2) else []
        connection = _open(path, keep_log=keep_log)
        try:
            mutation(random, connection)
            if kept:
                restore = "UPDATE sqlite_schema SET sql = ? WHERE rowid = ?"
                connection.executemany(restore, kept)
        finally:
            connection.close()
    except apsw.Error as error:  # another mutation was before, and this one cannot be made any more
        raise UnfitError from error
    image.clear()
    image.update(read_image(path))
    if "-wal" in image:
        settle_wal(image["-wal"])


def _loosen(path: Path) -> list[tuple[str, int]]:
    """Let any value into every column; returns the definitions as they were."""
    connection = _open(path, keep_log=0)
    try:
        found = connection.execute("SELECT sql, rowid FROM sqlite_schema WHERE type = 'table'")
        kept = [(sql, row) for sql, row in found if "VIRTUAL" not in sql]
        for sql, row in kept:
            loose = sql.replace(") STRICT", ")").replace(" NOT NULL", "")
            connection.execute("UPDATE sqlite_schema SET sql = ? WHERE rowid = ?", (loose, row))
    finally:
        connection.close()
    return kept


_COLUMNS = "SELECT name FROM pragma_table_info(?)"
_SOME = "SELECT rowid FROM {0} ORDER BY rowid % 7, rowid LIMIT 3"


def _open(path: Path, *, keep_log: int) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    connection.config(apsw.SQLITE_DBCONFIG_WRITABLE_SCHEMA, 1)
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 0)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep_log)
    connection.execute("PRAGMA ignore_check_constraints = on; PRAGMA synchronous = off").fetchall()
    return connection


def _names(connection: apsw.Connection) -> list[str]:
    found = connection.execute("SELECT name FROM sqlite_schema ORDER BY name")
    names = [name for (name,) in found if isinstance(name, str)]
    if not names:
        raise UnfitError
    return names


def _run(
    connection: apsw.Connection, sql: str, *values: apsw.SQLiteValue
) -> None:
    connection.execute(sql, values)
