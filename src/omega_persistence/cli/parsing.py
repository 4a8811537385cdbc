"""From JSON to records, with errors that say which record and which field."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any, TypeVar, cast

import msgspec

from omega_persistence.entities.record import Record, encode_json
from omega_persistence.errors import InvalidDataError

R = TypeVar("R", bound=Record)


def parse_records(data: bytes, kind: type[R]) -> list[R]:
    """The records of JSON text: an object, an array of objects, or an object a line.

    Raises:
        InvalidDataError: naming the record by its number or line, and what is wrong with it.
    """
    data = data.removeprefix(b"\xef\xbb\xbf")  # some editors mark UTF-8 so
    try:
        whole = msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _of_lines(data, kind)
    if isinstance(whole, list):
        each = enumerate(cast("list[object]", whole), start=1)
        return [_record(value, kind, f"record {number}") for number, value in each]
    return [_record(whole, kind, "the record")]


def _of_lines(data: bytes, kind: type[R]) -> list[R]:
    records: list[R] = []
    # Only line feeds: text may hold U+2028 and the like unescaped.
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            value = msgspec.json.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            message = f"line {number} is not JSON: {error}"
            hint = "Give an object, an array of objects, or an object a line."
            raise InvalidDataError(message, hint=hint, index=len(records)) from error
        records.append(_record(value, kind, f"line {number}"))
    return records


def _record(value: object, kind: type[R], where: str) -> R:
    if not isinstance(value, dict):
        message = f"{where} is not a JSON object: {value!r:.80}"
        raise InvalidDataError(message, kind=kind.__name__)
    fields = cast("dict[str, Any]", value)
    for field in fields:
        if field not in kind.__struct_fields__:
            raise _unknown(field, kind, where)
    for field in kind.json_shapes:
        given = fields.get(field)
        if given is not None and not isinstance(given, str):
            fields[field] = encode_json(given, kind.__name__, field)
    try:
        return msgspec.convert(fields, kind)
    except (msgspec.ValidationError, ValueError) as error:
        text = str(error)
        message = f"{where} is no {kind.__name__}: {text[:1].lower()}{text[1:]}"
        raise InvalidDataError(message, kind=kind.__name__) from error


def _unknown(field: str, kind: type[Record], where: str) -> InvalidDataError:
    message = f"{where} has a field {field!r:.80}, which a {kind.__name__} has not"
    close = get_close_matches(field, kind.__struct_fields__, n=1, cutoff=0.5)
    fields = ", ".join(kind.__struct_fields__)
    hint = f"Did you mean {close[0]}?" if close else f"Its fields are {fields}."
    return InvalidDataError(message, hint=hint, kind=kind.__name__, field=field)
