"""Other programs that find close vectors, where they are installed: graphs in memory."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from embeddings import DIMENSIONS
from measure import Cost, cost

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows = NDArray[np.float32]

EFFORTS = (64, 128, 256, 512, 1024)
"""How many candidates a graph keeps while it is searched."""


class Peer(Protocol):
    """A graph of unit vectors, numbered from 0, that one thread builds and searches."""

    def build(self, units: Rows) -> None:
        """Add all of them."""
        ...

    def ask(self, question: Rows, limit: int, effort: int) -> list[int]:
        """The closest to a question."""
        ...


def least_for(
    peer: Peer, questions: Rows, truth: list[set[int]], limit: int, recall: float
) -> tuple[float, Cost]:
    """The recall and the cost of all questions with the least effort that reaches a recall."""
    reached, spent = 0.0, Cost(0, 0)
    for effort in EFFORTS:
        found: list[list[int]] = []

        def ask(effort: int = effort, found: list[list[int]] = found) -> None:
            found.extend(peer.ask(question, limit, effort) for question in questions)

        spent = cost(ask)
        hits = sum(len(t.intersection(f)) for t, f in zip(truth, found, strict=True))
        reached = hits / limit / len(truth)
        if reached >= recall:
            break
    return reached, spent


class Hnswlib:
    """The graph of the authors of HNSW."""

    def build(self, units: Rows) -> None:
        """Add all of them."""
        self._index: Any = import_module("hnswlib").Index(space="cosine", dim=DIMENSIONS)
        self._index.init_index(max_elements=len(units), M=16, ef_construction=128)
        self._index.add_items(units, num_threads=1)

    def ask(self, question: Rows, limit: int, effort: int) -> list[int]:
        """The closest to a question."""
        self._index.set_ef(effort)
        numbers, _ = self._index.knn_query(question, limit, 1)
        return numbers[0].tolist()


class Usearch:
    """HNSW over numbers of 16 bits."""

    def build(self, units: Rows) -> None:
        """Add all of them."""
        self._index: Any = import_module("usearch.index").Index(
            ndim=DIMENSIONS, metric="cos", dtype="f16", connectivity=16, expansion_add=128
        )
        self._index.add(import_module("numpy").arange(len(units)), units, threads=1)

    def ask(self, question: Rows, limit: int, effort: int) -> list[int]:
        """The closest to a question."""
        self._index.expansion_search = effort
        return self._index.search(question, limit, threads=1).keys.tolist()


class Chroma:
    """A vector database, here without a file."""

    def build(self, units: Rows) -> None:
        """Add all of them."""
        self._effort = 0
        self._collection: Any = (
            import_module("chromadb")
            .EphemeralClient()
            .create_collection("benchmark", configuration={"hnsw": {"space": "cosine"}})
        )
        for start in range(0, len(units), 5_000):
            part = units[start : start + 5_000]
            ids = [str(start + number) for number in range(len(part))]
            self._collection.add(ids=ids, embeddings=part)

    def ask(self, question: Rows, limit: int, effort: int) -> list[int]:
        """The closest to a question."""
        if effort != self._effort:
            self._collection.modify(configuration={"hnsw": {"ef_search": effort}})
            self._effort = effort
        found = self._collection.query(query_embeddings=[question], n_results=limit, include=[])
        return [int(id) for id in found["ids"][0]]


PEERS: dict[str, type[Peer]] = {"hnswlib": Hnswlib, "usearch": Usearch, "chromadb": Chroma}
"""By the name of the package."""

AT_MOST = {"hnswlib": 1 / 20, "chromadb": 1 / 20}
"""Which part of a peer's cost to build may be the cost of `put_many`."""
