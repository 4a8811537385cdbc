"""The same memory twice: how it is recognised, and how two become one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from omega_persistence.entities.embedding import speaker_of
from omega_persistence.entities.memories import StoredMemory
from omega_persistence.entities.record import checked, encode_json
from omega_persistence.errors import CorruptionError, InvalidDataError
from omega_persistence.remembering.drafts import SEPARATOR

if TYPE_CHECKING:
    from typing import Any

    from omega_persistence.backends import Session
    from omega_persistence.entities.memories import Memories
    from omega_persistence.remembering.drafts import Prepared

LOOKED_AT = 20
"""How many of the nearest memories are looked at for one of the same speaker."""

ROUNDING = 1e-6
"""What the cosine of a vector with itself may lack."""


def find(
    session: Session, namespace: str, memories: Memories, prepared: Prepared
) -> StoredMemory | None:
    """The stored memory that says the same: the first with these words, else the nearest.

    A memory that is remembered again under its id is no duplicate of itself or of others.
    """
    memory = prepared.memory
    if prepared.draft.id is not None and memories.get_many([memory.id]):
        return None
    speaker = speaker_of(memory.metadata_json)
    same = session.same_memory(namespace, memory.content, speaker)
    if same is not None:
        return memories.get(same)
    vector, threshold = prepared.vector, prepared.draft.duplicate_threshold
    if vector is None or threshold is None:
        return None
    near = session.nearest(namespace, vector.space, vector.data_blob, LOOKED_AT)
    ids = [id for id, _, cosine in near if cosine >= threshold - ROUNDING]
    others = memories.get_many(ids)
    return next((each for each in others if speaker_of(each.metadata_json) == speaker), None)


def merged(old: StoredMemory, new: StoredMemory) -> StoredMemory:
    """One memory of two: the id of the older, the content of the newer, the words of both.

    The rules of `put` apply when it is written: the earlier ``created_at`` stays, and the later
    ``last_accessed``.

    Raises:
        CorruptionError: the older breaks a rule, which no memory did when it was stored.
    """
    try:
        old = checked(old, StoredMemory)
    except InvalidDataError as error:
        raise CorruptionError(f"in the file, {error}", hint="See check().") from error
    metadata = old.metadata | new.metadata
    tags = _union(_texts(old.metadata, "tags"), _texts(new.metadata, "tags"))
    if tags:
        metadata["tags"] = tags
    keywords = _union(old.keywords.split(SEPARATOR), new.keywords.split(SEPARATOR))
    never = old.expires_at is None or new.expires_at is None
    one = replace(
        new,
        id=old.id,
        importance=max(old.importance, new.importance),
        embedding_blob=old.embedding_blob,
        session=old.session if new.session is None else new.session,
        keywords=SEPARATOR.join(filter(None, keywords)),
        metadata_json=encode_json(metadata, "StoredMemory", "metadata") if metadata else None,
        expires_at=None if never else max(old.expires_at or 0, new.expires_at or 0),
    )
    return checked(one, StoredMemory)


def _texts(metadata: dict[str, Any], name: str) -> list[str]:
    try:
        return msgspec.convert(metadata.get(name, []), list[str])
    except msgspec.ValidationError:
        return []


def _union(first: list[str], second: list[str]) -> list[str]:
    """All of them once, in the order in which they were first named."""
    return list(dict.fromkeys((*first, *second)))
