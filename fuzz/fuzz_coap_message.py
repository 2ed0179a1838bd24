"""Fuzzes CoAP's codec: only PeerError comes out of a datagram, a stream however it is cut, or a WebSocket message, and
what decodes encodes again. The dissector raises nothing.

The first octet of an input chooses the framing, the second where the stream is cut; the rest is decoded.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fuzz import harness

with harness.use_the_source():
    from bridgehead.protocols.coap.codec.decode import decode
    from bridgehead.protocols.coap.codec.encode import encode
    from bridgehead.protocols.coap.codec.errors import BadOption
    from bridgehead.protocols.coap.codec.message import Message
    from bridgehead.protocols.coap.codec.options import OPTIONS, check
    from bridgehead.protocols.coap.codec.stream import (
        StreamDecoder,
        decode_websocket,
        encode_stream,
        encode_websocket,
    )
    from bridgehead.protocols.coap.dissect import DATAGRAM, STREAM, WEBSOCKET, dissect
    from bridgehead.wire.errors import PeerError

MAXIMUM = 4096
KNOWN = frozenset(OPTIONS)


def as_tuple(message: Message) -> tuple[object, ...]:
    return (message.code, message.options, message.payload, message.token, message.type, message.message_id)


def stream(parts: list[bytes]) -> tuple[list[tuple[object, ...]], str]:
    """The messages, and the fault's text ("" for none)."""
    decoder = StreamDecoder(MAXIMUM)
    found: list[tuple[object, ...]] = []
    for part in parts:
        try:
            for message in decoder.feed(part):
                found.append(as_tuple(message))
                again = StreamDecoder(MAXIMUM + 16).feed(encode_stream(message))
                if [as_tuple(each) for each in again] != [as_tuple(message)]:
                    raise AssertionError(f"{as_tuple(message)} came back as {again}")
        except PeerError as fault:
            return found + [as_tuple(each) for each in decoder.messages], str(fault)
        if decoder.held > MAXIMUM + len(part):
            raise AssertionError(f"{decoder.held} octets are held")
    return found, ""


def checked(message: Message) -> None:
    try:
        kept = check(message, KNOWN)
    except BadOption:
        return
    if kept is not message and len(kept.options) >= len(message.options):
        raise AssertionError("nothing was left out of a message that was changed")


def target(data: bytes) -> None:
    if len(data) < 2:
        return
    octets = data[2:]
    framing = (DATAGRAM, STREAM, WEBSOCKET)[data[0] % 3]
    if sum(found.length for found in dissect(octets, framing)) != len(octets):
        raise AssertionError("octets are missing from the dissection")
    if framing == STREAM:
        cut = data[1] % (len(octets) + 1)
        whole, parts = stream([octets]), stream([octets[:cut], octets[cut:]])
        if whole != parts:
            raise AssertionError(f"cut at {cut}: {parts} instead of {whole}")
        return
    try:
        message = decode(octets) if framing == DATAGRAM else decode_websocket(octets)
    except PeerError:
        return
    again = decode(encode(message)) if framing == DATAGRAM else decode_websocket(encode_websocket(message))
    if as_tuple(again) != as_tuple(message):
        raise AssertionError(f"{as_tuple(message)} came back as {as_tuple(again)}")
    checked(message)


def seeds() -> list[bytes]:
    from tests.coap.codec.test_message import FAULTS, VECTORS

    found: list[bytes] = [b"\0\0" + bytes.fromhex(octets) for octets, _, _ in FAULTS]
    for octets, message in VECTORS:
        found.append(b"\0\0" + bytes.fromhex(octets))
        found.append(b"\x01\x03" + encode_stream(message) * 2)
        found.append(b"\x02\x00" + encode_websocket(message))
    return found


if __name__ == "__main__":
    harness.run("coap_message", target, seeds())
