"""The message layer over datagrams for one remote endpoint (RFC 7252 section 4), the same for NoSec and DTLS."""

from __future__ import annotations

from collections import deque
from typing import Final

from mypy_extensions import mypyc_attr

from bridgehead.core.errors import LocalMisuse
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec.decode import MessageFormatError, decode
from bridgehead.protocols.coap.codec.message import ACK, CON, NON, RST, Message
from bridgehead.protocols.coap.codec.numbers import (
    BLOCK2,
    CONTENT_FORMAT,
    ECHO,
    HOP_LIMIT,
    NO_RESPONSE,
    OBSERVE,
    OSCORE,
)
from bridgehead.protocols.coap.session.contract import Exchange, Party, Peer, Watcher
from bridgehead.protocols.coap.session.echo import Echo
from bridgehead.protocols.coap.session.layer import MessageLayer, Timed
from bridgehead.protocols.coap.session.link import Link

_RECORD: Final = 250  # octets that a remembered Message ID takes beside its answer
_ANSWERED: Final = 65_536  # octets of credit for an acknowledgement: less than guessing its Message ID costs
_ABSENT: Final = -1
_BAD_HOP_LIMIT: Final = Message(codes.BAD_REQUEST, (), b"Hop-Limit is a number from 1 to 255.")
_DEFECT: Final = Message(codes.INTERNAL_SERVER_ERROR, (), b"The hub could not answer this: a defect of its own.")
_BUSY: Final = Message(
    codes.SERVICE_UNAVAILABLE, (), b"Too many requests of yours are not answered yet: wait for them."
)


def head(type: int, code: int, message_id: int, token: bytes) -> bytes:  # noqa: A002 - a message has a type
    """The header and the token (RFC 7252 section 3)."""
    return ((0x40 | type << 4 | len(token)) << 24 | code << 16 | message_id).to_bytes(4, "big") + token


class Record:
    """What became of a request, for its duplicates (RFC 7252 section 4.5). `fingerprint` tells a duplicate from a
    request of an endpoint that began anew with the same Message IDs. `reply` is sent again: the acknowledgement, or
    None while there is none."""

    def __init__(self, fingerprint: int, until: float, reply: bytes | None) -> None:
        self.fingerprint: Final = fingerprint
        self.until: Final = until
        self.reply: bytes | None = reply
        self.octets: int = _RECORD if reply is None else _RECORD + len(reply)


class Transmission(Timed):
    """A confirmable message of the hub, until it is acknowledged, reset or given up (RFC 7252 section 4.2)."""

    def __init__(self, peer: DatagramPeer, message_id: int, data: bytes, watcher: Watcher | None, number: int) -> None:
        super().__init__()
        self._peer: Final = peer
        self.message_id: Final = message_id
        self.data: Final = data
        self.watcher: Final = watcher
        self.number: Final = number
        self.timeout: float = 0.0
        self.count: int = 0

    def due(self, now: float) -> None:
        self._peer.unanswered(self, now)


class _Purge(Timed):
    def __init__(self, peer: DatagramPeer) -> None:
        super().__init__()
        self._peer: Final = peer

    def due(self, now: float) -> None:
        self._peer.purge(now)


class _Acknowledging(Timed):
    """An answer takes long: the request is acknowledged alone (RFC 7252 section 5.2.2)."""

    def __init__(self, exchange: DatagramExchange) -> None:
        super().__init__()
        self._exchange: Final = exchange

    def due(self, now: float) -> None:
        self._exchange.acknowledge()


class _GroupAnswer(Timed):
    """An answer to a group waits for its leisure (RFC 7252 section 8.2)."""

    def __init__(self, peer: DatagramPeer, data: bytes, layer: MessageLayer) -> None:
        super().__init__()
        self._peer: Final = peer
        self._data: Final = data
        self._layer: Final = layer
        layer.group_answers += 1

    def due(self, now: float) -> None:
        self._layer.group_answers -= 1
        if not self._peer.gone:
            self._peer.send(self._data)


