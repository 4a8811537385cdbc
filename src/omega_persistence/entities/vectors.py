"""Vectors: embeddings of memories, in the space of the model that made them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from omega_persistence.backends.table import Table
from omega_persistence.entities import spaces
from omega_persistence.entities.base import Children, require_kind
from omega_persistence.entities.conflicts import conflict
from omega_persistence.entities.embedding import embedder_for
from omega_persistence.entities.record import (
    MAX_BYTES,
    Id,
    Record,
    checked,
    finite_floats,
    new_id,
)
from omega_persistence.errors import InvalidDataError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from omega_persistence.backends import Progress, Session
    from omega_persistence.entities.embedding import Embed, Embedder


class StoredVector(Record, frozen=True, kw_only=True, gc=False):
    """One embedding.

    Attributes:
        id: Unique in its namespace; a time-ordered UUID by default.
        memory_id: The memory it embeds, which must be stored and never changes.
        dimensions: How many numbers, from 1.
        data_blob: The numbers as float32, little-endian, ``4 * dimensions`` bytes, all finite.
        space: The name of the embedding model. A named space has one number of dimensions; the
            unnamed one, ``""``, may hold any.
    """

    memory_id: Id
    dimensions: Annotated[int, Meta(ge=1, le=MAX_BYTES // 4)]
    data_blob: bytes
    space: str = ""

    @classmethod
    def from_array(
        cls, memory_id: str, array: ArrayLike, *, space: str = "", id: str | None = None
    ) -> StoredVector:
        """The vector of a one-dimensional numpy array or sequence of numbers.

        Raises:
            InvalidDataError: the array has another shape, is empty, or holds other than numbers
                that are finite as float32.
        """
        import numpy as np  # noqa: PLC0415 - not every process has vectors

        try:
            with np.errstate(over="ignore"):
                # Without "same_kind" texts, dates and half of each complex number would pass.
                numbers = np.asarray(array).astype("<f4", casting="same_kind")
        except (TypeError, ValueError) as error:
            message = f"a vector is made of numbers: {error}"
            raise InvalidDataError(message, field="array") from error
        if numbers.ndim != 1 or not numbers.size or not np.isfinite(numbers).all():
            message = (
                "a vector is one row of numbers, all finite as float32; this array has the shape"
                f" {numbers.shape}"
            )
            raise InvalidDataError(message, field="array")
        return cls(
            id=new_id() if id is None else id,
            memory_id=memory_id,
            dimensions=numbers.size,
            data_blob=numbers.tobytes(),
            space=space,
        )

    @property
    def array(self) -> NDArray[np.float32]:
        """The numbers, read-only, without a copy."""
        import numpy as np  # noqa: PLC0415 - not every process has vectors

        return np.frombuffer(self.data_blob, dtype="<f4")

    def broken_rule(self) -> tuple[str, str] | None:
        """The blob must fit the dimensions and hold finite numbers."""
        if len(self.data_blob) != 4 * self.dimensions:
            wanted = 4 * self.dimensions
            return "data_blob", f"has {len(self.data_blob)} bytes, not 4 * dimensions = {wanted}"
        if not finite_floats(self.data_blob):
            return "data_blob", "holds NaN or infinity"
        return None


_BY_MEMORY = """
    AND memory_id = :memory_id
    ORDER BY id
    LIMIT :limit"""

# Two seeks in the index; with <> or OR the whole space may be walked.
_OTHER_DIMENSIONS = """
    SELECT dimensions, id FROM (
        SELECT dimensions, id FROM vectors
        WHERE namespace = :namespace AND space = :space AND dimensions < :dimensions LIMIT 2
    ) AS shorter
    UNION ALL
    SELECT dimensions, id FROM (
        SELECT dimensions, id FROM vectors
        WHERE namespace = :namespace AND space = :space AND dimensions > :dimensions LIMIT 2
    ) AS longer
