"""Fuzzes AMQP 0-9-1's codec: only PeerError comes out of a stream however it is cut, a method, a content header, or the
methods that are decoded by hand; and those decide as the general way does.

The first octet of an input chooses what it is, the second where a stream is cut; the rest is decoded.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fuzz import harness

with harness.use_the_source():
    from pamqp import commands

    from bridgehead.protocols.amqp.codec.v091.frames import OVERHEAD, Decoder, frame
    from bridgehead.protocols.amqp.codec.v091.hot import decode_ack, decode_publish
    from bridgehead.protocols.amqp.codec.v091.methods import (
        SECURE_OK,
        START_OK,
        UPDATE_SECRET,
        decode_method,
        decode_secure_ok,
        decode_start_ok,
        decode_update_secret,
    )
    from bridgehead.protocols.amqp.codec.v091.tables import check_content
    from bridgehead.wire.errors import PeerError

MAXIMUM = 4096
NESTING = 32
PUBLISH = commands.Basic.Publish.index.to_bytes(4, "big")
ACK = commands.Basic.Ack.index.to_bytes(4, "big")


def method(payload: bytes) -> None:
    decode_method(payload, NESTING)


def by_hand(payload: bytes) -> None:
    """The methods that have a way of their own."""
    name = payload[:4]
    if name == START_OK:
        decode_start_ok(payload, NESTING)
    elif name == SECURE_OK:
        decode_secure_ok(payload)
    elif name == UPDATE_SECRET:
        decode_update_secret(payload)
    elif name == PUBLISH:
        hot = decode_publish(payload)
        general = decode_method(payload, NESTING)
        if not isinstance(general, commands.Basic.Publish):
            raise AssertionError("basic.publish is another method")
        found = (general.exchange, general.routing_key, general.mandatory, general.immediate)
        if found != (hot.exchange, hot.routing_key, hot.mandatory, hot.immediate):
            raise AssertionError(f"by hand {payload.hex()} is to {hot.exchange!r} by {hot.routing_key!r}, else {found}")
    elif name == ACK:
        decode_ack(payload)


def content(payload: bytes) -> None:
    check_content(payload, NESTING)


Found = list[tuple[int, int, bytes]]


def stream(parts: list[bytes]) -> tuple[Found, str]:
    """The frames, and the fault's text ("" for none)."""
    decoder = Decoder(MAXIMUM)
    found: Found = []
    for part in parts:
        try:
            frames = decoder.feed(part)
        except PeerError as fault:
            found += [(each.kind, each.channel, each.payload) for each in decoder.frames]
            return found, fault.text
        found += [(each.kind, each.channel, each.payload) for each in frames]
    for kind, channel, payload in found:
        if len(payload) > MAXIMUM - OVERHEAD:
            raise AssertionError(f"a frame of {len(payload)} octets came through")
        again = Decoder(MAXIMUM).feed(frame(kind, channel, payload))
        if [(each.kind, each.channel, each.payload) for each in again] != [(kind, channel, payload)]:
            raise AssertionError(f"a frame of type {kind} came back as another")
    return found, ""


def target(data: bytes) -> None:
    if len(data) < 2:
        return
    kind, octets = data[0] % 4, data[2:]
    if kind == 3:
        cut = data[1] % (len(octets) + 1)
        whole, parts = stream([octets]), stream([octets[:cut], octets[cut:]])
        if whole != parts:
            raise AssertionError(f"cut at {cut}: {parts} instead of {whole}")
        return
    try:
        (method, by_hand, content)[kind](octets)
    except PeerError:
        return


def seeds() -> list[bytes]:
    from pamqp import common, header
    from pamqp.frame import marshal

    table: common.FieldTable = {"t": {"l": [1, None, "x", True, -1.5]}, "big": 1 << 40, "no": False}
    start = marshal(commands.Connection.StartOk(table, "PLAIN", "\0a\0b"), 0)
    publish = marshal(commands.Basic.Publish(0, "e", "r", True), 1)
    declare = marshal(commands.Queue.Declare(0, "q", durable=True, arguments={"x-max-length": 5}), 1)
    ack = marshal(commands.Basic.Ack(7, True), 1)
    properties = commands.Basic.Properties(headers={"k": {"n": "v"}}, priority=3, content_type="a/b")
    head = marshal(header.ContentHeader(0, 5, properties), 1)
    found = [b"\x03\x09" + start + publish + head + b"\x03\x00\x01\x00\x00\x00\x05hello\xce" + declare]
    for each in (start, publish, declare, ack):
        found += [b"\x00\x00" + each[7:-1], b"\x01\x00" + each[7:-1]]
    # Behind the frame's header, the class, the weight and the size of the body come the property flags.
    found += [b"\x02\x00" + head[19:-1], b"\x03\x00\x08\x00\x00\x00\x00\x00\x00\xce"]
    for name in (SECURE_OK, UPDATE_SECRET):
        found.append(b"\x01\x00" + name + b"\x00\x00\x00\x02ab\x00\x00\x00\x01c")
    for index in commands.INDEX_MAPPING:
        found.append(b"\x00\x00" + index.to_bytes(4, "big") + b"\x00\x00\x01a\x01b\x00\x00\x00\x00\x00")
    return found


if __name__ == "__main__":
    harness.run("amqp_v091", target, seeds())
