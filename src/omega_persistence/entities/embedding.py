"""Embedders: functions of the caller's that turn texts into vectors, in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import FunctionType
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from omega_persistence.entities.arrays import converted
from omega_persistence.entities.record import check_text
from omega_persistence.errors import CorruptionError, InvalidDataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Embed = Callable[[Sequence[str]], ArrayLike]
else:
    Embed = Callable[[Sequence[str]], Any]  # what is exact would load numpy

BATCH = 64
"""How many texts an embedder is given at once, at most, unless it says otherwise."""


class Embedder(Struct, frozen=True):
    """A model that embeds texts, and the space that its vectors live in.

    ``Embedder(model.encode, "all-MiniLM-L6-v2")``. The functions may be called from several
    threads at once. What they raise passes through, and nothing is stored.

    Attributes:
        embed: Takes up to ``batch`` texts; returns as many rows of numbers, shape (texts,
            dimensions), finite as float32. The length is the same each time.
        space: Names the model, so that vectors of different models are never compared.
        batch: How many texts it takes at once.
        embed_question: The same for what is asked, in models that treat questions apart.
    """

    embed: Embed
    space: str
    batch: int = BATCH
    embed_question: Embed | None = None

    def batches(self, texts: Sequence[str]) -> Iterator[NDArray[np.float32]]:
        """The vectors of texts: a matrix for each batch, in their order."""
        for start in range(0, len(texts), self.batch):
            yield self._called(self.embed, texts[start : start + self.batch])

    def question(self, text: str) -> NDArray[np.float32]:
        """The vector of what is asked, of shape (dimensions,)."""
        return self._called(self.embed_question or self.embed, [text])[0]

    def _called(self, embed: Embed, texts: Sequence[str]) -> NDArray[np.float32]:
        import numpy as np  # noqa: PLC0415 - not every agent has vectors

        given = embed(texts)
        try:
            matrix = converted(given).copy()  # a model may use its array again
        except (TypeError, ValueError) as error:
            raise self._refusal(f"returned what is no matrix of numbers: {error}") from error
        if matrix.ndim != 2 or len(matrix) != len(texts) or not matrix.shape[1]:
            wanted = f"({len(texts)}, dimensions)"
            raise self._refusal(f"returned the shape {matrix.shape} and not {wanted}")
        if not np.isfinite(matrix).all():
            row = int(np.flatnonzero(~np.isfinite(matrix).all(axis=1))[0])
            raise self._refusal(f"returned NaN or infinity for {texts[row]!r:.80}")
        return matrix

    def _refusal(self, what: str) -> InvalidDataError:
        hint = "An embedder takes a list of texts, and returns a row of numbers for each."
        return InvalidDataError(
            f"the embedder of space {self.space!r:.80} {what}", hint=hint, field="embedder"
        )


def embedder_of(given: Embed | Embedder) -> Embedder:
    """An embedder as it was given, or made of a function.

    The space of a function is its attribute ``space``, else its own name. A lambda, a method or
    another object has no name that tells the model, and must have the attribute.

    Raises:
        InvalidDataError: it has no space, or is not an embedder at all.
    """
    if isinstance(given, Embedder):
        embedder = given
    else:
        _require_callable(given, "embedder")
        space: Any = getattr(given, "space", None)
        if space is None and isinstance(given, FunctionType) and given.__name__ != "<lambda>":
            space = given.__name__
        if space is None:
            message = f"nothing names the space of the embedder {given!r:.80}"
            hint = "Give Embedder(function, space='name of the model')."
            raise InvalidDataError(message, hint=hint, field="embedder")
        embedder = Embedder(given, space)
    _require_callable(embedder.embed, "embed")
    if embedder.embed_question is not None:
        _require_callable(embedder.embed_question, "embed_question")
    check_text("space", embedder.space)
    if type(embedder.batch) is not int or embedder.batch < 1:
        message = f"batch must be a whole number from 1: {embedder.batch!r:.80}"
        raise InvalidDataError(message, field="batch")
    return embedder


def embedder_for(space: str, given: Embed | Embedder, batch: int | None) -> Embedder:
    """An embedder whose space the caller names, whatever the function is called.

    Raises:
        InvalidDataError: it is an `Embedder` of another space, or not an embedder at all.
    """
    model = given if isinstance(given, Embedder) else Embedder(given, space)
    if model.space != space:
        message = f"the embedder is of space {model.space!r:.80}, not {space!r:.80}"
        raise InvalidDataError(message, field="embedder")
    return embedder_of(model if batch is None else replace(model, batch=batch))


def _require_callable(value: object, field: str) -> None:
    if not callable(value):
        message = f"{field} must be a function from texts to vectors: {value!r:.80}"
        raise InvalidDataError(message, field=field)


def text_to_embed(content: str, metadata_json: str | None) -> str:
    """What of a memory is embedded: who said it, if ``metadata`` names a speaker, and what.

    The name in front lets a model tell apart what several people said of the same thing.

    Raises:
        CorruptionError: they come from a damaged file.
    """
    if type(content) is not str:
        raise CorruptionError("the content of a memory is not text", hint="See check().")
    speaker = speaker_of(metadata_json)
    return content if speaker is None else f"{speaker}: {content}"


def speaker_of(metadata_json: str | None) -> str | None:
    """The text ``"speaker"`` of a memory's metadata."""
    try:
        if metadata_json is None or '"speaker"' not in metadata_json:
            return None
        speaker: object = msgspec.json.decode(metadata_json, type=dict[str, Any]).get("speaker")
    except (msgspec.MsgspecError, TypeError) as error:
        message = f"the metadata of a memory is not as it was stored: {error}"
        raise CorruptionError(message, hint="See check().") from error
    return speaker if isinstance(speaker, str) else None
