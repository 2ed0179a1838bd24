"""Method and Response Codes (RFC 7252 section 12.1, RFC 8132 section 6, RFC 8323 section 11.1 and others)."""

from __future__ import annotations

from typing import Final

EMPTY: Final = 0x00

GET: Final = 0x01
POST: Final = 0x02
PUT: Final = 0x03
DELETE: Final = 0x04
FETCH: Final = 0x05  # RFC 8132
PATCH: Final = 0x06
IPATCH: Final = 0x07

CREATED: Final = 0x41
DELETED: Final = 0x42
VALID: Final = 0x43
CHANGED: Final = 0x44
CONTENT: Final = 0x45
CONTINUE: Final = 0x5F  # RFC 7959

BAD_REQUEST: Final = 0x80
UNAUTHORIZED: Final = 0x81
BAD_OPTION: Final = 0x82
FORBIDDEN: Final = 0x83
NOT_FOUND: Final = 0x84
METHOD_NOT_ALLOWED: Final = 0x85
NOT_ACCEPTABLE: Final = 0x86
REQUEST_ENTITY_INCOMPLETE: Final = 0x88  # RFC 7959
CONFLICT: Final = 0x89  # RFC 8132
PRECONDITION_FAILED: Final = 0x8C
REQUEST_ENTITY_TOO_LARGE: Final = 0x8D
UNSUPPORTED_CONTENT_FORMAT: Final = 0x8F
UNPROCESSABLE_ENTITY: Final = 0x96  # RFC 8132
TOO_MANY_REQUESTS: Final = 0x9D  # RFC 8516

INTERNAL_SERVER_ERROR: Final = 0xA0
NOT_IMPLEMENTED: Final = 0xA1
BAD_GATEWAY: Final = 0xA2
SERVICE_UNAVAILABLE: Final = 0xA3
GATEWAY_TIMEOUT: Final = 0xA4
PROXYING_NOT_SUPPORTED: Final = 0xA5
HOP_LIMIT_REACHED: Final = 0xA8  # RFC 8768

CSM: Final = 0xE1  # RFC 8323 section 5: signalling
PING: Final = 0xE2
PONG: Final = 0xE3
RELEASE: Final = 0xE4
ABORT: Final = 0xE5


def dotted(code: int) -> str:
    """As people write it: "4.04" (RFC 7252 section 3)."""
    return f"{code >> 5}.{code & 31:02d}"


def is_request(code: int) -> bool:
    """Class 0, and not Empty."""
    return 0 < code < 32


def is_success(code: int) -> bool:
    return code >> 5 == 2
