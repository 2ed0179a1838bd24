"""What a CoAP peer can do wrong on the wire."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.coap.codec import codes
from bridgehead.wire.errors import Malformed, Violation


class MessageFormatError(Malformed):
    """Octets that are no message (RFC 7252 section 3), or a code that no message has (section 4.2).

    `type` and `message_id` are those of the datagram, -1 where they could not be read: a Confirmable message is
    rejected by a Reset with that Message ID, any other is ignored. `version` other than 1 is ignored, whatever the
    type: nothing is known of its format. `message_code` and `token` belong to what could be read before the fault.
    """

    def __init__(
        self,
        text: str,
        at: int = -1,
        clause: str = "RFC7252-3",
        type: int = -1,
        message_id: int = -1,
        version: int = 1,
        message_code: int = 0,
        token: bytes = b"",
    ) -> None:
        super().__init__(text, codes.BAD_REQUEST, at, clause)
        self.type: Final = type
        self.message_id: Final = message_id
        self.version: Final = version
        self.message_code: Final = message_code
        self.token: Final = token


class MessageTooLarge(Violation):
    """A message on a stream that is larger than this side said it would take (RFC 8323 section 5.3.1)."""

    def __init__(self, size: int, maximum: int) -> None:
        super().__init__(
            f"a message has {size} octets, at most {maximum} are accepted",
            codes.REQUEST_ENTITY_TOO_LARGE,
            0,
            "RFC8323-5.3.1",
        )
        self.size: Final = size


class BadOption(Violation):
    """A critical option that has to be understood and is not (RFC 7252 section 5.4.1). `number` is its number."""

    def __init__(self, text: str, number: int, clause: str) -> None:
        super().__init__(text, codes.BAD_OPTION, -1, clause)
        self.number: Final = number
