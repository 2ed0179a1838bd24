"""Entries that wait, in the order of their sequence numbers, which is kept also when one comes back."""

from __future__ import annotations

from collections import deque
from typing import Final

from bridgehead.core.entry import GONE, READY, Entry

_SPARE: Final = 64  # entries that are gone and may stand in a line beside those that are not


class Line:
    """What is taken from the middle leaves its place standing: when it comes back, it is there. Only what was taken
    from the head has to find its place again, which is near the head."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._gone = 0  # of them

    def push(self, entry: Entry) -> None:
        """At the end: its number is the highest."""
        entry.in_line = True
        self._entries.append(entry)

    def head(self) -> Entry | None:
        """The first that is ready."""
        entries = self._entries
        while entries:
            entry = entries[0]
            if entry.state == READY:
                return entry
            if entry.state == GONE:
                self._gone -= 1
            entries.popleft()
            entry.in_line = False
        return None

    def last(self) -> Entry | None:
        """The place at the end, ready or not."""
        return self._entries[-1] if self._entries else None

    def taken(self, entry: Entry) -> None:
        """It is not ready any more, but may be again."""
        entries = self._entries
        if entries and entries[0] is entry:
            entries.popleft()
            entry.in_line = False

    def removed(self, entry: Entry) -> None:
        """It is gone."""
        if not entry.in_line:
            return
        entries = self._entries
        if entries[0] is entry:
            entries.popleft()
            entry.in_line = False
            return
        self._gone += 1
        if 2 * self._gone > len(entries) + _SPARE:
            left: deque[Entry] = deque()
            for each in entries:
                if each.state == GONE:
                    each.in_line = False
                else:
                    left.append(each)
            self._entries = left
            self._gone = 0

    def back(self, entry: Entry) -> None:
        """It is ready again, where it was."""
        if entry.in_line:
            return
        entry.in_line = True
        entries = self._entries
        sequence = entry.sequence
        if not entries or sequence < entries[0].sequence:
            entries.appendleft(entry)
        elif sequence > entries[-1].sequence:
            entries.append(entry)
        else:
            entries.insert(self._place(sequence), entry)

    def _place(self, sequence: int) -> int:
        """How many entries have a number below or equal to it. Looks near the head first."""
        entries = self._entries
        low = 0
        high = 1
        size = len(entries)
        while high < size and entries[high].sequence <= sequence:
            low = high
            high *= 2
        high = min(high, size)
        while low < high:
            middle = (low + high) // 2
            if entries[middle].sequence <= sequence:
                low = middle + 1
            else:
                high = middle
        return low

    def after(self, sequence: int, most: int) -> list[Entry]:
        """At most `most` places behind the number, ready or not."""
        entries = self._entries
        if not entries:
            return []
        start = 0 if sequence < entries[0].sequence else self._place(sequence)
        return [entries[i] for i in range(start, min(start + most, len(entries)))]

    def waiting(self) -> list[Entry]:
        """All that are ready."""
        return [entry for entry in self._entries if entry.state == READY]
