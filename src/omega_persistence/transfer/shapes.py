"""What the record of a line must look like to become one of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec
from msgspec.structs import fields

from omega_persistence.entities.record import checked
from omega_persistence.errors import InvalidDataError

if TYPE_CHECKING:
    from omega_persistence.entities.record import Record


class Shape:
    """The fields of an entity, as an exported file must have them."""

    def __init__(self, entity: type[Record]) -> None:
        described = fields(entity)
        self._entity = entity
        self._types = {field.name: field.type for field in described}
        # What a default would make anew at each import must be in the file.
        self._required = {field.name for field in described if field.default is msgspec.NODEFAULT}

    def record(self, values: object) -> Record:
        """The record, checked by every rule.

        Raises:
            InvalidDataError: a field is unknown, missing, of another type, or breaks a rule.
        """
        if type(values) is not dict:
            raise InvalidDataError(f"the record is not an object but {values!r:.80}")
        given = cast("dict[str, Any]", values)
        for name in given.keys() - self._types.keys():
            raise self._refusal(given, name, "is not a field that this version knows")
        for name in self._required - given.keys():
            raise self._refusal(given, name, "is missing")
        try:
            record = msgspec.convert(given, self._entity)
        except msgspec.ValidationError:
            raise self._refusal(given, *self._field_at_fault(given)) from None
        return checked(record, self._entity)

    def _field_at_fault(self, given: dict[str, Any]) -> tuple[str, str]:
        for name, value in given.items():
            try:
                msgspec.convert(value, self._types[name])
            except msgspec.ValidationError as error:
                rule = f"{str(error)[:1].lower()}{str(error)[1:]}"
                return name, f"is refused: {rule}; it is {value!r:.80}"
        raise AssertionError(given)

    def _refusal(self, given: dict[str, Any], field: str, rule: str) -> InvalidDataError:
        kind, identity = self._entity.__name__, given.get("id")
        return InvalidDataError(
            f"{kind} {identity!r:.80}: {field} {rule}",
            kind=kind,
            id=identity if type(identity) is str else None,
            field=field,
        )
