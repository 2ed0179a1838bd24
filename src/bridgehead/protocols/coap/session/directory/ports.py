"""What the directory needs of the rim."""

from __future__ import annotations

from mypy_extensions import mypyc_attr

from bridgehead.protocols.coap.codec.message import Message, Option
from bridgehead.protocols.coap.session.contract import Peer


@mypyc_attr(allow_interpreted_subclasses=True)
class Fetched:
    """Who waits for what a fetch brings."""

    def fetched(self, response: Message | None, because: str) -> None:
        """Called once. None: there was no response, and why."""
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class Fetch:
    """The hub as a client of its own peers, for simple registration (RFC 9176 section 5.1)."""

    def challenge(self, peer: Peer) -> tuple[Option, ...]:
        """The options of a 4.01 by which a peer may prove its address before it is asked (RFC 9175 section 2.3)."""
        raise NotImplementedError

    def fetch(self, peer: Peer, path: tuple[bytes, ...], accept: int, waiting: Fetched) -> None:
        """GET the path of the peer at the address that its request came from, in bounded time and with a bounded
        body."""
        raise NotImplementedError
