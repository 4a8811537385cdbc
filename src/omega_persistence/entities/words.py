"""The words of a text: those that a memory is found by, and those that a question asks for."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

from omega_persistence.backends.questions import Question
from omega_persistence.errors import InvalidDataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from omega_persistence.entities.snippets import Place

MAX_WORDS = 64
"""A question uses its first 64 different words: each costs a pass over its index entries."""

MAX_TEXT = 20_000
"""Characters of a question that are looked at."""

# Chinese, Japanese and Korean characters that are part of words: Hangul, kana, ideographs.
CJK = (
    "\u1100-\u11ff\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3131-\u318e"
    "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\uff66-\uff9f"
    "\U00020000-\U000323af"
)

# A character that stands for a word.
_ALONE = f"[{CJK}]"

# Such characters, with the marks that belong to kana.
_MARKED = f"[{CJK}\u3099\u309a]+"

# Letters and digits of other scripts, with the marks after them.
_RUN = rf"[^\W{CJK}](?:[^\W{CJK}]|[\u0300-\u036f])*+"

# A word: one of those characters, or a run of others.
_WORD = f"{_ALONE}|{_RUN}"

# The words that the index would take together for one: text in these languages has no blanks.
_APART = rf"({_ALONE})|(?<={_ALONE}){_RUN}|(?<![^\W{CJK}]|[\u0300-\u036f]){_RUN}(?={_ALONE})"

# English words that say nothing about the topic, and what an apostrophe leaves of others. Ranking
# by them would cost a visit of nearly every memory; without them recall is better as well.
_STOP = frozenset(
    (
        *("a", "am", "an", "and", "are", "as", "at", "be", "been", "by", "did", "do", "does"),
        *("for", "from", "had", "has", "have", "how", "i", "if", "in", "is", "it", "its", "of"),
        *("on", "or", "that", "the", "this", "to", "was", "were", "what", "when", "where"),
        *("which", "who", "why", "will", "with", "would", "d", "ll", "m", "re", "s", "t", "ve"),
    )
)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)  # 5 ms each, which would be a sixth of a start


class Text(Protocol):
    """What has text to be found by."""

    @property
    def content(self) -> str:
        """The text itself."""
        ...

    @property
    def keywords(self) -> str:
        """More words to be found by."""
        ...


def search_terms(text: Text) -> str:
    """Every Chinese, Japanese and Korean character by itself, and the words right beside them."""
    if text.content.isascii() and text.keywords.isascii():
        return ""
    both = f"{text.content}\n{text.keywords}"
    if _compiled(_ALONE).search(both) is None:
        return ""
    return " ".join(match[0] for match in _compiled(_APART).finditer(_composed(both)))


def _composed(text: str) -> str:
    """A text with each syllable of Hangul, and each kana with its mark, as one character.

    Other letters are left to the index, which has rules of its own for them.
    """
    if text.isascii():
        return text
    from unicodedata import normalize  # noqa: PLC0415 - not at the start

    return _compiled(_MARKED).sub(lambda run: normalize("NFC", run[0]), text)


def question(text: str, *, content: float = 1.0, keywords: float = 1.0) -> Question:
    """What a text asks for: its first different words, without those that say nothing.

    If all of them say nothing, all are kept. Two words are a pair if nothing but words that say
    nothing stand between them.
    """
    words = _compiled(_WORD).findall(_composed(text[:MAX_TEXT]))
    words = [word for word in words if word.casefold() not in _STOP] or words
    different: dict[str, str] = {}
    for word in words:
        if len(different) == MAX_WORDS:
            break
        different.setdefault(word.casefold(), word)
    pairs = dict.fromkeys(
        (different[first.casefold()], different[second.casefold()])
        for first, second in pairwise(words[: 2 * MAX_WORDS])
        if first.casefold() in different and second.casefold() in different
    )
    return Question(
        words=tuple(different.values()), pairs=tuple(pairs), content=content, keywords=keywords
    )


def places(text: str, tokens: Callable[[str], Iterable[Place]]) -> Iterator[Place]:
    """Every word of a text, in the form under which the index has it.

    Args:
        text: Any.
        tokens: The words of a text as the tokenizer of the index tells them apart.
    """
    yield from tokens(text)
    if text.isascii():
        return
    for match in _compiled(_APART).finditer(text):
        if match[1]:
            yield *match.span(), match[0]
        else:
            for start, end, form in tokens(match[0]):
                yield match.start() + start, match.start() + end, form


def checked_weight(name: str, weight: float) -> float:
    """How much something weighs, given by a caller: above 0, since a weight of 0 finds nothing."""
    if type(weight) not in {int, float} or not 0 < weight <= 1000:
        message = f"{name} must be a number above 0, at most 1000: {weight!r:.80}"
        raise InvalidDataError(message, field=name)
    return float(weight)
