"""Processes that act on a store, and an account of what they did that survives their being killed.

They are forked, which takes a millisecond or two, from a process that has imported the library and
has no store open: `campaigns.common.spread` starts such processes afresh.
"""

from __future__ import annotations

import faulthandler
import os
from mmap import mmap
from multiprocessing import get_context
from signal import SIGKILL
from threading import Thread
from time import monotonic, sleep
from traceback import format_exc
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast

from campaigns.operations import Driver, Opener

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from campaigns.operations import Operation

P = ParamSpec("P")
T = TypeVar("T")

FORK = get_context("fork")

PATIENCE = 120.0
"""Seconds after which a process counts as hanging."""


class ChildError(Exception):
    """A process failed, died by itself or hangs."""


class Child(Generic[T]):
    """A function at work in a process of its own."""

    def __init__(self, function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> None:
        """Start it."""
        self._name = getattr(function, "__name__", "a function")
        self._answers, answers = FORK.Pipe(duplex=False)
        call = (answers, function, arguments, options)
        self._process = FORK.Process(target=_answer, args=call, daemon=True)
        self._process.start()
        answers.close()

    def answer(self) -> T:
        """Wait for what the function returns.

        Raises:
            ChildError: it raised, or its process died or hangs.
        """
        if not self._answers.poll(PATIENCE):
            self.end()
            raise ChildError(f"the process for {self._name} hangs for {PATIENCE:.0f} s")
        answer = self._received()
        if answer is None:
            raise self._dead()
        return answer[0]

    def kill(self) -> None:
        """Kill the process, as ``kill -9`` does.

        Raises:
            ChildError: the function had raised before, or the process had died by itself.
        """
        self._process.kill()
        if self._received() is None and self._process.exitcode != -SIGKILL:
            raise self._dead()

    @property
    def ended(self) -> bool:
        """Whether it has answered or died."""
        return self._answers.poll()

    def end(self) -> None:
        """Make sure that the process is no more."""
        self._process.kill()
        self._process.join()
        self._answers.close()

    def _dead(self) -> ChildError:
        code = self._process.exitcode
        return ChildError(f"the process for {self._name} died, its exit code is {code}")

    def _received(self) -> tuple[T] | None:
        try:
            value, failure = cast("tuple[T, str | None]", self._answers.recv())
        except (EOFError, OSError):  # it ended before, or within, its answer
            return None
        finally:
            self._process.join(PATIENCE)
            self.end()
        if failure is not None:
            raise ChildError(failure)
        return (value,)


def _answer(
    answers: Connection, function: Callable[..., Any], arguments: Any, options: Any
) -> None:
    faulthandler.enable()  # shows, on the standard error stream, where a process crashed
    try:
        answer = function(*arguments, **options), None
    except BaseException:  # noqa: BLE001 - handed to the process that waits
        answer = None, format_exc()
    answers.send(answer)


def in_child(function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """What a function returns, worked out in a process of its own."""
    return Child(function, *arguments, **options).answer()


class Board:
    """What each actor has begun and done, in memory that forked processes share.

    What an actor has noted there stays, also when it is killed the moment after.
    """

    def __init__(self, actors: int) -> None:
        self._actors = actors
        self._cells = memoryview(mmap(-1, 8 * (2 * actors + 1))).cast("q")

    def begin(self, actor: int) -> None:
        """Note that an actor begins its next operation."""
        self._cells[actor] += 1

    def done(self, actor: int) -> None:
        """Note that it is acknowledged."""
        self._cells[self._actors + actor] += 1

    def all_begun(self) -> list[int]:
        """How many operations each actor has begun."""
        return list(self._cells[: self._actors])

    def all_done(self) -> list[int]:
        """How many of each actor's operations were acknowledged."""
        return list(self._cells[self._actors : -1])

    def stop(self) -> None:
        """Ask every actor to begin no further operation."""
        self._cells[-1] = 1

    @property
    def stopped(self) -> bool:
        """Whether they were asked to."""
        return bool(self._cells[-1])


def work(
    board: Board,
    operations: dict[int, list[Operation]],
    path: str,
    opener: Opener,
    **options: Any,
) -> None:
    """Open a store and run actors' operations, each in a thread of its own, until told to stop."""
    parent = os.getppid()
    driver = Driver(path, opener, **options)
    failures: list[BaseException] = []

    def act(actor: int) -> None:
        try:
            for operation in operations[actor]:
                if board.stopped or failures:
                    return
                board.begin(actor)
                operation.run(driver)
                board.done(actor)
        except BaseException as error:  # noqa: BLE001 - raised again below
            failures.append(error)

    threads = [Thread(target=act, args=(actor,)) for actor in operations]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Whoever is killed now still has the store open.
    while not board.stopped and not failures and os.getppid() == parent:
        sleep(0.001)
    driver.store.close()
    if failures:
        raise failures[0]


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for what other processes do.

    Raises:
        ChildError: they do not do it.
    """
    deadline = monotonic() + PATIENCE
    while not condition():
        if monotonic() > deadline:
            raise ChildError(f"nothing happens for {PATIENCE:.0f} s")
        sleep(0.001)
