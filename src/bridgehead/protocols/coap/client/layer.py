"""What a client's requests need of the messages beneath them, whatever the transport."""

from __future__ import annotations

from typing import Final

from bridgehead.core.message import NEVER
from bridgehead.protocols.coap.codec.message import Message


class Layer:
    """The messages of one connection to one server; pure: octets and the time come in.

    `expected` are the tokens for which responses may come. What came is in `arrived`, tokens whose request was lost,
    and why, in `lost`, and what has to be sent in `outgoing`; whoever drives the layer takes them. `closed` says why
    there will be no more, "" while there may be.
    """

    def __init__(self) -> None:
        self.expected: Final[set[bytes]] = set()
        self.arrived: list[Message] = []
        self.lost: list[tuple[bytes, str]] = []
        self.outgoing: list[bytes] = []
        self.closed = ""
        self.block: int = 1024  # octets of payload that go into one message; larger ones are sent block by block
        self.reliable = False

    @property
    def is_ready(self) -> bool:
        """Whether requests can be sent; a stream waits for the server's CSM."""
        return True

    def send(self, request: Message, confirmable: bool, now: float) -> None:
        """A request, with its token. A layer that is reliable has no use for `confirmable`."""
        raise NotImplementedError

    def receive(self, data: bytes, now: float) -> None:
        """What the transport brought. Raises nothing: a server's fault is left aside or ends the connection."""
        raise NotImplementedError

    def forget(self, token: bytes) -> None:
        """Nobody waits for this token any more: what was not sent yet will not be."""
        self.expected.discard(token)

    def ping(self, now: float) -> None:
        """Ask whether the server is there. It counts as lost, with an empty token, when no answer comes."""
        raise NotImplementedError

    def next_timeout(self) -> float:
        """When handle_timeout wants to be called."""
        return NEVER

    def handle_timeout(self, now: float) -> None:
        """Do what is due."""
