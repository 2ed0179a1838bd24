"""What the message layers answer by themselves, when a request does not come to a handler or to an end."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec.message import NO_OPTIONS, Message

BAD_HOP_LIMIT: Final = Message(codes.BAD_REQUEST, NO_OPTIONS, b"Hop-Limit is a number from 1 to 255.")
DEFECT: Final = Message(codes.INTERNAL_SERVER_ERROR, NO_OPTIONS, b"A defect of the hub: its log has more.")
BUSY: Final = Message(codes.SERVICE_UNAVAILABLE, NO_OPTIONS, b"Wait until more of your requests are answered.")
TOO_LARGE: Final = Message(
    codes.INTERNAL_SERVER_ERROR,
    NO_OPTIONS,
    b"The answer is larger than your Max-Message-Size: offer Block-Wise-Transfer.",
)