class DatagramExchange(Exchange):
    """A request that came in a datagram. `no_response`: the option's value, -1 when absent (RFC 7967)."""

    def __init__(
        self,
        peer: DatagramPeer,
        party: Party | None,
        request: Message,
        confirmable: bool,
        multicast: bool,
        no_response: int,
    ) -> None:
        super().__init__(peer, party, request, confirmable, multicast)
        self._peer: Final = peer
        self._no_response: Final = no_response
        self.answered: bool = False
        self.acknowledged: bool = False
        self.sent: bytes | None = None  # what a duplicate gets
        self.record: Record | None = None
        self.acknowledging: Timed | None = None

    def respond(self, response: Message) -> None:
        if self.answered:
            raise LocalMisuse("a request is answered once")
        self.answered = True
        self._peer.answer(self, response)

    def notify(self, response: Message, confirmable: bool, watcher: Watcher | None, number: int) -> bool:
        return self._peer.notify(self.request.token, response, confirmable, watcher, number)

    def ended(self) -> None:
        """Nothing is kept for notifications but Message IDs, which end by themselves."""

    def acknowledge(self) -> None:
        """By an empty message; the answer will be separate."""
        if self.answered or self.acknowledged:
            return
        self.acknowledged = True
        self.keep(head(ACK, codes.EMPTY, self.request.message_id, b""))
        if not self._peer.gone and self.sent is not None:
            self._peer.send(self.sent)

    def keep(self, data: bytes | None) -> None:
        """A duplicate gets this from now on."""
        self.sent = data
        if self.record is not None:
            self._peer.amend(self.record, data)

    def suppressed(self, code: int) -> bool:
        """Whether the client, or its having asked a group, does without this answer."""
        if self._no_response != _ABSENT:  # RFC 7967 section 2.1: also turns the default of a group around
            return (self._no_response >> ((code >> 5) - 1)) & 1 == 1
        return self.multicast and code >= codes.BAD_REQUEST  # RFC 7252 section 8.2


@mypyc_attr(allow_interpreted_subclasses=True)
class DatagramPeer(Peer):
    """One remote endpoint over UDP or DTLS. What the rim does with it: `receive` for each datagram (of DTLS: each record's
    content), `lost` when the link ended by itself; `close` ends both. `echo`: by what an address may prove itself."""

    def __init__(
        self,
        layer: MessageLayer,
        link: Link,
        party: Party | None,
        address: str,
        secured: bool,
        proven: bool,
        echo: Echo | None = None,
    ) -> None:
        super().__init__(party, address, False, secured, proven)
        self._layer: Final = layer
        self._link: Final = link
        self._echo: Final = echo
        self.last_heard: float = layer.clock.now
        self.because: str = ""
        # Each peer has its own run through all Message IDs, in an order of its own: whoever does not see the messages
        # cannot acknowledge or reset them (RFC 7252 sections 4.4 and 11.4).
        self._message_id: int = int(layer.jitter() * 65536)
        self._step: int = int(layer.jitter() * 32768) * 2 + 1
        self._credit: int = 0  # octets that may go to an unproven address
        self._remembered: dict[int, Record] | None = None
        self._remembered_octets: int = 0
        self._unanswered: int = 0
        self._flights: dict[int, Transmission] | None = None
        self._queue: deque[Transmission] | None = None
        self._told: dict[int, tuple[Watcher, int]] | None = None
        self._told_at: float = 0.0
        self._purging: bool = False

    # What comes in. ---------------------------------------------------------------------------------

    def receive(self, data: bytes, multicast: bool = False) -> None:
        """Take one datagram. Whatever it holds, nothing is raised but by a defect."""
        raise NotImplementedError

    # What goes out. ---------------------------------------------------------------------------------

    def answer(self, exchange: DatagramExchange, response: Message) -> None:
        raise NotImplementedError

    def notify(self, token: bytes, response: Message, confirmable: bool, watcher: Watcher | None, number: int) -> bool:
        raise NotImplementedError

    def send(self, data: bytes) -> bool:
        raise NotImplementedError

    # Its end. ---------------------------------------------------------------------------------------

    def close(self, because: str) -> None:
        raise NotImplementedError

    def lost(self, because: str) -> None:
        """The link ended by itself."""
        raise NotImplementedError

    def amend(self, record: Record, reply: bytes | None) -> None:
        raise NotImplementedError

    def unanswered(self, transmission: Transmission, now: float) -> None:
        raise NotImplementedError

    def purge(self, now: float) -> None:
        raise NotImplementedError
