"""The processes of the campaigns, each forked from one that a test has started afresh."""

from __future__ import annotations

from sqlite.support import python

PROLOGUE = """
import os, time
from campaigns import actors
from campaigns.actors import Board, Child, ChildError, in_child, wait_until

def refused(call):
    try:
        call()
    except ChildError as error:
        print(str(error).splitlines()[-1])
    else:
        print("nothing was raised")
"""


def test_a_child_answers_or_its_failure_is_raised() -> None:
    script = """
print(in_child(divmod, 7, 2), in_child(print) is None)
refused(lambda: in_child(divmod, 7, 0))
refused(lambda: in_child(os._exit, 3))
actors.PATIENCE = 0.2
refused(lambda: in_child(time.sleep, 60))
"""
    assert python(PROLOGUE + script).splitlines() == [
        "",
        "(3, 1) True",
        "ZeroDivisionError: integer division or modulo by zero",
        "the process for _exit died, its exit code is 3",
        "the process for sleep hangs for 0 s",
    ]


def test_a_child_is_killed_quietly_unless_it_had_failed_or_died() -> None:
    script = """
child = Child(time.sleep, 60)
print(child.ended)
child.kill()
child = Child(divmod, 7, 0)
wait_until(lambda: child.ended)
refused(child.kill)
child.end()
child = Child(os._exit, 3)
wait_until(lambda: child.ended)
refused(child.kill)
"""
    assert python(PROLOGUE + script).splitlines() == [
        "False",
        "ZeroDivisionError: integer division or modulo by zero",
        "the process for _exit died, its exit code is 3",
    ]


def test_what_a_child_has_noted_outlives_it() -> None:
    script = """
board = Board(2)

def act():
    board.begin(1)
    board.done(1)
    board.begin(1)
    board.stop()
    time.sleep(60)

child = Child(act)
wait_until(lambda: board.stopped)
child.kill()
print(board.all_begun(), board.all_done())
"""
    assert python(PROLOGUE + script).splitlines() == ["[0, 2] [0, 1]"]


def test_waiting_for_what_never_happens_ends() -> None:
    script = """
actors.PATIENCE = 0.1
refused(lambda: wait_until(lambda: False))
"""
    assert python(PROLOGUE + script).splitlines() == ["nothing happens for 0 s"]
