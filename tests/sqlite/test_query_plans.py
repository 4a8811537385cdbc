"""How SQLite finds the rows of every statement, pinned in query_plans.txt.

A lost index, a sort that appears, or a statement that nobody has looked at is a red test. Accept a
change by copying the file that the failing test names over query_plans.txt; a statement that walks
a whole table or sorts must be given a reason there, in a line that starts with ``#``.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString

import apsw
import pytest

import omega_persistence
from omega_persistence import OmegaStore
from omega_persistence.backends.sqlite import batches
from omega_persistence.backends.sqlite.session import SQLiteSession
from sqlite.every_statement import do_everything, fill
from sqlite.support import execute

if TYPE_CHECKING:
    from collections.abc import Iterator

LIST = Path(__file__).with_name("query_plans.txt")

# These look at the whole file, once in its life or when they are asked to.
OF_THE_WHOLE_FILE = {"legacy", "schema", "layout", "inspection", "checksums", "reindexing"}
A_PROGRAM = {"__main__"}  # importing it would start it

STATEMENT = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH|AND|WHERE|ORDER BY)\b")
NOT_PLANNED = re.compile(r"PRAGMA|BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|SELECT 1 FROM sqlite_")
COSTLY = re.compile(r"SCAN (?!CONSTANT ROW|json_each)|TEMP B-TREE")  # rows given


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> dict[str, None]:
    """The statements that sessions execute during the test."""
    found: dict[str, None] = {}

    def watch(name: str) -> None:
        execute = getattr(SQLiteSession, name)

        def watched(session: SQLiteSession, sql: LiteralString, /, *args: Any, **more: Any) -> Any:
            if not NOT_PLANNED.match(sql):
                found[one_line(sql)] = None
                if name == "run_together":
                    found[one_line(batches.statement(sql, 2))] = None
            return execute(session, sql, *args, **more)

        monkeypatch.setattr(SQLiteSession, name, watched)

    for name in ("rows", "row", "run_many", "run_together"):
        watch(name)
    return found


def one_line(sql: str) -> str:
    return " ".join(sql.split())


def short(sql: str, store: OmegaStore) -> str:
    """A statement without the columns of its records, which say nothing about its plan."""
    for collection in store.all():
        columns = ", ".join(collection.table.fields)
        sql = sql.replace(f"SELECT {columns} FROM", "SELECT .. FROM")
    sql = re.sub(r"SELECT coalesce\(octet_length.* FROM", "SELECT octet_length(..) FROM", sql)
    return re.sub(r"(INSERT INTO \w+) .* VALUES .*(ON CONFLICT .*) SET .*", r"\1 .. \2 SET ..", sql)


def together(plans: dict[str, list[str]], store: OmegaStore) -> dict[str, list[str]]:
    """The same, where what several tables have in common is said once, of ``{table}``."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for statement, lines in plans.items():
        names = [each.table.name for each in store.all() if each.table.name in statement]
        told = "\n".join((statement, *lines))
        for name in names[:1]:
            told = re.sub(rf"(\b|(?<=index_)){name}", "{table}", told)
        alike.setdefault(tuple(told.split("\n")), []).append(statement)
    common = {key[0]: list(key[1:]) for key, statements in alike.items() if len(statements) > 1}
    rest = [statements[0] for statements in alike.values() if len(statements) == 1]
    return common | {statement: plans[statement] for statement in rest}


def plan(connection: apsw.Connection, sql: str) -> list[str]:
    """The lines of a plan, indented by their depth."""
    depths = {0: 0}
    lines: list[str] = []
    values = dict.fromkeys(re.findall(r":(\w+)", sql)) or (None,) * sql.count("?")
    for id, parent, _, detail in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values):
        depths[id] = depths[parent] + 1
        if "-ROW VALUES CLAUSE" not in detail:  # those of a batch
            lines.append("    " * depths[id] + detail)
    if "ORDER BY" not in sql and "GROUP BY" not in sql:
        # Every index begins with the namespace, so any one of them does to find all of it.
        lines = [re.sub(r"INDEX \w+ (\(namespace=\?\))", r"INDEX * \1", each) for each in lines]
    return lines


