"""From what the hub says to HTTP status codes, the one table (RFC 7030 4.2.3; RFC 9110 section 15)."""

from __future__ import annotations

from typing import Final

from bridgehead.core.errors import (
    BAD_CREDENTIALS,
    BUSY,
    CLIENT_ID_INVALID,
    FILTER_INVALID,
    NAME_INVALID,
    NOT_AUTHORIZED,
    PAYLOAD_FORMAT_INVALID,
    QUOTA_EXCEEDED,
    STORE_UNAVAILABLE,
    TOO_LARGE,
    UNAVAILABLE,
)

OK: Final = 200

STATUS: Final = {
    BAD_CREDENTIALS: 401,
    NOT_AUTHORIZED: 403,
    PAYLOAD_FORMAT_INVALID: 400,
    NAME_INVALID: 400,
    CLIENT_ID_INVALID: 400,
    FILTER_INVALID: 400,
    TOO_LARGE: 413,
    QUOTA_EXCEEDED: 429,
    BUSY: 503,
    UNAVAILABLE: 503,
    STORE_UNAVAILABLE: 503,
}
# RFC 9110 10.2.3: who is told that the hub is busy hears when to come again. 202 (RFC 7030 4.2.3) is for authorities
# where a person decides; here a request is signed at once or refused.
RETRY_SECONDS: Final = 30


def status_of(meaning: str) -> int:
    return STATUS.get(meaning, 400)
