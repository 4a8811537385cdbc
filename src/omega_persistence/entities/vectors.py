"""Vectors: embeddings of memories, in the space of the model that made them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, overload

from omega_persistence.backends.table import Table
from omega_persistence.entities import spaces
from omega_persistence.entities.arrays import float32
from omega_persistence.entities.base import PART, SHARED, Children, checked_limit, require_kind
from omega_persistence.entities.filters import checked_filter
from omega_persistence.entities.record import check_text, checked, new_ids
from omega_persistence.entities.vector_records import (
    StoredVector,
    VectorHit,
    checked_rows,
    vectors_of,
)
from omega_persistence.errors import InvalidDataError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from omega_persistence.backends import Progress, Row, Session
    from omega_persistence.entities.embedding import Embed, Embedder
    from omega_persistence.entities.filters import Where


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

    @overload
    def put_many(self, records: Iterable[StoredVector]) -> int: ...

    @overload
    def put_many(
        self,
        records: NDArray[Any],
        *,
        memory_ids: Iterable[str],
        space: str = "",
        ids: Iterable[str] | None = None,
    ) -> int: ...

    def put_many(
        self,
        records: Iterable[StoredVector] | NDArray[Any],
        *,
        memory_ids: Iterable[str] | None = None,
        space: str = "",
        ids: Iterable[str] | None = None,
    ) -> int:
        """Put all of them in one transaction, or none; returns how many.

        Args:
            records: Vectors; or a matrix of numbers whose rows are the embeddings of
                ``memory_ids``, which is then needed.
            memory_ids: The memory of each row.
            space: The embedding model of the matrix.
            ids: The id of each row's vector; time-ordered UUIDs by default.

        Everything is checked before the first is written. Errors carry the position as ``index``,
        from 0.
        """
        if memory_ids is None:
            if space or ids is not None:
                message = "space and ids are for the rows of a matrix, with their memory_ids"
                raise InvalidDataError(message, field="memory_ids")
            return super().put_many(cast("Iterable[StoredVector]", records))
        import numpy as np  # noqa: PLC0415 - not every process has vectors

        matrix = float32(cast("NDArray[Any]", records), 2)
        for name, given in (("memory_ids", memory_ids), ("ids", ids)):
            if isinstance(given, (str, bytes)):
                raise InvalidDataError(f"{name} are several, not {given!r:.80}", field=name)
        owners = list(memory_ids)
        names = new_ids(len(owners)) if ids is None else list(ids)
        if not len(owners) == len(names) == len(matrix):
            given = f"{len(owners)} memory_ids and {len(names)} ids"
            message = f"each of the {len(matrix)} rows needs its ids, and there are {given}"
            raise InvalidDataError(message, field="memory_ids")
        names, owners, space = checked_rows(matrix, names, owners, space)
        if names:
            with self._scope.atomic(alone=len(names) > SHARED) as session:
                for first in range(0, len(names), PART):
                    part = slice(first, first + PART)
                    if not np.isfinite(matrix[part]).all():  # it was, before the turn came
                        message = "the matrix was changed while it was being stored"
                        raise InvalidDataError(message, field="array")
                    vectors = vectors_of(matrix[part], names[part], owners[part], space)
                    self.write(session, vectors, first)
        return len(names)

    def nearest(
        self,
        query: ArrayLike,
        *,
        limit: int | None = 10,
        space: str | None = None,
        tiers: Iterable[int] | None = None,
        session: str | None = None,
        since: int | None = None,
        until: int | None = None,
        min_importance: float | None = None,
        where: Where | None = None,
        exact: bool = False,
    ) -> list[VectorHit]:
        """The memories whose vectors are closest to a query by cosine, best first, ties by id.

        Only memories that have not expired and pass every filter count towards the limit. Each
        appears once, with the closest of its vectors in the space. Reads one snapshot, and within
        a transaction finds what that has written.

        Args:
            query: As many numbers as the vectors of the space have.
            limit: How many at most; None for all, in the order of their cosines.
            space: The embedding model, nothing if it has no vectors; by default the one that was
                chosen with `serve`, else the only one with vectors of that length.
            tiers: Numbers from 1 to 12, or members of `Tier`.
            session: The conversation or task.
            since: The earliest ``created_at``, in Unix seconds.
            until: The Unix time before which ``created_at`` must be.
            min_importance: From 0 to 1.
            where: Key of the metadata -> the value it must have, or comparisons that must hold:
                ``{"speaker": "Ann", "score": {">=": 3}}``; dots lead into objects.
            exact: Read every vector that may pass. Otherwise the search looks through compact
                codes of them, and of the ten closest finds 9.97 on average, sentences by a small
                model; of many that tie, those that arrived first.

        Raises:
            InvalidDataError: the space holds vectors of other lengths only, or several spaces
                have vectors of that length and none was named.

        Cost: linear in the vectors of the space, one or two milliseconds for 100,000 of 384
        dimensions; an exact search takes some hundred times as long. Less with a filter by
        session and times, or by tiers and importance, that few memories pass: up to 2,000, or an
        eighth of the vectors; ``where`` may look at the metadata of every memory of the namespace.
        The first other search of a process reads all codes of the space, which then stay in
        memory, a byte for each number.
        """
        wanted = checked_limit(limit)
        numbers = float32(query, 1)
        if space is not None:
            require_kind("space", space)
        filter = checked_filter(
            tiers=tiers,
            session=session,
            since=since,
            until=until,
            min_importance=min_importance,
            where=where,
        )
        with self._scope.snapshot() as reader:
            chosen = spaces.searched(reader, self._namespace, numbers.size, space)
            if chosen is None:
                return []
            found = reader.nearest(
                self._namespace, chosen, numbers.tobytes(), wanted, filter=filter, exact=exact
            )
        return [VectorHit(*each) for each in found]

    def serving_space(self) -> str | None:
        """The space that this namespace is searched in: the one chosen, else the only one.

        None if there are no vectors, or several spaces and none was chosen.
        """
        with self._scope.snapshot() as session:
            return spaces.serving_or_only(session, self._namespace)

    def serve(self, space: str) -> None:
        """Choose the space that this namespace is searched in, from its next search on.

        `remember` then refuses an embedder of another space, whose vectors no search would find.
        The space may be empty still; ``""`` is the unnamed one. An export does not have the choice.
        """
        if space != "":
            check_text("space", space)
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
            InvalidDataError: both spaces are the same, or not the embedder's; nothing is old if
                ``from_space`` is None; or the embedder returned something else than vectors.
            NotFoundError: there are no vectors in ``from_space``.

        The last transaction looks through the memories once more, about three seconds for a
        million, while writers wait. Afterwards open stores with the new embedder: `remember`
        refuses the old one.
        """
        from omega_persistence.entities.embedding import embedder_for  # noqa: PLC0415 - seldom
        from omega_persistence.entities.reembedding import Reembedding  # noqa: PLC0415 - seldom

        if from_space is not None:
            require_kind("from_space", from_space)
        elif not keep_old:
            message = "without from_space there is no old space to remove"
            raise InvalidDataError(message, field="keep_old")
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

    def _insert(
        self, session: Session, records: Sequence[StoredVector], rows: Sequence[Row]
    ) -> None:
        super()._insert(session, records, rows)
        vectors = [(record.id, record.dimensions, record.data_blob) for record in records]
        session.index_vectors(self._namespace, vectors)

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
                from omega_persistence.entities.conflicts import conflict  # noqa: PLC0415 - seldom

                message = f"{vector.space!r:.80} holds vectors of {known} dimensions, not"
                hint = "Give each embedding model a space of its own."
                reason = conflict(vector, "space", f"{message} {vector.dimensions}", hint)
                reason.index = index
                raise reason