"""


class Vectors(Children[StoredVector]):
    """The vectors of a namespace."""

    table = Table("vectors", StoredVector, references={"memory_id": "memories"})

    def by_memory(self, memory_id: str, *, limit: int | None = 100) -> list[StoredVector]:
        """The vectors of a memory in the order of their ids."""
        return self._select(_BY_MEMORY, limit, memory_id=memory_id)

    def first_by_memory(self, memory_id: str) -> StoredVector:
        """The vector of a memory with the smallest id.

        Raises:
            NotFoundError: the memory has none.
        """
        found = self.by_memory(memory_id, limit=1)
        if not found:
            message = f"memory {memory_id!r:.80} has no vector in namespace {self._namespace!r}"
            raise NotFoundError(message, kind="StoredVector", field="memory_id")
        return found[0]

    def serving_space(self) -> str | None:
        """The space that this namespace is searched in: the one chosen, else the only one.

        None if there are no vectors, or several spaces and none was chosen.
        """
        with self._scope.snapshot() as session:
            return spaces.serving_or_only(session, self._namespace)

    def serve(self, space: str) -> None:
        """Choose the space that this namespace is searched in, from its next search on.

        `remember` then refuses an embedder of another space, whose vectors no search would find.
        The space may be empty still; ``""`` is the unnamed one.
        """
        require_kind("space", space)
        with self._scope.atomic() as session:
            spaces.serve(session, self._namespace, space)

    def reembed(
        self,
        from_space: str | None,
        to_space: str,
        embedder: Embed | Embedder,
        *,
        batch: int | None = None,
        keep_old: bool = True,
        progress: Progress | None = None,
    ) -> int:
        """Move this namespace to the vectors of another model, while it is in use.

        Every memory that has a vector in one space gets one in the other. The old space is
        searched until none is missing, also of those that were stored meanwhile; then, in one
        transaction, the new one is. The embedder works outside every lock, each batch is durable
        when its transaction ends, and a run that was cut off is taken up by calling this again:
        only what is missing is embedded. Memories that have expired are left out.

        Args:
            from_space: The space that is left; None to give every memory a vector.
            to_space: The space of the new model.
            embedder: The new model: a function from texts to vectors, or an `Embedder` of the
                new space.
            batch: How many texts the embedder is given at once; 64 by default, or what the
                `Embedder` says. Also how many vectors one transaction writes.
            keep_old: Keep the old vectors. Otherwise they are removed after the switch.
            progress: Called with (memories embedded, memories to embed) after each batch.

        Returns:
            How many memories were embedded.

        Raises:
            InvalidDataError: both spaces are the same, or not the embedder's; or the embedder
                returned something else than vectors.
            NotFoundError: there are no vectors in ``from_space``.

        The last transaction looks through the memories once more, about three seconds for a
        million, while writers wait. Afterwards open stores with the new embedder: `remember`
        refuses the old one.
        """
        from omega_persistence.entities.reembedding import Reembedding  # noqa: PLC0415 - seldom

        if from_space is not None:
            require_kind("from_space", from_space)
        if from_space == to_space:
            message = f"the vectors are in space {to_space!r:.80} already"
            raise InvalidDataError(message, field="to_space")
        model = embedder_for(to_space, embedder, batch)

        def write(session: Session, rows: Sequence[tuple[str, NDArray[np.float32]]]) -> None:
            vectors = (StoredVector.from_array(id, row, space=to_space) for id, row in rows)
            self.write(session, [checked(vector, StoredVector) for vector in vectors])

        run = Reembedding(self._scope, self._namespace, from_space, model, write)
        done = run.run(progress)
        if not keep_old:
            run.remove_old()
        return done

    def _admit(self, session: Session, records: Sequence[StoredVector]) -> None:
        super()._admit(session, records)
        lengths: dict[str, int] = {}
        for index, vector in enumerate(records):
            if not vector.space or lengths.get(vector.space) == vector.dimensions:
                continue
            known = lengths.setdefault(vector.space, vector.dimensions)
            if known == vector.dimensions:
                # A vector that is stored again may bring its space a new length if it is alone.
                rows = session.rows(
                    _OTHER_DIMENSIONS,
                    namespace=self._namespace,
                    space=vector.space,
                    dimensions=vector.dimensions,
                )
                known = next((other for other, id in rows if id != vector.id), known)
            if known != vector.dimensions:
                message = f"{vector.space!r:.80} holds vectors of {known} dimensions, not"
                hint = "Give each embedding model a space of its own."
                reason = conflict(vector, "space", f"{message} {vector.dimensions}", hint)
                reason.index = index
                raise reason
