"""A CoAP message as a value (RFC 7252 section 3), the same over UDP, DTLS, TCP, TLS and WebSocket."""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

CON: Final = 0  # RFC 7252 section 4.2
NON: Final = 1
ACK: Final = 2
RST: Final = 3

Option = tuple[int, bytes]  # Option Number and value, as on the wire
NO_OPTIONS: Final[tuple[Option, ...]] = ()


@mypyc_attr(acyclic=True)
class Message:
    """`options` are in ascending order of their numbers, repeatable ones in the sender's order. Over reliable
    transports (RFC 8323) `type` is CON and `message_id` 0: neither travels."""

    def __init__(
        self,
        code: int,
        options: tuple[Option, ...] = NO_OPTIONS,
        payload: bytes = b"",
        token: bytes = b"",
        type: int = CON,
        message_id: int = 0,
    ) -> None:
        self.code: Final = code
        self.options: Final = options
        self.payload: Final = payload
        self.token: Final = token
        self.type: Final = type
        self.message_id: Final = message_id

    def has(self, number: int) -> bool:
        for each, _ in self.options:
            if each == number:
                return True
        return False

    def first(self, number: int) -> bytes | None:
        """The value of the first option of that number."""
        for each, value in self.options:
            if each == number:
                return value
        return None

    def all(self, number: int) -> list[bytes]:
        found: list[bytes] = []
        for each, value in self.options:
            if each == number:
                found.append(value)
        return found

    def uint(self, number: int, absent: int = -1) -> int:
        """The value of an option of format uint (RFC 7252 section 3.2)."""
        for each, value in self.options:
            if each == number:
                return int.from_bytes(value, "big")
        return absent

    def with_options(self, options: tuple[Option, ...]) -> Message:
        """The same with other options."""
        return Message(self.code, options, self.payload, self.token, self.type, self.message_id)


def uint_value(number: int) -> bytes:
    """Format uint: as few octets as it takes, none for 0 (RFC 7252 section 3.2)."""
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def in_order(options: list[Option]) -> tuple[Option, ...]:
    """Sorted by number; those of one number stay in their order."""
    return tuple(sorted(options, key=_number))


def _number(option: Option) -> int:
    return option[0]
