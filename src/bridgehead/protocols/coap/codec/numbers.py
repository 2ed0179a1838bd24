"""Option Numbers (RFC 7252 section 12.2 and the registry that it began)."""

from __future__ import annotations

from typing import Final

IF_MATCH: Final = 1
URI_HOST: Final = 3
ETAG: Final = 4
IF_NONE_MATCH: Final = 5
OBSERVE: Final = 6  # RFC 7641
URI_PORT: Final = 7
LOCATION_PATH: Final = 8
OSCORE: Final = 9  # RFC 8613
URI_PATH: Final = 11
CONTENT_FORMAT: Final = 12
MAX_AGE: Final = 14
URI_QUERY: Final = 15
HOP_LIMIT: Final = 16  # RFC 8768
ACCEPT: Final = 17
Q_BLOCK1: Final = 19  # RFC 9177
LOCATION_QUERY: Final = 20
BLOCK2: Final = 23  # RFC 7959
BLOCK1: Final = 27
SIZE2: Final = 28
Q_BLOCK2: Final = 31  # RFC 9177
PROXY_URI: Final = 35
PROXY_SCHEME: Final = 39
SIZE1: Final = 60
ECHO: Final = 252  # RFC 9175
NO_RESPONSE: Final = 258  # RFC 7967
REQUEST_TAG: Final = 292  # RFC 9175


def is_critical(number: int) -> bool:
    """An odd number: who does not understand it must not go on (RFC 7252 section 5.4.1)."""
    return number & 1 == 1


def is_unsafe(number: int) -> bool:
    """Unsafe to forward for a proxy that does not understand it (RFC 7252 section 5.4.2)."""
    return number & 2 == 2


def is_no_cache_key(number: int) -> bool:
    """Safe to forward, and no part of the cache key (RFC 7252 section 5.4.2)."""
    return number & 0x1E == 0x1C
