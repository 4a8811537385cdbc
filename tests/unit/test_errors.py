"""The errors: what they are besides ours, whether to try again, and what to do."""

from __future__ import annotations

import copy
import pickle
import traceback

import pytest

import omega_persistence
from omega_persistence import StorageError, errors

TREE: dict[str, tuple[type[Exception], ...]] = {
    "StorageError": (Exception,),
    "NotFoundError": (StorageError, LookupError),
    "InvalidDataError": (StorageError, ValueError),
    "ConflictError": (StorageError,),
    "BusyError": (StorageError, TimeoutError),
    "TransactionError": (StorageError,),
    "ClosedError": (StorageError,),
    "SchemaError": (StorageError,),
    "CorruptionError": (StorageError,),
    "StorageFullError": (StorageError, OSError),
    "UnsupportedError": (StorageError,),
    "BackendError": (StorageError,),
}
CLASSES: list[type[StorageError]] = [getattr(errors, name) for name in TREE]

each_class = pytest.mark.parametrize("kind", CLASSES)


def test_the_tree_is_whole_and_public():
    defined = [
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    ]
    assert defined == list(TREE)
    for name in TREE:
        assert getattr(omega_persistence, name) is getattr(errors, name)
        assert name in omega_persistence.__all__
        assert errors.__doc__ is not None
        assert name in errors.__doc__


@each_class
def test_each_class_has_the_bases_it_should(kind: type[StorageError]):
    assert kind.__bases__ == TREE[kind.__name__]


@each_class
def test_only_busy_can_be_tried_again(kind: type[StorageError]):
    assert kind.retryable is (kind is errors.BusyError)
    assert kind("message").retryable is kind.retryable


@each_class
def test_the_message_stands_alone_and_the_hint_below_the_traceback(kind: type[StorageError]):
    error = kind("what happened", hint="What to do.")
    assert str(error) == "what happened"
    assert error.args == ("what happened",)
    assert error.hint == "What to do."
    assert error.__notes__ == ["What to do."]
    assert "".join(traceback.format_exception(error)).endswith("what happened\nWhat to do.\n")
    assert not hasattr(kind("what happened"), "__notes__")


@each_class
def test_errors_cross_process_borders_whole(kind: type[StorageError]):
    error = kind("what happened", hint="Do.", kind="StoredMemory", id="m", field="tier", index=3)
    pickled = pickle.dumps(error)
    unpickled = pickle.loads(pickled)  # noqa: S301 - our own bytes
    for again in (unpickled, copy.copy(error), copy.deepcopy(error)):
        assert type(again) is kind
        assert str(again) == "what happened"
        assert vars(again) == vars(error)
        assert again.index == 3


def test_data_fields_are_absent_unless_given():
    error = StorageError("what happened")
    assert (error.hint, error.kind, error.id, error.field, error.index) == (None,) * 5
