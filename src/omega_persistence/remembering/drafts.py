"""What `remember` was asked to store, and the records that it makes of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import gmtime
from typing import TYPE_CHECKING, Any, NoReturn, cast, get_args

from msgspec import Struct

from omega_persistence.entities.embedding import text_to_embed
from omega_persistence.entities.memories import StoredMemory, Tier
from omega_persistence.entities.record import (
    check_text,
    checked,
    checked_time,
    encode_json,
    new_id,
)
from omega_persistence.entities.vector_records import StoredVector
from omega_persistence.errors import InvalidDataError, StorageError
from omega_persistence.remembering.remembering import THRESHOLD, OnDuplicate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from omega_persistence.entities.embedding import Embedder

SEPARATOR = "; "
"""Between the parts of ``keywords``."""

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


class Draft(Struct, frozen=True, kw_only=True):
    """The arguments of `remember`, as they were given; their names and defaults stand here."""

    content: str
    tier: int = Tier.EPISODIC
    importance: float = 0.5
    session: str | None = None
    speaker: str | None = None
    tags: Sequence[str] = ()
    metadata: Mapping[str, Any] | None = None
    vector: Any = None
    space: str | None = None
    at: int | None = None
    expires_at: int | None = None
    id: str | None = None
    on_duplicate: OnDuplicate = "keep"
    duplicate_threshold: float | None = THRESHOLD


class Prepared(Struct, frozen=True, kw_only=True):
    """A draft that was checked: nothing of it is looked at again under the lock.

    Attributes:
        memory: The memory, checked.
        vector: Its vector, checked; None if it shall have none.
        draft: What it was made of.
    """

    memory: StoredMemory
    vector: StoredVector | None
    draft: Draft


def draft_of(item: object, index: int) -> Draft:
    """The draft of a mapping given to `remember_many`.

    Raises:
        InvalidDataError: it is not a mapping, lacks the content, or has an unknown name.
    """
    if not isinstance(item, Mapping):
        raise _misuse(f"is no mapping of arguments: {item!r:.80}", index)
    arguments = cast("Mapping[Any, Any]", item)
    fields = Draft.__struct_fields__
    for name in arguments:
        if name not in fields:
            from difflib import get_close_matches  # noqa: PLC0415 - only for what is wrong

            close = get_close_matches(str(name), fields, n=1)
            hint = f"Did you mean {close[0]}?" if close else f"There are {', '.join(fields)}."
            raise _misuse(f"has an unknown argument {name!r:.80}", index, str(name), hint)
    if "content" not in arguments:
        raise _misuse("has no content", index, "content")
    return Draft(**arguments)


def _misuse(
    what: str, index: int, field: str | None = None, hint: str | None = None
) -> InvalidDataError:
    return InvalidDataError(
        f"number {index} of the batch {what}", hint=hint, field=field, index=index
    )


def prepare(drafts: Sequence[Draft], embedder: Embedder | None, *, batch: bool) -> list[Prepared]:
    """Check drafts, and embed those that bring no vector, outside any lock.

    Every draft is checked before the first is embedded. Errors carry an index in a ``batch``.
    """
    memories: list[StoredMemory] = []
    vectors: list[StoredVector | None] = []
    for index, draft in enumerate(drafts):
        try:
            memories.append(checked(_memory(draft), StoredMemory, index if batch else None))
            vectors.append(_given_vector(draft, memories[-1].id, embedder))
            _check_policy(draft)
        except StorageError as error:
            if batch:
                error.index = index
            raise
    if embedder is not None:
        bare = [index for index, vector in enumerate(vectors) if vector is None]
        for index, vector in zip(bare, _embedded(bare, memories, embedder), strict=True):
            vectors[index] = vector
    return [
        Prepared(memory=memory, vector=vector, draft=draft)
        for memory, vector, draft in zip(memories, vectors, drafts, strict=True)
    ]


def _memory(draft: Draft) -> StoredMemory:
    metadata = _metadata(draft)
    at = checked_time(draft.at)
    return StoredMemory(
        id=new_id() if draft.id is None else draft.id,
        content=draft.content,
        tier=draft.tier,
        importance=draft.importance,
        created_at=at,
        last_accessed=at,
        session=draft.session,
        keywords=keywords_of(metadata, at),
        metadata_json=encode_json(metadata, "StoredMemory", "metadata") if metadata else None,
        expires_at=draft.expires_at,
    )


def _metadata(draft: Draft) -> dict[str, Any]:
    """The metadata with speaker and tags, so that filters and a later embedding find them."""
    if draft.metadata is not None and not isinstance(draft.metadata, dict):
        _refuse("metadata", draft.metadata, "must be a dict")
    metadata: dict[str, Any] = dict(draft.metadata or {})
    given: dict[str, Any] = {}
    if draft.speaker is not None:
        given["speaker"] = check_text("speaker", draft.speaker)
    if isinstance(draft.tags, str):
        _refuse("tags", draft.tags, "must be several texts, not one")
    tags = [check_text("a tag", tag) for tag in draft.tags]
    if tags:
        given["tags"] = tags
    for name, value in given.items():
        if metadata.setdefault(name, value) != value:
            _refuse("metadata", metadata[name], f"names another {name!r} than the argument")
    return metadata


def _refuse(field: str, value: object, rule: str) -> NoReturn:
    raise InvalidDataError(f"{field} {rule}: {value!r:.80}", field=field)


def keywords_of(metadata: Mapping[str, Any], at: int) -> str:
    """Words that a question may name though the content does not: who, what about, and when."""
    return SEPARATOR.join(_keywords(metadata, at))


def _keywords(metadata: Mapping[str, Any], at: int) -> Iterator[str]:
    speaker, tags = metadata.get("speaker"), metadata.get("tags")
    if isinstance(speaker, str):
        yield speaker
    if isinstance(tags, list):
        yield from (tag for tag in cast("list[object]", tags) if isinstance(tag, str))
    date = date_in_words(at)
    if date is not None:
        yield date


def date_in_words(at: int) -> str | None:
    """The date of a Unix time, such as "8 May, 2023" (UTC); None beyond the calendar."""
    try:
        day = gmtime(at)
    except (OverflowError, ValueError, OSError):
        return None
    return f"{day.tm_mday} {_MONTHS[day.tm_mon - 1]}, {day.tm_year}"


def _given_vector(draft: Draft, memory_id: str, embedder: Embedder | None) -> StoredVector | None:
    if draft.vector is None:
        if draft.space is not None:
            _refuse("space", draft.space, "names where a vector goes, and there is none")
        return None
    if draft.space is None:  # what there is else was checked
        space = embedder.space if embedder else ""
        return StoredVector.from_array(memory_id, draft.vector, space=space)
    vector = StoredVector.from_array(memory_id, draft.vector, space=draft.space)
    return checked(vector, StoredVector)


def _embedded(
    bare: Sequence[int], memories: Sequence[StoredMemory], embedder: Embedder
) -> Iterator[StoredVector]:
    chosen = [memories[index] for index in bare]
    texts = [text_to_embed(memory.content, memory.metadata_json) for memory in chosen]
    rows = (row for matrix in embedder.batches(texts) for row in matrix)
    for memory, row in zip(chosen, rows, strict=True):
        yield StoredVector.from_array(memory.id, row, space=embedder.space)


def _check_policy(draft: Draft) -> None:
    if draft.on_duplicate not in get_args(OnDuplicate):
        rule = f"is one of {', '.join(get_args(OnDuplicate))}"
        _refuse("on_duplicate", draft.on_duplicate, rule)
    threshold: object = draft.duplicate_threshold
    if threshold is None:
        return
    if type(threshold) not in (int, float) or not 0 < threshold <= 1:  # type: ignore[operator]
        _refuse("duplicate_threshold", threshold, "is a cosine above 0, up to 1, or None")
