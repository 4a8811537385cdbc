"""The checker of histories agrees with one that tries every order."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from campaigns.linearizable import Operation, contradiction

History = list[Operation]

times = st.integers(0, 12)  # few, so that many are the same


def has_an_order(history: History) -> bool:
    """Whether any order of all operations explains every read: tries them one after the other."""

    def explains(left: frozenset[int], value: str | None) -> bool:
        for number in left:
            operation = history[number]
            possible = operation.writes or operation.value == value
            rest = left - {number}
            if (
                possible
                and not any(history[other].end < operation.begin for other in rest)
                and explains(rest, operation.value)
            ):
                return True
        return not left

    return explains(frozenset(range(len(history))), None)


@st.composite
def of_a_register(draw: st.DrawFn, most: int, longest: int = 9) -> History:
    """What callers may see of a register that works: each operation takes effect at a moment."""
    around = st.integers(0, longest)
    history: History = []
    value, moment = "", 0
    for number in range(draw(st.integers(1, most))):
        moment += draw(st.integers(0, 3))
        writes = number == 0 or draw(st.booleans())
        value = f"v{number}" if writes else value
        begin, end = moment - draw(around), moment + draw(around)
        history.append(Operation(value=value, writes=writes, begin=begin, end=end))
    return draw(st.permutations(history))


@st.composite
def with_faults(draw: st.DrawFn, most: int) -> History:
    """What callers may see of a register with a fault or two: old, lost, early, unknown values."""
    history = draw(of_a_register(most, longest=2))
    values = ["unknown", *(operation.value for operation in history)]
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(history) - 1))
        if history[at].writes:
            history[at] = moved(history[at], draw(st.integers(-9, 9)))
        else:
            history[at] = replace(history[at], value=draw(st.sampled_from(values)))
    return history


@st.composite
def of_anything(draw: st.DrawFn, most: int) -> History:
    """Operations without any sense, but no value written twice."""
    history: History = []
    for number in range(draw(st.integers(1, most))):
        begin = draw(times)
        written = draw(st.integers(0, most))
        value = f"v{number}" if written >= number else f"v{written}"
        writes = written >= number
        end = begin + draw(st.integers(0, 4))
        history.append(Operation(value=value, writes=writes, begin=begin, end=end))
    return history


def moved(operation: Operation, by: int) -> Operation:
    return replace(operation, begin=operation.begin + by, end=operation.end + by)


@settings(max_examples=300)
@given(st.one_of(of_a_register(7), with_faults(7), of_anything(7)))
def test_it_decides_as_one_that_tries_every_order(history: History) -> None:
    possible = has_an_order(history)
    event(f"linearizable: {possible}")
    assert (contradiction(history) is None) == possible


@given(of_a_register(50))
def test_it_accepts_whatever_a_register_may_show(history: History) -> None:
    assert contradiction(history) is None


write = partial(Operation, writes=True)
read = partial(Operation, writes=False)


@pytest.mark.parametrize(
    ("history", "why"),
    [
        ([read(value="a", begin=0, end=1)], "nobody writes"),
        ([write(value="a", begin=2, end=3), read(value="a", begin=0, end=1)], "before"),
        (
            [
                write(value="old", begin=0, end=1),
                write(value="new", begin=2, end=3),
                read(value="old", begin=4, end=5, actor="reader"),
            ],
            "reader reads 'old' from 4 to 5",
        ),
        (  # one reader sees the new value, and another one the old value after that
            [
                write(value="old", begin=0, end=1),
                write(value="new", begin=2, end=9),
                read(value="new", begin=3, end=4),
                read(value="old", begin=5, end=6, actor="the second"),
            ],
            "the second",
        ),
    ],
)
def test_it_says_why(history: History, why: str) -> None:
    assert why in str(contradiction(history))


def test_a_value_that_is_written_twice_cannot_be_told_apart() -> None:
    with pytest.raises(ValueError, match="twice"):
        contradiction([write(value="a", begin=0, end=1), write(value="a", begin=2, end=3)])
