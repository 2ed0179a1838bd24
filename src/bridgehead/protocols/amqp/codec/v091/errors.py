"""What an AMQP 0-9-1 peer can do wrong: reply codes (section 1.1), and whether the channel or the connection ends."""

from __future__ import annotations

from typing import Final

from bridgehead.wire.errors import PeerError

SUCCESS: Final = 200
CONTENT_TOO_LARGE: Final = 311
NO_ROUTE: Final = 312
NO_CONSUMERS: Final = 313
CONNECTION_FORCED: Final = 320
INVALID_PATH: Final = 402
ACCESS_REFUSED: Final = 403
NOT_FOUND: Final = 404
RESOURCE_LOCKED: Final = 405
PRECONDITION_FAILED: Final = 406
FRAME_ERROR: Final = 501
SYNTAX_ERROR: Final = 502
COMMAND_INVALID: Final = 503
CHANNEL_ERROR: Final = 504
UNEXPECTED_FRAME: Final = 505
RESOURCE_ERROR: Final = 506
NOT_ALLOWED: Final = 530
NOT_IMPLEMENTED: Final = 540
INTERNAL_ERROR: Final = 541

_NAMES: Final[dict[int, str]] = {
    CONTENT_TOO_LARGE: "CONTENT_TOO_LARGE",
    NO_ROUTE: "NO_ROUTE",
    NO_CONSUMERS: "NO_CONSUMERS",
    CONNECTION_FORCED: "CONNECTION_FORCED",
    INVALID_PATH: "INVALID_PATH",
    ACCESS_REFUSED: "ACCESS_REFUSED",
    NOT_FOUND: "NOT_FOUND",
    RESOURCE_LOCKED: "RESOURCE_LOCKED",
    PRECONDITION_FAILED: "PRECONDITION_FAILED",
    FRAME_ERROR: "FRAME_ERROR",
    SYNTAX_ERROR: "SYNTAX_ERROR",
    COMMAND_INVALID: "COMMAND_INVALID",
    CHANNEL_ERROR: "CHANNEL_ERROR",
    UNEXPECTED_FRAME: "UNEXPECTED_FRAME",
    RESOURCE_ERROR: "RESOURCE_ERROR",
    NOT_ALLOWED: "NOT_ALLOWED",
    NOT_IMPLEMENTED: "NOT_IMPLEMENTED",
    INTERNAL_ERROR: "INTERNAL_ERROR",
}
_LONGEST: Final = 255  # octets of a short string (4.2.5.3)


class V091Error(PeerError):
    """The peer broke a rule of AMQP 0-9-1. `code` is the reply code; it ends the channel or the connection, as the
    subclass says."""


class ConnectionFault(V091Error):
    """Answered by connection.close ("connection exception" in section 1.1)."""


class ChannelFault(V091Error):
    """Answered by channel.close ("channel exception")."""


def reply_text(code: int, because: str) -> str:
    """What close and return carry: the code's name and the reason, as RabbitMQ writes it and its clients read it."""
    name = _NAMES.get(code)
    text = because if name is None else f"{name} - {because}"
    octets = text.encode("utf-8", "replace")
    if len(octets) <= _LONGEST:
        return text
    return octets[: _LONGEST - 3].decode("utf-8", "ignore") + "..."
