"""Publisher confirms (RabbitMQ's extension): each message of a channel has a number, by which its fate is told."""

from __future__ import annotations

from collections import deque
from typing import Final

from bridgehead.protocols.amqp.codec.v091.hot import encode_ack, encode_nack


class _Awaited:
    def __init__(self, number: int, ticket: int) -> None:
        self.number: Final = number
        self.ticket = ticket
        self.refused = False


class Confirms:
    """`flush` gives what can be told now: several acknowledgements that follow one another are one frame."""

    def __init__(self, channel: int) -> None:
        self._channel: Final = channel
        self._next = 1
        self._told = 0  # the last number that is to be acknowledged, 0 for none
        self._written = 0  # the last number that was told
        self._awaited: deque[_Awaited] = deque()

    def __len__(self) -> int:
        return len(self._awaited)

    def taken(self, ticket: int, refused: bool = False) -> None:
        """The channel's next message waits for the commit `ticket`, 0 for none."""
        number = self._next
        self._next += 1
        awaited = self._awaited
        if not awaited and ticket <= 0 and not refused:
            self._told = number
            return
        one = _Awaited(number, max(ticket, 0))
        one.refused = refused
        awaited.append(one)

    def not_committed(self, ticket: int) -> None:
        """The batch was refused, and what it was to keep with it."""
        for one in self._awaited:
            if one.ticket == ticket:
                one.refused = True
                one.ticket = 0

    def flush(self, durable: int) -> bytes:
        """The frames for everything up to the first message whose commit is still awaited."""
        parts: list[bytes] = []
        awaited = self._awaited
        while awaited and awaited[0].ticket <= durable:
            one = awaited.popleft()
            if one.refused:
                self._write(parts)
                parts.append(encode_nack(self._channel, one.number))
                self._written = one.number
            else:
                self._told = one.number
        self._write(parts)
        return b"".join(parts)

    def _write(self, parts: list[bytes]) -> None:
        if self._told:
            parts.append(encode_ack(self._channel, self._told, self._told > self._written + 1))
            self._written = self._told
            self._told = 0
