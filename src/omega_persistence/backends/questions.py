"""What is looked for in the text of memories, as every backend understands it."""

from __future__ import annotations

from msgspec import Struct


class Question(Struct, frozen=True, kw_only=True):
    """Words of which a memory should hold as many as it can; made by `entities.words.question`.

    Attributes:
        words: The different words, as they were written, in their order. Nothing in them is
            syntax. An index that knows stems takes those of one stem for one word.
        pairs: Those that follow each other in the question, of ``words`` both.
        content: How much a word in the content weighs.
        keywords: How much a word in the keywords weighs.
    """

    words: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...] = ()
    content: float = 1.0
    keywords: float = 1.0
