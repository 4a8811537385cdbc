"""Taking texts apart as the full-text index does."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import apsw

from omega_persistence.errors import CorruptionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Token = tuple[int, int, str]
    """A word of a text: where it begins, where it ends, and its form in the index."""


class Tokenizer:
    """Takes a text apart as the index of a connection does."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._tokenize = connection.fts5_tokenizer(
            "porter", ["unicode61", "remove_diacritics", "2"]
        )

    def __call__(self, text: str) -> list[Token]:
        """Its words, with their places in characters."""
        encoded = _encoded(text)
        found = self._tokenize(encoded, apsw.FTS5_TOKENIZE_DOCUMENT, None, include_colocated=False)
        tokens = cast("list[Token]", found)
        return tokens if len(encoded) == len(text) else list(_in_characters(encoded, tokens))

    def forms(self, text: str) -> list[str]:
        """Its words as the index has them, in a bit more than half of the time."""
        found = self._tokenize(
            _encoded(text),
            apsw.FTS5_TOKENIZE_DOCUMENT,
            None,
            include_offsets=False,
            include_colocated=False,
        )
        return cast("list[str]", found)


def _encoded(text: object) -> bytes:
    if type(text) is not str:
        raise CorruptionError("the text of a memory is not text", hint="See check().")
    return text.encode()


def _in_characters(text: bytes, tokens: Iterable[Token]) -> Iterator[Token]:
    """The same words, whose places were counted in bytes."""
    seen = characters = 0
    for start, end, token in tokens:
        first = characters + len(text[seen:start].decode())
        characters = first + len(text[start:end].decode())
        seen = end
        yield first, characters, token
