"""What does a question to the text of many memories cost, and what to those of a few?"""

from __future__ import annotations

from itertools import cycle, islice
from typing import TYPE_CHECKING, cast

import raw
from corpus import SEED, memories
from measure import Cost, compare, cost
from omega_persistence import OmegaStore
from report import Report, clock, times

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from workshop import Workshop

SIZE = 100_000
QUESTIONS = 20  # in a round
WORDS = 5
LIMIT = 10

_BY_HAND = """
    SELECT id, -bm25(memories_fts, 1, 1, 1, 0) AS score
    FROM memories_fts JOIN memories ON seq = memories_fts.rowid
    WHERE memories_fts MATCH ? AND namespace = 'default'
      AND (expires_at IS NULL OR expires_at > unixepoch())
    ORDER BY score DESC, id LIMIT ?
"""


def run(workshop: Workshop) -> Report:
    size, rounds = workshop.scaled(SIZE), workshop.rounds(11)
    path = workshop.new_store(size)
    questions = list(_questions(100))
    connection = raw.connect(path)
    with OmegaStore(path) as store:
        few = store.in_namespace("few")
        few.memories.put_many(memories(size // 100, seed=SEED + 1))

        def ask(place: OmegaStore) -> Callable[[], Cost]:
            following = cycle(questions)
            return lambda: cost(
                lambda: [
                    place.memories.search(text, limit=LIMIT)
                    for text in islice(following, QUESTIONS)
                ]
            )

        def by_hand(text: str) -> list[tuple[str, float]]:
            query = " OR ".join(f'"{word}"' for word in text.split())
            rows = connection.execute(_BY_HAND, (query, LIMIT)).fetchall()
            return cast("list[tuple[str, float]]", rows)

        following = cycle(questions)
        searched = compare(
            ask(store),
            lambda: cost(lambda: [by_hand(text) for text in islice(following, QUESTIONS)]),
            rounds,
        )
        for text in questions[:10]:
            found = [(hit.memory.id, round(hit.score, 6)) for hit in store.memories.search(text)]
            assert found == [(id, round(score, 6)) for id, score in by_hand(text)]
        scoped = compare(ask(few), ask(store), rounds)
    connection.close()
    workshop.remove(path)
    return Report(
        f"The {LIMIT} best of {size:,} memories for {WORDS} words, any of which may stand in them.",
        [
            times("search; raw: a query by hand", searched, QUESTIONS),
            times("in a namespace of 1/100; raw: all", scoped, QUESTIONS, at_most=0.2),
        ],
        [
            clock("One search", searched, QUESTIONS),
            "By hand every memory with one of the words is ranked by FTS5. A search also reads the",
            "memories whole and cuts snippets. Ten answers are compared: they are the same.",
        ],
    )


def _questions(count: int) -> Iterator[str]:
    """Words of other memories, none of which is left out as saying nothing."""
    for memory in memories(count, seed=SEED + 2):
        words = dict.fromkeys(memory.content.split())
        words = [word for word in words if len(word) > 2 and word != "for"]
        yield " ".join(words[:WORDS])
