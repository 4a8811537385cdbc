"""Where a write-ahead log is not possible, and the other journal mode, end to end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from omega_persistence import BusyError, OmegaStore, UnsupportedError
from omega_persistence.backends.sqlite import connector, files
from samples import memory, skill
from sqlite.support import execute, finish, line, start

if TYPE_CHECKING:
    from pathlib import Path

MOUNTS = """\
rootfs / rootfs rw 0 0
/dev/sda1 / ext4 rw,relatime 0 0
server:/home /home nfs4 rw 0 0
tmpfs /home/local tmpfs rw 0 0
//server/share /mnt/with\\040blank cifs rw 0 0
host /mnt/host 9p rw 0 0
/dev/sdb1 /mnt/host ext4 rw 0 0
none /srv virtiofs rw 0 0
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/", "ext4"),
        ("/var/lib", "ext4"),
        ("/home", "nfs4"),
        ("/home/me/agents", "nfs4"),
        ("/homes", "ext4"),
        ("/home/local/x", "tmpfs"),
        ("/mnt/with blank/x", "cifs"),
        ("/mnt/host", "ext4"),  # the later mount hides the earlier one
        ("/srv", "virtiofs"),
    ],
)
def test_the_file_system_of_a_folder_is_that_of_the_nearest_mount(
    folder: str, kind: str, tmp_path: Path
) -> None:
    (tmp_path / "mounts").write_text(MOUNTS)
    assert files.file_system(folder, str(tmp_path / "mounts")) == kind


def test_the_file_system_is_unknown_where_the_system_does_not_tell(tmp_path: Path) -> None:
    assert files.file_system("/", str(tmp_path / "missing")) is None


def on_a_network(folder: str) -> str:
    return "nfs4"


@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_on_a_network_is_refused_with_the_way_out(
    read_only: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.db"
    OmegaStore(path).close()
    before = path.read_bytes()
    monkeypatch.setattr(files, "file_system", on_a_network)
    with pytest.raises(UnsupportedError, match=r"network file system \(nfs4\)") as refused:
        OmegaStore(path, read_only=read_only)
    assert "journal='truncate'" in str(refused.value.hint)
    assert path.read_bytes() == before
    with OmegaStore(path, journal="truncate") as store:
        store.memories.put(memory())
    with OmegaStore(path, journal="truncate", read_only=True) as store:
        assert store.memories.count() == 1


def test_a_new_file_on_a_network_is_not_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "file_system", on_a_network)
    with pytest.raises(UnsupportedError):
        OmegaStore(tmp_path / "store.db")
    assert list(tmp_path.iterdir()) == []


def test_a_store_in_memory_does_not_ask_where_it_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connector, "require_local", None)
    OmegaStore(":memory:").close()


def test_the_truncate_journal_does_everything_without_a_log(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with OmegaStore(path, journal="truncate") as store:
        store.memories.put_many(memory(f"m{n}", content=f"word{n}") for n in range(50))
        with store.transaction() as tx:
            tx.skills.put(skill())
            tx.memories.delete("m0")
        assert [hit.memory.id for hit in store.memories.search("word7")] == ["m7"]
        with store.snapshot() as snapshot:
            assert snapshot.memories.count() == 49
        store.backup(tmp_path / "copy.db")
        store.compact()
        store.optimize()
        assert store.statistics().wal_bytes == 0
        assert store.check() == []
        names = {each.name for each in tmp_path.iterdir()}
        assert names == {"store.db", "store.db-journal", "copy.db"}
        assert (tmp_path / "store.db-journal").stat().st_mode & 0o777 == 0o600
    with OmegaStore(path, journal="truncate") as store:
        assert store.memories.count() == 49


def test_readers_and_writers_of_the_truncate_journal_wait_for_each_other(tmp_path: Path) -> None:
    with (
        OmegaStore(tmp_path / "store.db", journal="truncate", busy_timeout=60) as store,
        ThreadPoolExecutor(6) as pool,
    ):
        store.skills.put(skill("s"))
        writes = [pool.submit(store.skills.record_success, "s", 5) for _ in range(60)]
        reads = [pool.submit(store.skills.get, "s") for _ in range(200)]
        for each in (*writes, *reads):
            each.result()
        assert store.skills.get("s").success_count == 60
        assert store.check() == []


def test_the_journal_mode_belongs_to_the_file_and_changes_when_nobody_has_it_open(
    tmp_path: Path,
) -> None:
    path = tmp_path / "store.db"
    OmegaStore(path).close()
    assert execute(path, "PRAGMA journal_mode") == [("wal",)]
    OmegaStore(path, journal="truncate").close()
    assert execute(path, "PRAGMA journal_mode") == [("delete",)]  # which is not in the file
    OmegaStore(path).close()
    assert execute(path, "PRAGMA journal_mode") == [("wal",)]


def test_a_log_that_another_process_uses_is_not_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    other = start(
        "import sys\n"
        "from omega_persistence import OmegaStore\n"
        "with OmegaStore(sys.argv[1]) as store:\n"
        "    print(store.memories.count(), flush=True)\n"
        "    input()\n",
        path,
    )
    assert line(other) == "0"
    with pytest.raises(BusyError):
        OmegaStore(path, journal="truncate", busy_timeout=0.05)
    with OmegaStore(path) as store:
        store.memories.put(memory())
    finish(other)
