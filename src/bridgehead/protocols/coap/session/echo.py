"""Echo values that prove an address, without state (RFC 9175 section 2.4, Appendix A)."""

from __future__ import annotations

from hashlib import blake2s
from hmac import compare_digest
from typing import Final

_SIZE: Final = 8  # octets: so that 4.01 with Echo fits into three times nearly every request


class Echo:
    """A value is a MAC over the address and the window of time, cut to 64 bit. It proves that its sender received what
    went to that address not longer ago than two windows. `key`: 16 to 32 octets by chance, of this run alone."""

    def __init__(self, key: bytes, window: float) -> None:
        self._key: Final = key
        self._window: Final = window

    def value(self, address: str, now: float) -> bytes:
        """To be sent to `address`; `now` in seconds since the epoch."""
        return self._mac(address, int(now / self._window))

    def proves(self, address: str, value: bytes, now: float) -> bool:
        current = int(now / self._window)
        fresh = compare_digest(value, self._mac(address, current))
        return fresh or compare_digest(value, self._mac(address, current - 1))

    def _mac(self, address: str, window: int) -> bytes:
        return blake2s(f"{window} {address}".encode(), digest_size=_SIZE, key=self._key).digest()
