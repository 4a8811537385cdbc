"""A store that hostile calls are made on, and what must hold after each of them."""

from __future__ import annotations

import os
import traceback
from collections import Counter
from time import perf_counter
from typing import TYPE_CHECKING, Any

import apsw

from campaigns.hostile.calls import fill
from campaigns.hostile.exercise import REFUSED, Finding
from campaigns.model import State, read
from omega_persistence import BackendError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from campaigns.operations import Opener

LIMIT = 5.0
"""Seconds that a call may take."""


class Trial:
    """A store in a folder of its own, and what came of the calls on it.

    Attributes:
        store: The store, which holds some records of every kind.
        folder: Where it lies; other files may be made there.
        counts: "done", and the names of errors -> how many calls.
        findings: What must not have happened: "escaped", "half done", "inexact", "slow", "damaged".
    """

    def __init__(self, folder: str, opener: Opener) -> None:
        self.folder = folder
        self.path = os.path.join(folder, "store.db")
        self.counts: Counter[str] = Counter()
        self.findings: list[Finding] = []
        self._opener = opener
        self.store = opener(self.path, durability="normal", busy_timeout=1)
        fill(self.store)
        self._watcher = apsw.Connection(self.path)
        self._state = self._seen(0)

    def attempt(
        self,
        what: str,
        function: Callable[[], Any],
        *,
        python: bool = False,
        system: bool = False,
    ) -> Any:
        """Make a call; returns its result, or `REFUSED` after an error that it may raise.

        A call that was refused must have changed nothing. With ``python`` a TypeError is in order;
        with ``system`` what the operating system says of a path.
        """
        started, before = perf_counter(), self._version
        try:
            result = function()
        except Exception as error:  # noqa: BLE001 - what it may be is told below
            result = REFUSED
            self.counts[type(error).__name__] += 1
            # A BackendError: the library had not thought of it, and left it to the database.
            typed = isinstance(error, StorageError) and (system or type(error) is not BackendError)
            if not (typed or (python and isinstance(error, TypeError))):
                self.find("escaped", what, traceback.format_exc())
        else:
            self.counts["done"] += 1
        if (seconds := perf_counter() - started) > LIMIT:
            self.find("slow", what, f"it took {seconds:.1f} s")
        if self._data_version() != before:  # something was committed
            state, self._state = self._state, self._seen(self._data_version())
            if result is REFUSED and state != self._state:
                self.find("half done", what, "it was refused, but the store has changed")
        return result

    def find(self, kind: str, what: str, text: str) -> None:
        """Note what must not have happened."""
        self.findings.append(Finding(kind, f"{what}: {text}"))

    def state(self) -> State:
        """What the store holds."""
        return self._state

    def end(self) -> None:
        """Check the store, close it, open it again: it must be whole and hold the same."""
        try:
            problems = self.store.check()
            self._watcher.close()
            self.store.close()
            with self._opener(self.path) as store:
                problems += store.check()
                if read(store) != self._state:
                    self.find("damaged", "the end", "the store holds something else when reopened")
        except Exception:  # noqa: BLE001 - whatever it is, it must not happen
            self.find("damaged", "the end", traceback.format_exc())
        else:
            if problems:
                self.find("damaged", "the end", f"{problems[:3]}")

    def _seen(self, version: int) -> State:
        self._version = version or self._data_version()
        return read(self.store)

    def _data_version(self) -> int:
        return int(self._watcher.pragma("data_version"))
