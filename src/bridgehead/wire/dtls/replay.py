"""Each record is taken once (RFC 6347 section 4.1.2.6)."""

from __future__ import annotations

from mypy_extensions import mypyc_attr

_WIDTH = 64
_ALL = 0xFFFFFFFF  # the window is two halves of 32 bits: numbers that mypyc keeps out of the heap


@mypyc_attr(acyclic=True)
class ReplayWindow:
    """The 64 numbers up to the highest that was taken."""

    def __init__(self) -> None:
        self.top: int = -1
        self._new: int = 0  # bit n: number top - n
        self._old: int = 0  # bit n: number top - 32 - n

    def fresh(self, number: int) -> bool:
        """Whether `number` was not taken before and is not too old to tell."""
        behind = self.top - number
        if behind < 0:
            return True
        if behind < 32:
            return not self._new >> behind & 1
        return behind < _WIDTH and not self._old >> (behind - 32) & 1

    def take(self, number: int) -> bool:
        """Only after the record has proved genuine. True: it is the newest so far."""
        ahead = number - self.top
        if ahead <= 0:
            behind = -ahead
            if behind < 32:
                self._new |= 1 << behind
            else:
                self._old |= 1 << (behind - 32)
            return False
        if ahead == 1:
            self._old = (self._old << 1 | self._new >> 31) & _ALL
            self._new = (self._new << 1 | 1) & _ALL
        elif ahead < _WIDTH:
            both = ((self._old << 32 | self._new) << ahead) | 1
            self._old = both >> 32 & _ALL
            self._new = both & _ALL
        else:
            self._old = 0
            self._new = 1
        self.top = number
        return True
