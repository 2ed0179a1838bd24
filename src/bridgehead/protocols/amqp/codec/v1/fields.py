"""The fields of a composite value (1.4), taken from its list one by one and held to their types."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.amqp.codec.v1.composites import ABSENT
from bridgehead.protocols.amqp.codec.v1.errors import INVALID_FIELD, AmqpError, undecodable
from bridgehead.protocols.amqp.codec.v1.types import Array, Integer, Symbol, UByte, UInt, ULong, UShort


class Fields:
    """`name` is the composite's, `section` where the standard defines it: both are for the texts of errors."""

    def __init__(self, values: list[object], name: str, section: str) -> None:
        self._values: Final = values
        self._name: Final = name
        self._section: Final = section
        self._next = 0

    def done(self) -> None:
        """A list may be shorter than the composite (1.4), and never longer."""
        if len(self._values) > self._next:
            raise undecodable(f"{self._name} has {len(self._values)} fields", clause=self._section)

    def any(self) -> object:
        index = self._next
        self._next = index + 1
        return self._values[index] if index < len(self._values) else None

    def present(self, field: str, value: object) -> None:
        if value is None:
            raise AmqpError(INVALID_FIELD, f"{self._name} has no {field}", clause=self._section)

    def wrong(self, field: str) -> AmqpError:
        return undecodable(f"{field} of {self._name} has another type", clause=self._section)

    def uint(self, field: str, default: int = ABSENT) -> int:
        value = self.any()
        if value is None:
            return default
        if isinstance(value, UInt):
            return value.value
        raise self.wrong(field)

    def mandatory_uint(self, field: str) -> int:
        value = self.uint(field)
        if value == ABSENT:
            self.present(field, None)
        return value

    def ulong(self, field: str) -> int:
        value = self.any()
        if value is None:
            return ABSENT
        if isinstance(value, ULong):
            return value.value
        raise self.wrong(field)

    def small(self, field: str, default: int = ABSENT) -> int:
        """A ubyte or a ushort: both are unmistakable, whatever the field."""
        value = self.any()
        if value is None:
            return default
        if isinstance(value, UByte | UShort):
            return value.value
        raise self.wrong(field)

    def mode(self, field: str, default: int, highest: int) -> int:
        """A ubyte that stands for one of a few choices."""
        value = self.small(field, default)
        if value > highest:
            raise AmqpError(INVALID_FIELD, f"{field} of {self._name} is {value}", clause=self._section)
        return value

    def boolean(self, field: str, default: bool = False) -> bool:
        value = self.any()
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        raise self.wrong(field)

    def role(self) -> bool:
        value = self.any()
        self.present("role", value)
        if isinstance(value, bool):
            return value
        raise self.wrong("role")

    def string(self, field: str) -> str | None:
        value = self.any()
        if value is None:
            return None
        if isinstance(value, str) and not isinstance(value, Symbol):
            return value
        raise self.wrong(field)

    def mandatory_string(self, field: str) -> str:
        value = self.string(field)
        if value is None:
            raise AmqpError(INVALID_FIELD, f"{self._name} has no {field}", clause=self._section)
        return value

    def symbol(self, field: str) -> str | None:
        """A symbol as a plain str: what the field is, is known, and serializers know no Symbol."""
        value = self.any()
        if value is None:
            return None
        if isinstance(value, Symbol):
            return value.encode("ascii").decode("ascii")
        raise self.wrong(field)

    def mandatory_symbol(self, field: str) -> str:
        value = self.symbol(field)
        if value is None:
            raise AmqpError(INVALID_FIELD, f"{self._name} has no {field}", clause=self._section)
        return value

    def binary(self, field: str) -> bytes | None:
        value = self.any()
        if value is None or isinstance(value, bytes):
            return value
        raise self.wrong(field)

    def mandatory_binary(self, field: str) -> bytes:
        value = self.binary(field)
        if value is None:
            raise AmqpError(INVALID_FIELD, f"{self._name} has no {field}", clause=self._section)
        return value

    def mapping(self, field: str) -> dict[object, object] | None:
        value = self.any()
        if value is None:
            return None
        if isinstance(value, dict):
            found: dict[object, object] = value
            return found
        raise self.wrong(field)

    def symbols(self, field: str, mandatory: bool = False) -> list[Symbol]:
        """A field that may have several values (1.4): nothing, one symbol, or an array of symbols."""
        value = self.any()
        found: list[Symbol] = []
        if value is None:
            if mandatory:
                self.present(field, None)
            return found
        if isinstance(value, Symbol):
            found.append(value)
            return found
        if isinstance(value, Array) and not value.descriptors:
            for item in value.items:
                if not isinstance(item, Symbol):
                    raise self.wrong(field)
                found.append(item)
            return found
        raise self.wrong(field)

    def integer(self, field: str) -> int:
        """Any integer with a width of its own, -1 for none."""
        value = self.any()
        if value is None:
            return ABSENT
        if isinstance(value, Integer):
            return value.value
        raise self.wrong(field)
