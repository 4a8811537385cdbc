"""What every record has in common: field types, JSON text, and the rules checked on write."""

from __future__ import annotations

import math
import os
from operator import attrgetter
from struct import pack, unpack
from sys import byteorder
from threading import Lock
from time import time, time_ns
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar, get_type_hints

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import asdict, astuple, force_setattr, replace

from omega_persistence.errors import InvalidDataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    class JSONText:
        """How a type checker sees a ``*_json`` field: JSON text, set also from an object."""

        def __get__(self, instance: object, owner: type | None = None) -> str: ...
        def __set__(
            self, instance: object, value: str | Mapping[str, Any] | Sequence[Any]
        ) -> None: ...

    class OptionalJSONText:
        """The same, where None means that there is none."""

        def __get__(self, instance: object, owner: type | None = None) -> str | None: ...
        def __set__(self, instance: object, value: str | Mapping[str, Any] | None) -> None: ...
else:
    JSONText = str
    OptionalJSONText = str | None

ABSENT: Any = None
"""The default of an `OptionalJSONText` field."""

MAX_BYTES = 16 * 1024 * 1024
"""The longest text or blob that a field may hold."""

MAX_NAMESPACE = 1000
"""The longest namespace, in characters; it stands in every row and in every index."""

Id = Annotated[str, Meta(min_length=1)]
Name = Annotated[str, Meta(min_length=1)]
Time = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1, description="Unix seconds")]
Expiry = Annotated[int, Meta(ge=0, le=2**63 - 1, description="Unix seconds")]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Unit = Annotated[float, Meta(ge=0.0, le=1.0)]
Finite = Annotated[float, Meta(ge=-1.7976931348623157e308, le=1.7976931348623157e308)]


def now() -> int:
    """The present as Unix seconds."""
    return int(time())


def checked_time(at: int | None, what: str = "at") -> int:
    """A Unix time given by a caller; the present for None."""
    if at is None:
        return now()
    if type(at) is not int or not -(2**63) <= at < 2**63:
        message = f"{what} must be whole Unix seconds within 64 bits: {at!r:.80}"
        raise InvalidDataError(message, field=what)
    return at


_last_id = 0
_ids = Lock()


def new_id() -> str:
    """A time-ordered UUID (version 7, RFC 9562): later calls in a process sort later.

    The 42 bits after the milliseconds count on from a random start within each millisecond
    (method 1 of section 6.2); 32 random bits follow, which also tell apart what two processes may
    draw at once.
    """
    noise = int.from_bytes(os.urandom(9), "big")
    return _id(_numbers(1, noise >> 32), noise & 0xFFFFFFFF)


def new_ids(count: int) -> list[str]:
    """So many of them in their order, each for half of what `new_id` costs."""
    noise = os.urandom(5 + 4 * count)
    first = _numbers(count, int.from_bytes(noise[:5], "big"))
    randoms = unpack(f">{count}I", noise[5:])
    return [_id(first + place, random) for place, random in enumerate(randoms)]


