"""An HTTP request as an exchange of the hub's own CoAP resources: answers come back as a future or a stream."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from bridgehead.core.message import NEVER
from bridgehead.protocols.coap.codec.message import Message
from bridgehead.protocols.coap.session.contract import Exchange, Party, Peer, Watcher


class HttpPeer(Peer):
    """Stands for one HTTP request: a body comes and goes whole, as over any reliable transport. `expires_at`, in
    seconds since the epoch, is when what proved the party ends."""

    def __init__(self, party: Party, address: str, largest: int, expires_at: float = NEVER) -> None:
        super().__init__(party, address, True, True, True)
        self.owner: Final = party
        self.block = 7
        self.largest = largest
        self.expires_at: Final = expires_at
        self.woken: Final = asyncio.Event()  # a notification is there, or the end

    def close(self, because: str) -> None:
        self.gone = True
        self.woken.set()


class HttpExchange(Exchange):
    """`response` is the first answer; `notifications` are those that follow, no more than `most` at a time:
    whoever sends keeps the others until some were taken."""

    def __init__(self, peer: HttpPeer, party: Party, request: Message, most: int) -> None:
        super().__init__(peer, party, request, True, False)
        self.response: Final[asyncio.Future[Message]] = asyncio.get_running_loop().create_future()
        self.notifications: Final[deque[Message]] = deque()
        self._most: Final = most
        self._http: Final = peer
        self._waiting: Final[deque[tuple[Watcher, int]]] = deque()
        self.over = False

    def respond(self, response: Message) -> None:
        if not self.response.done():
            self.response.set_result(response)

    def notify(self, response: Message, confirmable: bool, watcher: Watcher | None, number: int) -> bool:
        if self._http.gone or len(self.notifications) >= self._most:
            return False
        self.notifications.append(response)
        if watcher is not None and confirmable:
            self._waiting.append((watcher, number))
        self._http.woken.set()
        return True

    def taken(self) -> list[Message]:
        """The notifications up to now; whoever watches them learns that they have gone on."""
        found = list(self.notifications)
        self.notifications.clear()
        self._http.woken.clear()
        while self._waiting:
            watcher, number = self._waiting.popleft()
            watcher.acknowledged(number)
        return found

    def ended(self) -> None:
        self.over = True
        self._http.woken.set()
