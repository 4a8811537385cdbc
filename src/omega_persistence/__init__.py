"""A durable, typed memory database for AI agents in one SQLite file."""

import importlib
import typing

from omega_persistence.backends import Problem, Progress
from omega_persistence.backends.migrate import Migration
from omega_persistence.entities.architectures import StoredArchitecture
from omega_persistence.entities.causal_edges import StoredCausalEdge
from omega_persistence.entities.intelligences import StoredIntelligence
from omega_persistence.entities.memories import SearchHit, StoredMemory, Tier
from omega_persistence.entities.reflexion_episodes import StoredReflexionEpisode
from omega_persistence.entities.skills import StoredSkill
from omega_persistence.entities.vector_records import StoredVector, VectorHit
from omega_persistence.errors import (
    BackendError,
    BusyError,
    ClosedError,
    ConflictError,
    CorruptionError,
    InvalidDataError,
    NotFoundError,
    SchemaError,
    StorageError,
    StorageFullError,
    TransactionError,
    UnsupportedError,
)
from omega_persistence.recall.weights import Weights
from omega_persistence.remembering.remembering import OnDuplicate
from omega_persistence.store import OmegaStore, Snapshot, Transaction

if typing.TYPE_CHECKING:
    from omega_persistence.doctor import Note
    from omega_persistence.entities.embedding import Embedder
    from omega_persistence.entities.quarantine import QuarantinedRow
    from omega_persistence.entities.statistics import DatabaseStatistics
    from omega_persistence.recall.hits import Explanation, Hit, NearMiss, Parts
    from omega_persistence.transfer import ImportReport, OnConflict

__version__ = "0.1.0"

__all__ = [
    "BackendError",
    "BusyError",
    "ClosedError",
    "ConflictError",
    "CorruptionError",
    "DatabaseStatistics",
    "Embedder",
    "Explanation",
    "Hit",
    "ImportReport",
    "InvalidDataError",
    "Migration",
    "NearMiss",
    "NotFoundError",
    "Note",
    "OmegaStore",
    "OnConflict",
    "OnDuplicate",
    "Parts",
    "Problem",
    "Progress",
    "QuarantinedRow",
    "SchemaError",
    "SearchHit",
    "Snapshot",
    "StorageError",
    "StorageFullError",
    "StoredArchitecture",
    "StoredCausalEdge",
    "StoredIntelligence",
    "StoredMemory",
    "StoredReflexionEpisode",
    "StoredSkill",
    "StoredVector",
    "Tier",
    "Transaction",
    "TransactionError",
    "UnsupportedError",
    "VectorHit",
    "Weights",
]

# What a store does not need to be opened is loaded when it is first asked for: a tenth of a start.
_LATER = {
    "DatabaseStatistics": "entities.statistics",
    "Embedder": "entities.embedding",
    "Explanation": "recall.hits",
    "Hit": "recall.hits",
    "ImportReport": "transfer",
    "NearMiss": "recall.hits",
    "Note": "doctor",
    "OnConflict": "transfer",
    "Parts": "recall.hits",
    "QuarantinedRow": "entities.quarantine",
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
