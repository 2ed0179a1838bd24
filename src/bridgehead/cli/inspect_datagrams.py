"""Puts UDP datagrams together to conversations, and finds those that speak CoAP."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bridgehead.cli.inspect_capture import Datagram
from bridgehead.cli.inspect_streams import Endpoint, ShownPacket
from bridgehead.protocols.coap.codec.codes import is_request
from bridgehead.protocols.coap.dissect import DATAGRAM, DissectedMessage, dissect

COAP: Final = "CoAP over UDP"
DTLS: Final = "DTLS"
OTHER: Final = "other"

_COAP_PORT: Final = 5683
_COAPS_PORT: Final = 5684


class Conversation:
    """What two endpoints sent one another. `client` sent the first request, as far as the capture tells."""

    def __init__(self, client: Endpoint, server: Endpoint) -> None:
        self.client = client
        self.server = server
        self.datagrams: list[Datagram] = []

    def kind(self, port: int | None) -> str:
        """What it speaks; `port` is where CoAP is expected, besides 5683. A multicast request has its answers in
        conversations of their own, which are known by the port that they come from."""
        if any(_is_dtls(datagram.data) for datagram in self.datagrams):
            return DTLS
        ports = (_COAP_PORT,) if port is None else (_COAP_PORT, port)
        return COAP if self.server[1] in ports or self.client[1] in ports else OTHER

    def messages(self) -> list[ShownPacket]:
        shown: list[ShownPacket] = []
        for datagram in self.datagrams:
            if datagram.data:
                [message] = dissect(datagram.data, DATAGRAM)
                from_server = datagram.source == self.server
                shown.append(ShownPacket(message, datagram.time, from_server, datagram.missing))
        return shown


def conversations(datagrams: Iterable[Datagram], port: int | None) -> list[Conversation]:
    """All of the capture, in the order in which they begin; with `port`, those of that port only."""
    found: dict[frozenset[Endpoint], Conversation] = {}
    for datagram in datagrams:
        if port is not None and port not in (datagram.source[1], datagram.destination[1]):
            continue
        ends = frozenset((datagram.source, datagram.destination))
        conversation = found.get(ends)
        if conversation is None:
            conversation = found[ends] = _new_conversation(datagram, port)
        conversation.datagrams.append(datagram)
    return list(found.values())


def _new_conversation(datagram: Datagram, port: int | None) -> Conversation:
    source, destination = datagram.source, datagram.destination
    expected = (_COAP_PORT, _COAPS_PORT) if port is None else (port,)
    if (source[1] in expected) != (destination[1] in expected):
        from_client = destination[1] in expected
    elif _is_dtls(datagram.data):
        from_client = True  # as it seems: a client sends the first datagram
    else:
        message: DissectedMessage = dissect(datagram.data, DATAGRAM)[0]
        from_client = message.code < 0 or is_request(message.code) or message.code == 0
    return Conversation(source, destination) if from_client else Conversation(destination, source)


def _is_dtls(octets: bytes) -> bool:
    """RFC 6347 4.1: a record's content type and version; RFC 9146 has one type more."""
    return len(octets) >= 13 and 20 <= octets[0] <= 25 and octets[1] == 0xFE and octets[2] in (0xFF, 0xFD)
