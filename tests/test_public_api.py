"""What users may import, and what importing it costs."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from importlib.resources import files
from typing import get_type_hints

import pytest
from msgspec import Struct

import omega_persistence
from omega_persistence import OmegaStore, Snapshot, StorageError, Transaction, errors
from omega_persistence.entities.base import Collection

PUBLIC = [
    *("BackendError", "BusyError", "ClosedError", "ConflictError", "CorruptionError"),
    *("DatabaseStatistics", "Embedder", "Explanation", "Hit", "ImportReport"),
    *("InvalidDataError", "Migration", "NearMiss", "NotFoundError", "Note", "OmegaStore"),
    *("OnConflict", "OnDuplicate", "Parts", "Problem", "Progress", "QuarantinedRow"),
    *("SchemaError", "SearchHit", "Snapshot", "StorageError", "StorageFullError"),
    *("StoredArchitecture", "StoredCausalEdge", "StoredIntelligence", "StoredMemory"),
    *("StoredReflexionEpisode", "StoredSkill", "StoredVector", "Tier", "Transaction"),
    *("TransactionError", "UnsupportedError", "VectorHit", "Weights"),
]


STORE = {
    *("all", "backup", "check", "close", "compact", "delete_namespace", "delete_quarantined"),
    *("doctor", "export_jsonl", "import_jsonl", "in_namespace", "namespaces", "new_in_memory"),
    *("optimize", "quarantine", "recall", "rehearse_migration", "remember", "remember_many"),
    *("reindex", "restore", "snapshot", "statistics", "transaction", "verify_backup"),
}

IMPORTED = """
import sys
before = set(sys.modules)
import omega_persistence
print(*sorted({name.partition(".")[0] for name in sys.modules.keys() - before}))
"""

USED = """
import sys
before = set(sys.modules)
from omega_persistence import OmegaStore, StoredMemory
with OmegaStore(":memory:") as store:
    store.memories.put(StoredMemory(id="m", content="one word", tier=1, importance=0.5))
    assert store.memories.search("word")[0].memory == store.memories.get("m")
    store.statistics()
print(*sorted({name.partition(".")[0] for name in sys.modules.keys() - before}))
"""


def names_printed_by(script: str) -> set[str]:
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return set(done.stdout.split())


def test_the_public_names_are_these_in_this_order() -> None:
    assert omega_persistence.__all__ == PUBLIC
    assert sorted(PUBLIC) == PUBLIC
    assert all(hasattr(omega_persistence, name) for name in PUBLIC)


def test_nothing_else_is_defined_at_the_top() -> None:
    defined = {
        name
        for name in dir(omega_persistence)
        if not name.startswith("_") and not inspect.ismodule(getattr(omega_persistence, name))
    }
    assert defined == set(PUBLIC)


def test_a_process_can_import_every_name_first() -> None:
    """Some are loaded only then: any of them may be the one that loads its module."""
    script = f"""
import sys
for name in {PUBLIC}:
    exec(f"from omega_persistence import {{name}}")
    for loaded in [each for each in sys.modules if each.startswith("omega_persistence")]:
        del sys.modules[loaded]
print("done")
"""
    assert names_printed_by(script) == {"done"}


def test_a_name_that_is_not_there_is_refused_by_that_name() -> None:
    with pytest.raises(AttributeError, match=r"'omega_persistence' has no attribute 'StoredMemry'"):
        _ = getattr(omega_persistence, "StoredMemry")  # noqa: B009 - as an import does


def test_the_methods_of_a_store_are_these_beside_the_flat_ones() -> None:
    flat = {name for base in OmegaStore.__mro__[1:2] for name in vars(base) if name[0] != "_"}
    methods = {name for name in dir(OmegaStore) if not name.startswith("_")}
    assert methods - flat == STORE | {"get_statistics"}
    assert len(flat) == 21


def test_a_transaction_and_a_snapshot_have_the_collections_of_the_store() -> None:
    with OmegaStore(":memory:") as store:
        tables = [each.table.name for each in store.all()]
        assert tables == [name for name, each in vars(store).items() if is_collection(each)]
        with store.snapshot() as snapshot:
            assert type(snapshot) is Snapshot
            assert [each.table.name for each in snapshot.all()] == tables
        with store.transaction() as tx, tx.transaction() as inner:
            assert type(inner) is Transaction
            assert [each.table.name for each in inner.all()] == tables


def is_collection(value: object) -> bool:
    return isinstance(value, Collection)


def test_every_error_can_be_imported_from_the_top() -> None:
    defined = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, StorageError)
    }
    assert defined == {name for name in PUBLIC if name.endswith("Error")}


def test_everything_public_is_described() -> None:
    for name in PUBLIC:
        value = getattr(omega_persistence, name)
        if inspect.isclass(value):
            assert value.__doc__, name
            for method, function in inspect.getmembers(value, inspect.isfunction):
                if not method.startswith("_") and function.__module__.startswith("omega_pers"):
                    assert function.__doc__, f"{name}.{method}"


def test_the_types_of_public_fields_can_be_asked_for() -> None:
    """As documentation and tools do: a name that only type checkers know would fail."""
    for name in PUBLIC:
        value = getattr(omega_persistence, name)
        if inspect.isclass(value) and issubclass(value, Struct):
            assert get_type_hints(value).keys() >= set(value.__struct_fields__)


def test_type_checkers_are_told_that_there_are_types() -> None:
    assert (files(omega_persistence) / "py.typed").is_file()


def test_the_version_is_a_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", omega_persistence.__version__)


def test_importing_loads_apsw_and_msgspec_and_no_other_package() -> None:
    loaded = names_printed_by(IMPORTED)
    third_party = loaded - sys.stdlib_module_names - {"omega_persistence"}
    # msgspec uses typing_extensions where it is installed.
    assert third_party - {"typing_extensions"} == {"apsw", "msgspec"}
    assert loaded.isdisjoint({"sqlite3", "json", "asyncio", "logging", "random", "socket", "ssl"})


def test_working_with_memories_loads_nothing_for_what_is_not_used() -> None:
    heavy = {"sqlite3", "_sqlite3", "numpy", "re2", "typer", "rich", "psycopg", "json", "asyncio"}
    assert names_printed_by(USED).isdisjoint(heavy)
