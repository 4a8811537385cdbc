"""Embedders: the caller's functions that give memories their vectors."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from embedders import Recorded, letters, pairs
from omega_persistence import ConflictError, Embedder, InvalidDataError, OmegaStore
from samples import memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def opened(embedder: Any) -> OmegaStore:
    return OmegaStore(":memory:", embedder=embedder)


def test_remember_embeds_by_itself_with_the_speaker_in_front():
    with opened(letters) as store:
        said = store.remember("Hello", speaker="Ann")
        made = store.vectors.first_by_memory(said.id)
        assert made.space == "letters"
        assert made.array.tolist() == letters(["Ann: Hello"])[0].tolist()
        alone = store.remember("Hello")
        made = store.vectors.first_by_memory(alone.id)
        assert made.array.tolist() == letters(["Hello"])[0].tolist()
        assert store.check() == []


def test_a_vector_that_is_given_is_not_embedded_and_goes_into_the_same_space():
    recorded = Recorded()
    with opened(recorded) as store:
        made = store.remember("Hello", vector=np.ones(26))
        assert recorded.calls == []
        assert store.vectors.first_by_memory(made.id).space == "letters"
        store.remember("Hello", vector=np.ones(3), space="elsewhere")


def test_remember_many_embeds_what_has_no_vector_in_batches():
    recorded = Recorded()
    with opened(recorded.in_batches(3)) as store:
        made = store.remember_many(
            {"content": f"text {'x' * i}", "vector": np.ones(26) if i == 2 else None}
            for i in range(8)
        )
        assert [len(call) for call in recorded.calls] == [3, 3, 1]
        assert [text for call in recorded.calls for text in call] == [
            each.content for each in made if each is not made[2]
        ]
        vectors = [store.vectors.first_by_memory(each.id).array.tolist() for each in made]
        expected = letters([each.content for each in made])
        expected[2] = 1
        assert vectors == expected.tolist()


def test_nothing_is_locked_while_the_embedder_works(tmp_path: Path):
    """A writer of another process, here another store, goes in between."""
    with OmegaStore(tmp_path / "store.db", busy_timeout=0) as other:
        busy = Recorded(first=lambda: other.remember("meanwhile"))
        with OmegaStore(tmp_path / "store.db", embedder=busy) as store:
            store.remember("one")
            store.remember_many([{"content": "two"}])
            assert store.memories.count() == 4
            assert store.vectors.count() == 2
            assert store.check() == []


def test_what_is_refused_is_not_embedded():
    recorded = Recorded()
    with opened(recorded) as store:
        with pytest.raises(InvalidDataError):
            store.remember_many([{"content": "right"}, {"content": "wrong", "tier": 13}])
        assert recorded.calls == []


def test_what_an_embedder_raises_passes_through_and_nothing_is_stored():
    def broken() -> None:
        raise ConnectionError("the model is away")

    with opened(Recorded(first=broken)) as store:
        with pytest.raises(ConnectionError, match="the model is away"):
            store.remember("one")
        assert store.memories.count() == 0


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, "no matrix of numbers|the shape"),
        ([], r"the shape \(0,\) and not \(2, dimensions\)"),
        ([1.0, 2.0], r"the shape \(2,\)"),
        ([[1.0, 2.0]], r"the shape \(1, 2\)"),
        (np.zeros((2, 0)), r"the shape \(2, 0\)"),
        ([[1.0], [1.0, 2.0]], "no matrix of numbers"),
        ([["a"], ["b"]], "no matrix of numbers"),
        ([[1.0], [float("nan")]], "NaN or infinity for 'second'"),
        ([[1e39], [1.0]], "NaN or infinity for 'first'"),
        (np.zeros((2, 1, 1)), r"the shape \(2, 1, 1\)"),
    ],
    ids=str,
)
def test_what_is_no_matrix_of_finite_numbers_is_refused(returned: Any, message: str):
    with opened(Embedder(lambda _: returned, "odd")) as store:
        with pytest.raises(InvalidDataError, match=message) as caught:
            store.remember_many([{"content": "first"}, {"content": "second"}])
        assert "the embedder of space 'odd' returned" in str(caught.value)
        assert caught.value.field == "embedder"
        assert store.memories.count() == 0


def test_an_embedder_whose_length_changes_is_refused_and_its_batch_is_undone():
    lengths = iter((3, 3, 4))
    with opened(Embedder(lambda texts: np.ones((len(texts), next(lengths))), "m", 1)) as store:
        store.remember("one")
        with pytest.raises(ConflictError, match="holds vectors of 3 dimensions, not 4") as caught:
            store.remember_many([{"content": "two"}, {"content": "three"}])
        assert caught.value.index == 1
        assert store.memories.count() == 1


class Model:
    """A model as libraries have them."""

    space = "model-3"

    def __call__(self, texts: Any) -> Any:
        return letters(texts)

    def encode(self, texts: Any) -> Any:
        return letters(texts)


def nameless(_: Any) -> Any:
    return [[1.0]]


nameless.__name__ = "<lambda>"


def named(embedder: Any, space: str) -> Any:
    embedder.space = space
    return embedder


@pytest.mark.parametrize(
    ("embedder", "space"),
    [
        (letters, "letters"),
        (Model(), "model-3"),
        (named(partial(letters), "set"), "set"),
        (Embedder(Model().encode, "given"), "given"),
        (Embedder(letters, space="given", batch=1), "given"),
    ],
)
def test_the_space_is_the_one_given_or_the_name_of_the_function(embedder: Any, space: str):
    with opened(embedder) as store:
        store.remember("one")
        assert [each.space for each in store.vectors] == [space]


@pytest.mark.parametrize(
    ("embedder", "field"),
    [
        (5, "embedder"),
        ("letters", "embedder"),
        (nameless, "embedder"),
        (Model().encode, "embedder"),
        (partial(letters), "embedder"),
        (Embedder("letters", "m"), "embed"),  # type: ignore[arg-type]
        (Embedder(letters, ""), "space"),
        (Embedder(letters, 5), "space"),  # type: ignore[arg-type]
        (Embedder(letters, "m", 0), "batch"),
        (Embedder(letters, "m", True), "batch"),
        (Embedder(letters, "m", embed_question=5), "embed_question"),  # type: ignore[arg-type]
    ],
    ids=map(str, range(11)),
)
def test_what_is_no_embedder_is_refused_before_the_file_is_made(
    tmp_path: Path, embedder: Any, field: str
):
    with pytest.raises(InvalidDataError) as caught:
        OmegaStore(tmp_path / "store.db", embedder=embedder)
    assert caught.value.field == field
    assert list(tmp_path.iterdir()) == []


def test_namespaces_and_transactions_have_the_embedder_of_the_store():
    with opened(letters) as store:
        store.in_namespace("other").remember("one")
        with store.transaction() as tx, tx.transaction() as inner:
            inner.in_namespace("other").remember("two")
        assert store.in_namespace("other").vectors.count() == 2


def test_a_second_model_is_refused_until_its_space_is_chosen(tmp_path: Path):
    path = tmp_path / "store.db"
    with OmegaStore(path, embedder=letters) as store:
        store.remember("one")
        assert store.vectors.serving_space() == "letters"
    with OmegaStore(path, embedder=pairs) as store:
        with pytest.raises(ConflictError, match="are in space 'letters', not 'pairs'") as caught:
            store.remember_many([{"content": "bare", "vector": None}])
        assert (caught.value.field, caught.value.index) == ("space", 0)
        assert "reembed" in (caught.value.hint or "")
        store.in_namespace("new").remember("one")

        store.vectors.serve("pairs")
        store.remember("two")
        assert store.vectors.serving_space() == "pairs"
        assert store.check() == []
    with (
        OmegaStore(path, embedder=letters) as store,
        pytest.raises(ConflictError, match="are in space 'pairs', not 'letters'"),
    ):
        store.remember("three")


def test_several_spaces_of_ones_own_need_no_choice_to_be_remembered_into(tmp_path: Path):
    with OmegaStore(tmp_path / "store.db", embedder=letters) as store:
        store.remember("one")
        store.remember("a picture", vector=[1, 2], space="pictures")
        assert store.vectors.serving_space() is None
        store.remember("two")
    with OmegaStore(tmp_path / "store.db") as store, pytest.raises(ConflictError, match="not ''"):
        store.remember("whose?", vector=[1, 2])


def test_the_choice_of_a_space_goes_with_its_namespace(tmp_path: Path):
    with OmegaStore(tmp_path / "store.db", embedder=letters) as store:
        assert store.vectors.serving_space() is None
        store.vectors.serve("elsewhere")
        assert store.vectors.serving_space() == "elsewhere"
        assert store.in_namespace("other").vectors.serving_space() is None
        store.delete_namespace("default")
        assert store.vectors.serving_space() is None
        store.remember("one")
        with pytest.raises(InvalidDataError):
            store.vectors.serve(7)  # type: ignore[arg-type]


def test_recall_embeds_the_question_by_itself():
    recorded = Recorded()
    with opened(recorded) as store:
        near = store.remember("zzz qqq")
        store.remember_many({"content": f"{letter}{letter}"} for letter in "abcdefghij")
        recorded.calls.clear()
        hits = store.recall("zqzqzq", limit=3)  # a word that no memory holds
        assert hits[0].memory == near
        assert recorded.calls == [["zqzqzq"]]
        assert store.recall("zqzqzq", vector=letters(["aa"])[0])[0].memory.content == "aa"
        assert recorded.calls == [["zqzqzq"]]
        with store.snapshot() as snap:
            assert snap.recall("zqzqzq", limit=3) == hits
        with store.transaction() as tx:
            assert tx.recall("zqzqzq", limit=3) == hits
        recorded.calls.clear()
        assert store.recall(" \n") == []
        assert recorded.calls == []
        assert store.recall("?!", limit=3)  # no words, but a model may know what it means
        assert recorded.calls == [["?!"]]
        assert store.recall("zqzqzq", limit=3, space="letters") == hits
        assert store.recall("zqzqzq", limit=None)[:3] == hits
        with pytest.raises(InvalidDataError, match="there is none: 'other'"):
            store.recall("zqzqzq", space="other")


def test_a_model_may_treat_questions_apart():
    asked = Recorded()
    model = Embedder(letters, "letters", embed_question=asked)
    with opened(model) as store:
        store.remember("one")
        store.recall("What is one?")
        assert asked.calls == [["What is one?"]]


def test_a_question_to_the_space_of_another_model_is_refused(tmp_path: Path):
    with OmegaStore(tmp_path / "store.db", embedder=letters) as store:
        store.remember("one")
    with OmegaStore(tmp_path / "store.db", embedder=pairs) as store:
        with pytest.raises(ConflictError, match="are in space 'letters', not 'pairs'"):
            store.recall("one")
        assert store.recall("one", vector=letters(["one"])[0])[0].memory.content == "one"
        store.vectors.reembed("letters", "pairs", pairs, keep_old=False)
        assert store.recall("one")[0].memory.content == "one"


def test_a_recall_without_vectors_in_the_store_goes_by_words():
    with opened(letters) as store:
        store.memories.put(memory(content="one"))
        assert store.recall("one")[0].memory.content == "one"


def test_what_an_embedder_returned_may_change_when_it_is_called_again():
    numbers = np.zeros((1, 2), np.float32)

    def same_array(_: Sequence[str]) -> NDArray[np.float32]:
        numbers[:] += 1
        return numbers

    first, second = Embedder(same_array, "model", batch=1).batches(["one", "two"])
    assert (first.tolist(), second.tolist()) == ([[1, 1]], [[2, 2]])
