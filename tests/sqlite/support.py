"""Others at the same file: another program, another process, another thread."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Self

import apsw

if TYPE_CHECKING:
    from os import PathLike

    from omega_persistence import OmegaStore


def execute(path: PathLike[str], sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Execute statements as a program would that knows nothing of this library."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.set_busy_timeout(5000)
        return connection.execute(sql, values or None).fetchall()
    finally:
        connection.close()


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(each.name for each in folder.iterdir())


def damaged(path: Path) -> Path:
    """Noise on three pages in the middle of a file at rest, which opens nevertheless."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 4096 // 2 * 4096
    content[middle : middle + 3 * 4096] = Random(0).randbytes(3 * 4096)
    path.write_bytes(content)
    return path


def python(script: str, *arguments: object) -> str:
    """Run a script in a process of its own to its end; returns what it printed."""
    command = [sys.executable, "-W", "error", "-c", script, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=120)
    return done.stdout


def module(name: str, *arguments: object) -> tuple[int, str]:
    """Run a module of the project as a program; returns its exit status and what it printed."""
    command = [sys.executable, "-W", "error", "-m", name, *map(str, arguments)]
    root = Path(__file__).parent.parent.parent
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=False, cwd=root, timeout=300
    )
    return done.returncode, done.stdout


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a script that goes on meanwhile; talk to it by lines."""
    command = [sys.executable, "-W", "error", "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def line(child: subprocess.Popen[str]) -> str:
    """The next line that a child prints."""
    assert child.stdout is not None
    return child.stdout.readline().strip()


def go_on(child: subprocess.Popen[str]) -> None:
    """Let a child pass its next ``input()``."""
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()


def finish(child: subprocess.Popen[str]) -> str:
    """Let a child run to its end, which must be a good one; returns the rest of its output."""
    output, _ = child.communicate("\n", timeout=120)
    assert child.returncode == 0
    return output


class Holder:
    """A thread that keeps a transaction or a snapshot open until it is told to end."""

    def __init__(self, store: OmegaStore, kind: str) -> None:
        self._store, self._kind = store, kind
        self._ready, self._over = Event(), Event()
        self._thread = Thread(target=self._hold)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """End the block in that thread."""
        self._over.set()
        self._thread.join()

    def _hold(self) -> None:
        with getattr(self._store, self._kind)():
            self._ready.set()
            self._over.wait()