def written() -> dict[str, tuple[list[str], list[str]]]:
    """Statement -> (reasons, plan), as the list has them."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    for block in LIST.read_text().split("\n\n")[1:]:
        statement, *rest = block.strip("\n").split("\n")
        reasons = [each for each in rest if each.startswith("#")]
        found[statement] = reasons, [each for each in rest if not each.startswith("#")]
    return found


@pytest.mark.parametrize("analysed", [False, True])
def test_every_statement_has_the_plan_that_is_written_down(
    analysed: bool, executed: dict[str, None], tmp_path: Path
) -> None:
    expected = written()
    with OmegaStore(tmp_path / "store.db") as store:
        fill(store, 200)
        executed.clear()  # what creates the tables has no plan
        do_everything(store, tmp_path)
        connection = apsw.Connection(str(tmp_path / "store.db"))
        if analysed:
            connection.execute("ANALYZE")
        plans = {short(sql, store): plan(connection, sql) for sql in sorted(executed)}
        plans = together(plans, store)
        connection.close()
    proposal = LIST.read_text().split("\n\n")[0].rstrip()
    for statement, lines in plans.items():
        reasons = expected[statement][0] if statement in expected else []
        proposal += "\n\n" + "\n".join((statement, *reasons, *lines))
    (tmp_path / "query_plans.txt").write_text(proposal + "\n")
    found = {statement: lines for statement, (_, lines) in expected.items()}
    assert plans == found, f"see {tmp_path / 'query_plans.txt'}"


def test_a_statement_that_walks_a_table_or_sorts_has_a_reason() -> None:
    for statement, (reasons, lines) in written().items():
        costly = [each for each in lines if COSTLY.search(each)]
        assert bool(reasons) == bool(costly), (statement, costly)


def test_every_constant_and_every_statement_of_a_table_was_looked_at(
    executed: dict[str, None], tmp_path: Path
) -> None:
    with OmegaStore(tmp_path / "store.db") as store:
        fill(store, 100)
        do_everything(store, tmp_path)
        known = [*constants(), *derived(store)]
    assert len(known) > 80
    unseen = [name for name, sql in known if not any(one_line(sql) in each for each in executed)]
    assert unseen == [], "call what executes them in every_statement.py"


def constants() -> Iterator[tuple[str, str]]:
    """Every constant of the library that is SQL, or the end of some."""
    for info in pkgutil.walk_packages(omega_persistence.__path__, "omega_persistence."):
        if info.name.rpartition(".")[2] in OF_THE_WHOLE_FILE | A_PROGRAM:
            continue
        for name, value in vars(importlib.import_module(info.name)).items():
            if isinstance(value, str) and STATEMENT.match(value):
                yield f"{info.name}.{name}", value


def derived(store: OmegaStore) -> Iterator[tuple[str, str]]:
    """Every statement that a table derives from its record."""
    for collection in store.all():
        table = collection.table
        for name in {*vars(table), *vars(type(table))}:
            if name == "count_expired" and not table.expires:
                continue
            value = getattr(table, name)
            if isinstance(value, str) and STATEMENT.match(value):
                yield f"{table.name}.{name}", value


def test_every_foreign_key_is_found_by_an_index(tmp_path: Path) -> None:
    """Deleting a parent looks for its children, which no plan shows."""
    path = tmp_path / "store.db"
    OmegaStore(path).close()
    keys = execute(
        path,
        """
        SELECT tables.name, fk.id, group_concat(fk."from", ',' ORDER BY fk.seq)
        FROM sqlite_schema AS tables, pragma_foreign_key_list(tables.name) AS fk
        WHERE tables.type = 'table' GROUP BY 1, 2""",
    )
    assert len(keys) >= 5
    for table, _, columns in keys:
        indexes = execute(
            path,
            """
            SELECT group_concat(info.name, ',' ORDER BY info.seqno)
            FROM pragma_index_list(?) AS list, pragma_index_info(list.name) AS info
            WHERE NOT list.partial GROUP BY list.name""",
            table,
        )
        if columns != "seq":  # the primary key
            assert any(f"{index},".startswith(f"{columns},") for (index,) in indexes), table
