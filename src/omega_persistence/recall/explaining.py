"""Why memories were recalled, and what kept others out."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec.structs import replace

from omega_persistence.backends import EVERYTHING
from omega_persistence.backends.filters import ANY
from omega_persistence.entities.words import places
from omega_persistence.errors import CorruptionError
from omega_persistence.recall.hits import NearMiss
from omega_persistence.recall.pool import gather, read
from omega_persistence.recall.ranking import Ranking

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from omega_persistence.backends import Session
    from omega_persistence.recall.hits import Hit, Parts, Reason
    from omega_persistence.recall.pool import Query
    from omega_persistence.recall.ranking import Candidate

LOOKED_AT = 50_000
"""Characters of a memory in which an explanation looks for words."""


def explain_hits(
    session: Session, query: Query, pool: Mapping[str, Candidate], hits: Sequence[Hit]
) -> list[Hit]:
    """The hits with what made them hits, in words."""
    forms = {token: word for word in query.question.words for *_, token in session.tokens(word)}
    return [replace(hit, why=tuple(_reasons(session, forms, pool, hit))) for hit in hits]


def _reasons(
    session: Session, forms: Mapping[str, str], pool: Mapping[str, Candidate], hit: Hit
) -> Generator[str]:
    memory, parts, known = hit.memory, hit.parts, pool[hit.memory.id]
    if known.words > 0:
        texts = (memory.content, memory.keywords)
        if {*map(type, texts)} != {str}:
            raise CorruptionError("the text of a memory is not text", hint="See check().")
        there = {form for text in texts for *_, form in places(text[:LOOKED_AT], session.tokens)}
        held = ", ".join(dict.fromkeys(forms[token] for token in forms if token in there))
        phrases = ", some of them side by side" if known.phrases > 0 else ""
        yield f"holds the words {held}{phrases}" if held else "holds words of the question"
    if parts.vector > 0:
        yield f"its vector has the cosine {known.cosine:.3f} with the question's"
    for other in pool.values():
        if other.words > 0 or other.cosine > 0:
            # The link is known from one end at least.
            if other.id == known.before or other.after == memory.id:
                yield f"follows {other.id}{', which asks something' if other.asks else ''}"
            elif other.id == known.after or other.before == memory.id:
                yield f"precedes {other.id}"
    if parts.session > 0:
        yield f"belongs to the session {memory.session}, which has {parts.session:.2f} to give"


def near_misses(
    session: Session, namespace: str, query: Query, ranking: Ranking, admitted: Sequence[str]
) -> list[NearMiss]:
    """What came next, and what would have been among the answers but for filter and expiry."""
    found: dict[str, tuple[Parts, Reason]] = {
        id: (ranking.parts(id), "limit") for id in admitted[query.limit : 2 * query.limit]
    }
    with _everything(session):
        pool = gather(session, namespace, replace(query, filter=ANY))
        unfiltered = Ranking(pool, ranking.weights, session.now)
    best = unfiltered.order[: query.limit]
    visible = session.admitted(namespace, ANY, best)
    passing = session.admitted(namespace, query.filter, best)
    for id in best:
        if id not in passing:
            found[id] = unfiltered.parts(id), "filter" if id in visible else "expiry"
    order = [id for _, id in sorted((-parts.score, id) for id, (parts, _) in found.items())]
    with _everything(session):
        records = read(session, namespace, order)
    return [NearMiss(record, found[record.id][0].score, *found[record.id]) for record in records]


@contextmanager
def _everything(session: Session) -> Generator[None]:
    """Let expired memories be seen."""
    now, session.now = session.now, EVERYTHING
    try:
        yield
    finally:
        session.now = now
