"""A store must not be used in a child that was forked after it was opened, and says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from omega_persistence import OmegaStore
from sqlite.support import python

if TYPE_CHECKING:
    from pathlib import Path

PROLOGUE = """
import gc, os, sys
from omega_persistence import ClosedError, OmegaStore, StoredMemory

def memory(id):
    return StoredMemory(id=id, content=id, tier=1, importance=0.5)

def refused(use):
    try:
        use()
    except ClosedError as error:
        assert "before this process was forked" in str(error), error
    else:
        print("the child was let in")

path = sys.argv[1]
store = OmegaStore(path)
store.memories.put(memory("before"))
assert store.memories.count() == 1  # so that a reader is open, too
"""

EPILOGUE = """
assert os.waitpid(pid, 0)[1] == 0
store.memories.put(memory("after"))
assert os.path.getsize(path + "-wal") > 0
assert [each.id for each in store.memories] == ["after", "before"]
assert store.check() == []
with OmegaStore(path) as another:
    assert another.memories.count() == 2
print("the parent went on")
"""

EVERY_USE = """
pid = os.fork()
if pid == 0:
    refused(lambda: store.memories.get("before"))
    refused(lambda: store.memories.put(memory("child")))
    refused(lambda: store.in_namespace("other").memories.count())
    refused(lambda: store.snapshot().__enter__())
    refused(lambda: store.transaction().__enter__())
    refused(lambda: store.backup(path + ".copy"))
    refused(store.check)
    refused(store.compact)
    store.close()
    with OmegaStore(path) as own:
        assert own.memories.count() == 1
    {end}
"""

INSIDE_A_TRANSACTION = """
with store.transaction() as tx:
    pid = os.fork()
    if pid == 0:
        refused(lambda: tx.memories.put(memory("child")))
        refused(lambda: tx.memories.count())
        refused(lambda: tx.transaction().__enter__())
        {end}
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    tx.memories.put(memory("inside"))
    tx.memories.delete("inside")
"""

INSIDE_A_SNAPSHOT = """
with store.snapshot() as snapshot:
    pid = os.fork()
    if pid == 0:
        refused(lambda: snapshot.memories.count())
        {end}
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert snapshot.memories.count() == 1
"""

WHILE_ANOTHER_THREAD_WRITES = """
import threading
ready, over = threading.Event(), threading.Event()

def hold():
    with store.transaction() as tx:
        tx.memories.put(memory("thread"))
        ready.set()
        over.wait()
        tx.memories.delete("thread")

thread = threading.Thread(target=hold)
thread.start()
ready.wait()
pid = os.fork()
if pid == 0:
    refused(lambda: store.memories.put(memory("child")))
    refused(lambda: store.memories.count())
    store.close()
    {end}
os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
over.set()
thread.join()
"""

ENDS = {
    "exits": "sys.exit()",
    "exits_at_once": "os._exit(0)",
    "forgets_the_store": "del store; gc.collect(); sys.exit()",
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(
    "story",
    [EVERY_USE, INSIDE_A_TRANSACTION, INSIDE_A_SNAPSHOT, WHILE_ANOTHER_THREAD_WRITES],
    ids=["every_use", "inside_a_transaction", "inside_a_snapshot", "while_a_thread_writes"],
)
def test_a_forked_child_is_refused_and_disturbs_nothing(
    story: str, end: str, tmp_path: Path
) -> None:
    script = PROLOGUE + story.format(end=ENDS[end]) + EPILOGUE
    script = "import warnings\nwarnings.simplefilter('ignore', DeprecationWarning)\n" + script
    assert python(script, tmp_path / "store.db") == "the parent went on\n"
    with OmegaStore(tmp_path / "store.db") as store:
        assert store.memories.count() == 2
        assert store.check() == []


def test_a_block_that_ends_in_the_child_does_not_commit(tmp_path: Path) -> None:
    script = (
        PROLOGUE
        + """
def block():
    global pid
    with store.transaction() as tx:
        tx.memories.put(memory("after"))
        pid = os.fork()
        if pid:
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

pid = None
try:
    block()
except ClosedError:
    assert pid == 0
    os._exit(0)
assert pid, "the child committed"
"""
        + EPILOGUE
    )
    assert python(script, tmp_path / "store.db") == "the parent went on\n"
