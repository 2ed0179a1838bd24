"""What the parts of a CoAP session know of one another.

A request comes up through a chain: the peer's message layer (session/datagrams.py, session/streams.py) makes an
`Exchange` of it, and each `Handler` hands it on to the next, perhaps wrapped in an Exchange of its own: block-wise
transfer outside, OSCORE, block-wise transfer inside, the site, a resource. Responses go down the same way.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from bridgehead.core.message import NEVER, Origin
from bridgehead.core.policy import Principal
from bridgehead.core.session import Receiver
from bridgehead.protocols.coap.codec.message import Message


@mypyc_attr(allow_interpreted_subclasses=True)
class Party:
    """Who asks: an identity as this connection or this OSCORE context proved it.

    `marks` name the credentials (security.login.proof). `receiver` is what the broker delivers to, made by
    session/observing.py at the first need. A peer's own party is that of its DTLS or TLS session, or the guest of a
    NoSec listener; a request protected by OSCORE has the context's.
    """

    def __init__(self, principal: Principal, origin: Origin, marks: tuple[str, ...] = ()) -> None:
        self.principal: Principal = principal
        self.origin: Origin = origin
        self.marks: tuple[str, ...] = marks
        self.receiver: Receiver | None = None


@mypyc_attr(allow_interpreted_subclasses=True)
class Peer:
    """One remote endpoint, made by its message layer.

    `address` is for people and logs. `reliable`: TCP, TLS or WebSocket (RFC 8323). `secured`: DTLS or TLS. `proven`:
    whoever sends from the address also receives there (DTLS, a stream, or Echo: RFC 9175 section 2.3); to others no
    more goes out than three times what came. `block` is the largest block exponent that goes into one message (SZX,
    0 to 6; 7 is BERT). `held` counts what is kept for it: an observation (counted by the message layer, from a response
    with Observe to Exchange.ended), a body under way (the handler adds one and takes it back). A peer of plain UDP for
    which nothing is held is dropped when it is idle. `gone` is set once and for ever.
    """

    def __init__(self, party: Party | None, address: str, reliable: bool, secured: bool, proven: bool) -> None:
        self.party: Party | None = party  # None: a NoSec listener without a guest; only OSCORE says who asks
        self.address: str = address
        self.reliable: Final = reliable
        self.secured: Final = secured
        self.proven: bool = proven
        self.block: int = 6
        self.largest: int = 1152  # octets of a whole message that may be sent in one piece
        self.held: int = 0
        self.gone: bool = False

    def arrived(self, watcher: Watcher, number: int) -> None:
        """What the peer asks for shows that the notification with this watcher and number has arrived: it counts as
        acknowledged. Only of use where messages are acknowledged, and known at this peer under that watcher."""

    def close(self, because: str) -> None:
        """End it: its exchanges, its observations and its connection, if there is one."""
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class Watcher:
    """Told what became of a confirmable notification or response. Each is called at most once for each number."""

    def acknowledged(self, number: int) -> None:
        raise NotImplementedError

    def rejected(self, number: int) -> None:
        """Reset came: the peer knows nothing of it (RFC 7641 section 3.6). Also for NON, while it is remembered."""
        raise NotImplementedError

    def timed_out(self, number: int) -> None:
        """No answer after all retransmissions (RFC 7252 section 4.2), or the peer is gone."""
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class Exchange:
    """One request, and the way back.

    `party` is who asks. `confirmable`: the request was, or came over a reliable transport. `multicast`: it was sent to
    a group: answers may be suppressed (RFC 7252 section 8.2). `now` is when it came, in seconds since the epoch.
    """

    def __init__(self, peer: Peer, party: Party | None, request: Message, confirmable: bool, multicast: bool) -> None:
        self.peer: Final = peer
        self.party: Party | None = party
        self.request: Final = request
        self.confirmable: Final = confirmable
        self.multicast: Final = multicast

    def respond(self, response: Message) -> None:
        """The answer, now or later, once: type, Message ID and token of `response` are not looked at. Whoever cannot
        answer at once does nothing more: the message layer acknowledges by itself in time (separate response)."""
        raise NotImplementedError

    def silence(self) -> None:
        """No `respond` will come: a Confirmable request is acknowledged by an empty message, at once. `notify` stays
        possible (Q-Block1: many requests have one answer, RFC 9177 section 4.3)."""
        raise NotImplementedError

    def notify(self, response: Message, confirmable: bool, watcher: Watcher | None, number: int) -> bool:
        """A further answer, to an observer. `watcher` is told of its fate with `number`, also of a NON's Reset.
        False: not sent, as too much waits for the peer already (NSTART, or its outbox is full)."""
        raise NotImplementedError

    def ended(self) -> None:
        """No notification follows any more: what is kept for them may be forgotten."""
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class Handler:
    """Takes requests. A defect raises; whatever a peer may do wrong is answered."""

    def handle(self, exchange: Exchange) -> None:
        raise NotImplementedError

    def forget(self, peer: Peer) -> None:
        """The peer is gone: nothing is kept for it any more."""

    def next_timeout(self) -> float:
        """When handle_timeout wants to be called, in seconds since the epoch."""
        return NEVER

    def handle_timeout(self, now: float) -> None:
        """Do what is due."""