def _numbers(count: int, start: int) -> int:
    """The first of so many numbers that nobody else in the process gets."""
    global _last_id  # noqa: PLW0603 - the one piece of state that makes ids monotonic
    with _ids:
        first = max(_last_id + 1, time_ns() // 1_000_000 << 42 | start)
        _last_id = first + count - 1
    return first


def _id(number: int, random: int) -> str:
    # Half the time of formatting the five parts one by one.
    digits = pack(
        ">QQ",
        number >> 42 << 16 | 0x7000 | number >> 30 & 0xFFF,
        1 << 63 | (number & 0x3FFFFFFF) << 32 | random,
    ).hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _unlock() -> None:
    # Another thread may have held them when the process was forked.
    global _ids, _introducing
    _ids, _introducing = Lock(), Lock()


os.register_at_fork(after_in_child=_unlock)

JSONShapes = dict[str, tuple[type, ...]]

METADATA: JSONShapes = {"metadata_json": (dict,)}

R = TypeVar("R", bound="Record")


class Record(Struct, frozen=True, kw_only=True, gc=False):
    """The base of every record: frozen, compared by value, fields by keyword.

    A record is checked when it is written, not when it is made, so that rows of other programs
    can be looked at. Change a copy with ``msgspec.structs.replace``.
    """

    id: Id = msgspec.field(default_factory=new_id)

    json_shapes: ClassVar[JSONShapes] = {}
    """What each ``*_json`` field must decode to; an empty tuple admits any JSON."""

    def __post_init__(self) -> None:
        """Turn Python objects given for ``*_json`` fields into JSON text."""
        for field in self.json_shapes:
            value = getattr(self, field)
            if type(value) is not str and value is not None:
                force_setattr(self, field, encode_json(value, type(self).__name__, field))

    def broken_rule(self) -> tuple[str, str] | None:
        """A rule between fields that this record breaks: (field, what is wrong), or None."""
        return None


class RecordWithMetadata(Record, frozen=True, kw_only=True, gc=False):
    """A record that has a field ``metadata_json``: a JSON object, or None."""

    json_shapes: ClassVar[JSONShapes] = METADATA

    @property
    def metadata(self) -> dict[str, Any]:
        """``metadata_json`` decoded; empty when there is none."""
        return decode_json(_metadata_json(self), dict)


_metadata_json = attrgetter("metadata_json")


def encode_json(value: object, owner: str, field: str) -> str:
    """JSON text of a Python object; NaN, infinities and other types are refused."""
    import json  # noqa: PLC0415 - only for callers who pass objects

    try:
        return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        message = f"{owner}: {field} cannot be written as JSON: {error}"
        raise InvalidDataError(message, field=field) from error


def decode_json(text: str | None, *shapes: type) -> Any:
    """The Python object of a ``*_json`` field; an empty dict for None.

    Raises:
        InvalidDataError: the record was never stored, or the file is damaged: the text is not JSON
            of one of the shapes.
    """
    if text is None:
        return {}
    try:
        value = msgspec.json.decode(text)
    except (msgspec.MsgspecError, TypeError, RecursionError) as error:
        raise InvalidDataError(f"{text!r:.80} is not JSON: {error}") from error
    if shapes and not isinstance(value, shapes):
        expected = " or ".join(_JSON_NAMES[shape] for shape in shapes)
        raise InvalidDataError(f"{text!r:.80} does not hold a JSON {expected}")
    return value


def finite_floats(blob: bytes) -> bool:
    """Whether every little-endian float32 of the blob is finite."""
    from array import array  # noqa: PLC0415 - not every agent has vectors

    numbers = array("f", blob)
    if byteorder == "big":
        numbers.byteswap()
    # Sums of float32 cannot overflow a double, and NaN and infinities survive in a sum.
    return math.isfinite(sum(numbers))


_introduced: set[type[Struct]] = set()
_introducing = Lock()


def introduce(kind: type[Struct]) -> None:
    """Let msgspec work out how a Struct is decoded, which takes a fraction of a millisecond.

    It would do so at the first use, and if two threads are the first it crashes the process
    (0.22), since the second takes what the first has only begun.
    """
    with _introducing:
        if kind not in _introduced:
            msgspec.json.Decoder(kind)
            _introduced.add(kind)


def checked(record: R, kind: type[R], index: int | None = None) -> R:
    """The record as plain values of the exact field types, about 3 microseconds.

    Raises:
        InvalidDataError: naming the record, the field, its value and the rule that it breaks.
    """
    if type(record) is not kind:
        message = f"expected a {kind.__name__}, got {type(record).__name__}"
        raise InvalidDataError(message, index=index)
    plain = _converted(record, kind, index)
    for field, value in zip(kind.__struct_fields__, astuple(plain), strict=True):
        if type(value) is str:
            if "\0" in value or not value.isascii() or len(value) > MAX_BYTES:
                _refuse_unstorable(record, index, field, value)
        elif type(value) is bytes:
            if len(value) > MAX_BYTES:
                raise _refusal(record, index, field, f"is longer than {MAX_BYTES} bytes")
        elif isinstance(value, str):  # of a class of the caller's
            return checked(_with_plain_text(plain), kind, index)
    for field, shapes in kind.json_shapes.items():
        text = getattr(plain, field)
        if text is None:
            continue
        try:
            decoded = msgspec.json.decode(text)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise _refusal(record, index, field, f"is not JSON: {error}") from error
        if shapes and not isinstance(decoded, shapes):
            expected = " or ".join(_JSON_NAMES[shape] for shape in shapes)
            raise _refusal(record, index, field, f"must hold a JSON {expected}")
    broken = plain.broken_rule()
    if broken is not None:
        raise _refusal(record, index, *broken)
    return plain


def _with_plain_text(record: R) -> R:
    values = zip(record.__struct_fields__, astuple(record), strict=True)
    texts = {field: str.__str__(value) for field, value in values if isinstance(value, str)}
    return replace(record, **texts)


def _converted(record: R, kind: type[R], index: int | None) -> R:
    if kind not in _introduced:
        introduce(kind)
    try:
        plain = msgspec.convert(asdict(record), kind, builtin_types=(bytes,))
    except (msgspec.ValidationError, UnicodeEncodeError):
        raise _refusal(record, index, *_field_at_fault(record, kind)) from None
    if plain != record:  # a whole number in a real field, beyond 2**53
        raise _refusal(record, index, *_altered_field(record, plain))
    return plain


def check_namespace(value: object, what: str = "namespace") -> str:
    """A namespace given by a caller: text as for an id, of at most `MAX_NAMESPACE` characters."""
    name = check_text(what, value)
    if len(name) > MAX_NAMESPACE:
        message = f"{what} is longer than {MAX_NAMESPACE} characters: {name!r:.80}"
        raise InvalidDataError(message, field=what)
    return name


def check_text(what: str, value: object) -> str:
    """A name or id given by a caller: text that every backend can store, not empty."""
    if type(value) is not str or not value or "\0" in value or not _encodable(value):
        message = f"{what} must be text, not empty, without NUL or lone surrogates: {value!r:.80}"
        raise InvalidDataError(message, field=what)
    return value


_JSON_NAMES = {dict: "object", list: "array"}


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_unstorable(record: Record, index: int | None, field: str, text: str) -> None:
    if "\0" in text:
        raise _refusal(record, index, field, "holds a NUL character, which no database keeps whole")
    if not _encodable(text):
        raise _refusal(record, index, field, "holds a lone surrogate, which is not text")
    if len(text.encode()) > MAX_BYTES:
        raise _refusal(record, index, field, f"is longer than {MAX_BYTES} bytes")


def _field_at_fault(record: Record, kind: type[Record]) -> tuple[str, str]:
    hints = get_type_hints(kind, include_extras=True)
    for field in kind.__struct_fields__:
        try:
            msgspec.convert(getattr(record, field), hints[field], builtin_types=(bytes,))
        except (msgspec.ValidationError, UnicodeEncodeError) as error:
            return field, f"is refused: {str(error)[:1].lower()}{str(error)[1:]}"
    raise AssertionError(record)


def _altered_field(record: Record, plain: Record) -> tuple[str, str]:
    pairs = zip(record.__struct_fields__, astuple(record), astuple(plain), strict=True)
    return next((field, f"would become {new!r}") for field, old, new in pairs if old != new)


def _refusal(record: Record, index: int | None, field: str, rule: str) -> InvalidDataError:
    value = getattr(record, field)
    where = "" if index is None else f" (number {index} of the batch)"
    message = (
        f"{type(record).__name__} {record.id!r:.80}{where}: {field} {rule}; it is {value!r:.80}"
    )
    return InvalidDataError(
        message,
        kind=type(record).__name__,
        id=record.id if type(record.id) is str else None,
        field=field,
        index=index,
    )
