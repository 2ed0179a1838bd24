"""Links fetched from the very peer that registers, over UDP or DTLS as it came (RFC 9176 section 5.1)."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.coap.codec import codes, numbers
from bridgehead.protocols.coap.codec.block import block_size, read_block, write_block
from bridgehead.protocols.coap.codec.message import Message, Option, in_order, uint_value
from bridgehead.protocols.coap.session.asking import Inquiry
from bridgehead.protocols.coap.session.contract import Peer
from bridgehead.protocols.coap.session.datagrams import DatagramPeer
from bridgehead.protocols.coap.session.directory.ports import Fetch, Fetched
from bridgehead.protocols.coap.session.directory.settings import DirectorySettings
from bridgehead.wire.errors import PeerError


class PeerFetch(Fetch):
    """On the way that the peer has opened, so nobody else is asked, and over DTLS nobody else can answer."""

    def __init__(self, settings: DirectorySettings) -> None:
        self._settings: Final = settings

    def challenge(self, peer: Peer) -> tuple[Option, ...]:
        return peer.challenge() if isinstance(peer, DatagramPeer) else ()

    def fetch(self, peer: Peer, path: tuple[bytes, ...], accept: int, waiting: Fetched) -> None:
        if not isinstance(peer, DatagramPeer):
            waiting.fetched(None, "over this transport the hub is a server only")
            return
        options: list[Option] = [(numbers.URI_PATH, segment) for segment in path]
        options.append((numbers.ACCEPT, uint_value(accept)))
        _Gathering(peer, in_order(options), waiting, self._settings).ask(())


class _Gathering(Inquiry):
    """One body, block by block where it is large (RFC 7959 section 2.4)."""

    def __init__(
        self, peer: DatagramPeer, options: tuple[Option, ...], waiting: Fetched, settings: DirectorySettings
    ) -> None:
        self._peer: Final = peer
        self._options: Final = options
        self._waiting: Final = waiting
        self._settings: Final = settings
        self._body = b""
        self._tag: bytes | None = None

    def ask(self, block: tuple[Option, ...]) -> None:
        request = Message(codes.GET, in_order([*self._options, *block]))
        if not self._peer.ask(request, self, self._settings.fetch_timeout):
            self._waiting.fetched(None, "too much is under way to you already")

    def answered(self, response: Message | None, because: str) -> None:
        if response is None or response.code != codes.CONTENT:
            self._waiting.fetched(response, because)
            return
        value = response.first(numbers.BLOCK2)
        if value is None and not self._body:
            self._waiting.fetched(response, "")
            return
        try:
            number, more, exponent = read_block(value if value is not None else b"")
        except PeerError as error:
            self._waiting.fetched(None, error.text)
            return
        tag = response.first(numbers.ETAG)
        size = block_size(exponent)
        if number * size != len(self._body) or (more and len(response.payload) != size):
            self._waiting.fetched(None, "its blocks do not follow one another")
        elif self._body and tag != self._tag:
            self._waiting.fetched(None, "it changed while it was read")
        elif len(self._body) + len(response.payload) > self._settings.octets:
            self._waiting.fetched(None, f"it has more than {self._settings.octets} octets")
        else:
            self._tag = tag
            self._body += response.payload
            if more:
                self.ask(((numbers.BLOCK2, write_block(number + 1, False, exponent)),))
            else:
                self._waiting.fetched(Message(response.code, response.options, self._body), "")
