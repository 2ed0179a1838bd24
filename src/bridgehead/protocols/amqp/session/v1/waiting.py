"""What is told only after a commit: it waits here by the ticket of the journal's batch."""

from __future__ import annotations


class Waiting:
    """One thing that waits. Made by links and transactions."""

    def granted(self) -> None:
        """It lasts."""
        raise NotImplementedError

    def refused(self) -> bool:
        """The batch failed. True: that was told, and it is over; False: it waits for the batch that tries again, or
        is granted where there is nothing to be tried again."""
        raise NotImplementedError


class Waitings:
    """All of one connection. There are two or three tickets at a time: the batch under way and the one that grows."""

    def __init__(self) -> None:
        self._by_ticket: dict[int, list[Waiting]] = {}
        self.count = 0  # of messages

    def add(self, ticket: int, waiting: Waiting) -> None:
        held = self._by_ticket.get(ticket)
        if held is None:
            self._by_ticket[ticket] = [waiting]
        else:
            held.append(waiting)

    def last(self, ticket: int) -> Waiting | None:
        """What was added last for this batch."""
        held = self._by_ticket.get(ticket)
        return held[-1] if held else None

    def settle(self, ticket: int) -> None:
        """Everything up to batch `ticket` is durable."""
        for each in self._due(ticket):
            each.granted()

    def fail(self, ticket: int, retry: int) -> None:
        """Batch `ticket` was refused; what must be told all the same waits for batch `retry`, 0: there is none."""
        for each in self._due(ticket):
            if each.refused():
                continue
            if retry:
                self.add(retry, each)
            else:
                each.granted()

    def forget(self) -> None:
        self._by_ticket.clear()
        self.count = 0

    def _due(self, ticket: int) -> list[Waiting]:
        found: list[Waiting] = []
        for number in sorted(self._by_ticket):
            if number <= ticket:
                found.extend(self._by_ticket.pop(number))
        return found
