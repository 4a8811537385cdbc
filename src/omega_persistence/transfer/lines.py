"""The lines of an exported file, and reading them one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast

import msgspec
from msgspec import Meta, Struct

from omega_persistence.entities.quarantine import RawRow
from omega_persistence.entities.record import introduce
from omega_persistence.errors import InvalidDataError, SchemaError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from omega_persistence.transfer import Readable

FORMAT = "omega-persistence"
VERSION = 1

QUARANTINE = "quarantine"
END = "end"

CHUNK = 256 * 1024
"""Bytes read at a time."""

MAX_LINE = 512 * 1024 * 1024
"""The longest line in bytes; a row of 64 MiB that is all control characters needs 384 MiB."""

T = TypeVar("T")
E = TypeVar("E", bound=StorageError)


class Header(Struct, frozen=True):
    """The first line."""

    format: str
    version: Annotated[int, Meta(ge=1)]
    schema: int


class Line(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """Any other line."""

    kind: str
    namespace: str | None = None
    record: Any = None
    counts: dict[str, int] | None = None


class QuarantineRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """The record of a line of kind ``quarantine``."""

    table: str
    raw: RawRow
    reason: str


for _kind in (Header, Line, QuarantineRecord):
    introduce(_kind)


class LineReader:
    """Iterates over the lines that are not blank, without their ends.

    Attributes:
        number: The number of the current line, from 1.
        bytes_read: How much has been read from the source.
    """

    def __init__(self, source: Readable) -> None:
        self.number = 0
        self.bytes_read = 0
        self._source = source
        self._unfinished = False
        self._lines = self._split()

    def __iter__(self) -> Iterator[bytes]:
        for line in self._lines:
            self.number += 1
            if line and not line.isspace():
                yield line

    def header(self) -> Header:
        """The first line.

        Raises:
            InvalidDataError: it is not the header of an export.
            SchemaError: the file has a newer format.
        """
        for text in self:
            header = self.decode(text, Header)
            if header.format != FORMAT:
                raise self.refusal(f"the format is {header.format!r:.80}, not {FORMAT!r}")
            if header.version > VERSION:
                raise at_line(
                    SchemaError(
                        f"the file has version {header.version} of the format, this library knows"
                        f" up to {VERSION}",
                        hint="Upgrade omega-persistence.",
                    ),
                    self.number,
                )
            return header
        raise InvalidDataError("the file is empty: an export has a header at least")

    def decode(self, text: bytes, kind: type[T]) -> T:
        """What stands in the current line.

        Raises:
            InvalidDataError: it is not JSON, or not of that form.
        """
        try:
            return msgspec.json.decode(text, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            hint = "The file ends within this line: it was cut off." if self._unfinished else None
            what = "the header" if kind is Header else "a line"
            raise self.refusal(f"this is not {what} of an export: {error}", hint) from error

    def refusal(self, message: str, hint: str | None = None) -> InvalidDataError:
        """An error about the current line."""
        return at_line(InvalidDataError(message, hint=hint), self.number)

    def _split(self) -> Iterator[bytes]:
        # Not splitlines(), nor a text file: text may hold other line ends, such as U+2028.
        parts: list[bytes] = []
        length = 0
        while chunk := self._read():
            first, *others = chunk.split(b"\n")
            parts.append(first)
            length += len(first)
            for other in others:
                yield b"".join(parts)
                parts, length = [other], len(other)
            if length > MAX_LINE:
                self.number += 1
                raise self.refusal(f"the line is longer than {MAX_LINE} bytes")
        if length:
            self._unfinished = True
            yield b"".join(parts)

    def _read(self) -> bytes:
        chunk = cast("object", self._source.read(CHUNK))
        if not isinstance(chunk, bytes):
            message = f"reading gave {type(chunk).__name__}, not bytes"
            raise InvalidDataError(message, field="source", hint="Open the file in binary mode.")
        self.bytes_read += len(chunk)
        return chunk


def at_line(error: E, number: int) -> E:
    """The error with the line that it is about."""
    error.args = (f"line {number}: {error}",)
    error.index = number - 1
    return error
