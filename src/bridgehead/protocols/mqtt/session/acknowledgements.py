"""Acknowledgements that wait for a commit, in the order of what they acknowledge ([MQTT-4.6.0-2])."""

from __future__ import annotations

from collections import deque
from typing import Final


class Held:
    """`refused` goes out instead of `granted` when the commit fails. None: it is waited for again. Empty:
    the connection is closed, because the version has no way to say it."""

    def __init__(self, ticket: int, granted: bytes, refused: bytes | None, credit: int) -> None:
        self.ticket = ticket
        self.granted: Final = granted
        self.refused: Final = refused
        self.credit: Final = credit  # what the peer gets back of our Receive Maximum
        self.failed = False


class Acknowledgements:
    """First in, first out; the earliest entry decides when the next may go."""

    def __init__(self) -> None:
        self._held: deque[Held] | None = None

    def __len__(self) -> int:
        return 0 if self._held is None else len(self._held)

    def hold(self, ticket: int, granted: bytes, refused: bytes | None, credit: int) -> None:
        """`ticket` 0: wait only for those before it."""
        if self._held is None:
            self._held = deque()
        self._held.append(Held(ticket, granted, refused, credit))

    def settle(self, ticket: int) -> list[Held]:
        """Everything that may go out once batch `ticket` is durable."""
        ready: list[Held] = []
        held = self._held
        while held and held[0].ticket <= ticket:
            ready.append(held.popleft())
        return ready

    def fail(self, ticket: int, retry: int) -> list[Held]:
        """Batch `ticket` was refused: those who can be told go out as failed, the others wait for `retry`."""
        ready: list[Held] = []
        held = self._held
        if held is None:
            return ready
        waiting: deque[Held] = deque()
        blocked = False
        for entry in held:
            if entry.ticket and entry.ticket <= ticket:
                if entry.refused is None:
                    entry.ticket = retry
                else:
                    entry.failed = True
            if not blocked and (entry.failed or entry.ticket <= ticket):
                ready.append(entry)
            else:
                if entry.failed:
                    entry.ticket = 0
                blocked = True
                waiting.append(entry)
        self._held = waiting
        return ready
