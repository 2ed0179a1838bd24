"""What a Refusal means in AMQP: a condition of 1.0 (2.8.15), a reply code of 0-9-1 (section 1.1)."""

from __future__ import annotations

from typing import Final

from bridgehead.core.errors import (
    BAD_CREDENTIALS,
    BUSY,
    CLIENT_ID_INVALID,
    CONFLICT,
    DELETED,
    FILTER_INVALID,
    IN_USE,
    LOCKED,
    NAME_INVALID,
    NOT_AUTHORIZED,
    NOT_FOUND,
    PAYLOAD_FORMAT_INVALID,
    QUEUE_FULL,
    QUOTA_EXCEEDED,
    STORE_UNAVAILABLE,
    TOO_LARGE,
    UNAVAILABLE,
)
from bridgehead.protocols.amqp.codec.v1 import errors as conditions

CONDITIONS: Final[dict[str, str]] = {
    NOT_AUTHORIZED: conditions.UNAUTHORIZED_ACCESS,
    BAD_CREDENTIALS: conditions.UNAUTHORIZED_ACCESS,
    NAME_INVALID: conditions.INVALID_FIELD,
    FILTER_INVALID: conditions.INVALID_FIELD,
    CLIENT_ID_INVALID: conditions.INVALID_FIELD,
    QUOTA_EXCEEDED: conditions.RESOURCE_LIMIT_EXCEEDED,
    STORE_UNAVAILABLE: conditions.INTERNAL_ERROR,
    TOO_LARGE: conditions.MESSAGE_SIZE_EXCEEDED,
    BUSY: conditions.RESOURCE_LOCKED,
    PAYLOAD_FORMAT_INVALID: conditions.DECODE_ERROR,
    UNAVAILABLE: conditions.CONNECTION_FORCED,
    NOT_FOUND: conditions.NOT_FOUND,
    CONFLICT: conditions.PRECONDITION_FAILED,
    IN_USE: conditions.PRECONDITION_FAILED,
    LOCKED: conditions.RESOURCE_LOCKED,
    DELETED: conditions.RESOURCE_DELETED,
    QUEUE_FULL: conditions.RESOURCE_LIMIT_EXCEEDED,
}

# Of 0-9-1, its constants of the class "error".
CONTENT_TOO_LARGE: Final = 311
CONNECTION_FORCED: Final = 320
ACCESS_REFUSED: Final = 403
MISSING: Final = 404
RESOURCE_LOCKED: Final = 405
PRECONDITION_FAILED: Final = 406
RESOURCE_ERROR: Final = 506
INTERNAL_ERROR: Final = 541

REPLY_CODES: Final[dict[str, int]] = {
    NOT_AUTHORIZED: ACCESS_REFUSED,
    BAD_CREDENTIALS: ACCESS_REFUSED,
    NAME_INVALID: PRECONDITION_FAILED,
    FILTER_INVALID: PRECONDITION_FAILED,
    CLIENT_ID_INVALID: PRECONDITION_FAILED,
    QUOTA_EXCEEDED: RESOURCE_ERROR,
    STORE_UNAVAILABLE: INTERNAL_ERROR,
    TOO_LARGE: CONTENT_TOO_LARGE,
    BUSY: RESOURCE_LOCKED,
    PAYLOAD_FORMAT_INVALID: PRECONDITION_FAILED,
    UNAVAILABLE: CONNECTION_FORCED,
    NOT_FOUND: MISSING,
    CONFLICT: PRECONDITION_FAILED,
    IN_USE: PRECONDITION_FAILED,
    LOCKED: RESOURCE_LOCKED,
    DELETED: MISSING,
    QUEUE_FULL: PRECONDITION_FAILED,
}


def condition_of(meaning: str) -> str:
    """The condition of 1.0 for what a Refusal means (core/errors.py)."""
    return CONDITIONS.get(meaning, conditions.INTERNAL_ERROR)


def reply_code_of(meaning: str) -> int:
    """The reply code of 0-9-1."""
    return REPLY_CODES.get(meaning, INTERNAL_ERROR)
