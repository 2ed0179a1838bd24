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
    """Two lines, first in, first out: answers, which can be refused (PUBACK, PUBREC, SUBACK), and steps, which only
    have to last (PUBREL, PUBCOMP, UNSUBACK). While the store fails the steps wait and hold up no answer."""

    def __init__(self) -> None:
        self._answers: deque[Held] | None = None
        self._steps: deque[Held] | None = None

    def __len__(self) -> int:
        return (len(self._answers) if self._answers else 0) + (len(self._steps) if self._steps else 0)

    def answers_wait(self) -> bool:
        return bool(self._answers)

    def steps_wait(self) -> bool:
        return bool(self._steps)

    def hold(self, ticket: int, granted: bytes, refused: bytes | None, credit: int) -> None:
        """`ticket` 0: wait only for those before it. Without `refused` it is a step."""
        held = Held(ticket, granted, refused, credit)
        if refused is None:
            if self._steps is None:
                self._steps = deque()
            self._steps.append(held)
        else:
            if self._answers is None:
                self._answers = deque()
            self._answers.append(held)

    def settle(self, ticket: int) -> list[Held]:
        """Everything that may go out once batch `ticket` is durable."""
        ready: list[Held] = []
        held = self._answers
        while held and held[0].ticket <= ticket:
            ready.append(held.popleft())
        held = self._steps
        while held and held[0].ticket <= ticket:
            ready.append(held.popleft())
        return ready

    def fail(self, ticket: int, retry: int) -> list[Held]:
        """Batch `ticket` was refused: its answers go out as failed, its steps wait for batch `retry`, or go
        out where there is nothing to be tried again (0)."""
        ready: list[Held] = []
        held = self._answers
        while held and held[0].ticket <= ticket:
            answer = held.popleft()
            answer.failed = answer.ticket > 0
            ready.append(answer)
        held = self._steps
        if held is None:
            return ready
        for step in held:
            if 0 < step.ticket <= ticket:
                step.ticket = retry
        while held and held[0].ticket == 0:
            ready.append(held.popleft())
        return ready
