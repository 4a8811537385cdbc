"""Gathering the candidates of a question, and what is known of each, in one snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

import msgspec
from msgspec import Struct

from omega_persistence.backends.filters import ANY, Filter
from omega_persistence.backends.questions import Question
from omega_persistence.backends.scopes import Joined
from omega_persistence.entities import Collections
from omega_persistence.entities.record import introduce
from omega_persistence.errors import CorruptionError
from omega_persistence.recall.ranking import Candidate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from omega_persistence.backends import Session, TextSearch
    from omega_persistence.entities.memories import StoredMemory

WORDS = (20, 10)
"""How many candidates come from the words at least, and how many more than are wanted."""

VECTORS = (14, 4)
"""The same of the vectors. Fewer, since their order stays, while that of the words is mended."""

# Besides the question mark those of Chinese and Japanese, and of Arabic.
_ABOUT: LiteralString = """
    SELECT memories.id, memories.seq, session, created_at, importance,
        content LIKE '%?%' OR content LIKE '%\uff1f%' OR content LIKE '%\u061f%',
        octet_length(content) + octet_length(keywords)"""

_VISIBLE = "(expires_at IS NULL OR expires_at > :now)"

_OTHER: LiteralString = """
        SELECT other.id FROM memories AS other
        WHERE other.namespace = :namespace AND other.session = memories.session
          AND (other.expires_at IS NULL OR other.expires_at > :now)"""

# Each is found in the index of sessions: first among those of the same second, then of others.
# Compared as pairs of time and id, all those of the same second would be visited.
_NEXT_TO: LiteralString = f"""{_ABOUT},
    coalesce((
        {_OTHER} AND other.created_at = memories.created_at AND other.id < memories.id
        ORDER BY other.id DESC LIMIT 1
    ), (
        {_OTHER} AND other.created_at < memories.created_at
        ORDER BY other.created_at DESC, other.id DESC LIMIT 1
    )),
    coalesce((
        {_OTHER} AND other.created_at = memories.created_at AND other.id > memories.id
        ORDER BY other.id LIMIT 1
    ), (
        {_OTHER} AND other.created_at > memories.created_at
        ORDER BY other.created_at, other.id LIMIT 1
    ))
    FROM memories WHERE namespace = :namespace AND {_VISIBLE} AND memories.id """

_ALONE: LiteralString = f"""{_ABOUT}
    FROM memories WHERE namespace = :namespace AND {_VISIBLE} AND memories.id """


class Query(Struct, frozen=True, kw_only=True):
    """What is asked, checked.

    Attributes:
        question: The words, none for a question without text.
        vector: Float32, little-endian, or None.
        space: Of the vector.
        filter: What may be returned.
        limit: How many.
    """

    question: Question
    vector: bytes | None
    space: str
    filter: Filter
    limit: int


def gather(session: Session, namespace: str, query: Query) -> dict[str, Candidate]:
    """The best by words and the best by vector, what lies next to them, and all their scores.

    Scores are the true ones for every candidate, whichever side found it: a candidate that one
    side has only not returned would else count as one that has nothing to do with the question.
    """
    limit, filter = query.limit, query.filter
    text = session.search(namespace, query.question)
    found = dict.fromkeys(text.candidates(_wanted(WORDS, limit), limit, filter))
    cosines: dict[str, float] = {}
    if query.vector is not None:
        wanted = _wanted(VECTORS, limit)
        nearest = session.nearest(namespace, query.space, query.vector, wanted, filter=filter)
        cosines = {id: cosine for id, _, cosine in nearest}
    pool = _load(session, namespace, _NEXT_TO, {**found, **cosines})
    beside = {
        id: None for each in pool.values() for id in (each.before, each.after) if id is not None
    }
    neighbours = _load(session, namespace, _ALONE, beside.keys() - pool.keys())
    if neighbours and filter != ANY:
        admitted = session.admitted(namespace, filter, list(neighbours))
        for each in neighbours.values():
            each.admitted = each.id in admitted
    pool.update(neighbours)
    _score(pool, text)
    if query.vector is not None:
        others = list(pool.keys() - cosines.keys())
        cosines.update(session.similarities(namespace, query.space, query.vector, others))
        for id, cosine in cosines.items():
            if id in pool:  # in a damaged file a vector may have lost its memory
                pool[id].cosine = cosine
    return pool


def _wanted(candidates: tuple[int, int], limit: int) -> int:
    fewest, more = candidates
    return max(fewest, limit + more)


def read(session: Session, namespace: str, ids: Iterable[str]) -> list[StoredMemory]:
    """Memories in the order of their ids as given, those that there are."""
    return Collections(Joined(session, writable=False), namespace).memories.get_many(ids)


def _score(pool: dict[str, Candidate], text: TextSearch) -> None:
    found = {each.seq: each for each in pool.values()}
    words, phrases = text.scores(found)
    for seq, score in words.items():
        found[seq].words = score
    for seq, score in phrases.items():
        found[seq].phrases = score


def _load(
    session: Session, namespace: str, sql: LiteralString, ids: Iterable[str]
) -> dict[str, Candidate]:
    listed = msgspec.json.encode(list(ids)).decode()
    rows = session.rows(sql + session.among, namespace=namespace, ids=listed)
    introduce(Candidate)
    try:
        found = msgspec.convert(rows, list[Candidate])
    except msgspec.ValidationError as error:
        message = f"a memory is not as it was stored: {error}"
        raise CorruptionError(message, hint="See check().") from error
    return {each.id: each for each in found}
