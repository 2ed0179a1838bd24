"""What an AMQP 1.0 peer can do wrong, by the standard's error conditions (2.8.14 to 2.8.18, 3.5.11, 4.5.8)."""

from __future__ import annotations

from typing import Final

from bridgehead.wire.errors import PeerError

# 2.8.15: conditions that any endpoint may name.
INTERNAL_ERROR: Final = "amqp:internal-error"
NOT_FOUND: Final = "amqp:not-found"
UNAUTHORIZED_ACCESS: Final = "amqp:unauthorized-access"
DECODE_ERROR: Final = "amqp:decode-error"
RESOURCE_LIMIT_EXCEEDED: Final = "amqp:resource-limit-exceeded"
NOT_ALLOWED: Final = "amqp:not-allowed"
INVALID_FIELD: Final = "amqp:invalid-field"
NOT_IMPLEMENTED: Final = "amqp:not-implemented"
RESOURCE_LOCKED: Final = "amqp:resource-locked"
PRECONDITION_FAILED: Final = "amqp:precondition-failed"
RESOURCE_DELETED: Final = "amqp:resource-deleted"
ILLEGAL_STATE: Final = "amqp:illegal-state"
FRAME_SIZE_TOO_SMALL: Final = "amqp:frame-size-too-small"
# 2.8.16: of a connection.
CONNECTION_FORCED: Final = "amqp:connection:forced"
FRAMING_ERROR: Final = "amqp:connection:framing-error"
CONNECTION_REDIRECT: Final = "amqp:connection:redirect"
# 2.8.17: of a session.
WINDOW_VIOLATION: Final = "amqp:session:window-violation"
ERRANT_LINK: Final = "amqp:session:errant-link"
HANDLE_IN_USE: Final = "amqp:session:handle-in-use"
UNATTACHED_HANDLE: Final = "amqp:session:unattached-handle"
# 2.8.18: of a link.
DETACH_FORCED: Final = "amqp:link:detach-forced"
TRANSFER_LIMIT_EXCEEDED: Final = "amqp:link:transfer-limit-exceeded"
MESSAGE_SIZE_EXCEEDED: Final = "amqp:link:message-size-exceeded"
LINK_REDIRECT: Final = "amqp:link:redirect"
STOLEN: Final = "amqp:link:stolen"
# 4.5.8: of a transaction.
UNKNOWN_ID: Final = "amqp:transaction:unknown-id"
TRANSACTION_ROLLBACK: Final = "amqp:transaction:rollback"
TRANSACTION_TIMEOUT: Final = "amqp:transaction:timeout"


class AmqpError(PeerError):
    """The peer broke a rule of AMQP 1.0. `condition` is one of the symbols above: it goes into the error of the
    detach, end or close that answers, with the text as its description."""

    def __init__(self, condition: str, text: str, at: int = -1, clause: str = "") -> None:
        super().__init__(text, 0, at, clause)
        self.condition: Final = condition


def undecodable(text: str, at: int = -1, clause: str = "") -> AmqpError:
    """Octets that are no AMQP value (1.6)."""
    return AmqpError(DECODE_ERROR, text, at, clause)
