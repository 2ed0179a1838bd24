"""Fuzzes what publish/subscribe and the resource directory read of their peers: topic properties in CBOR, registration
parameters and links. Only PeerError comes out, and what was read is written and read again alike."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fuzz import harness

with harness.use_the_source():
    from bridgehead.core.message import Message as Published
    from bridgehead.core.message import Origin
    from bridgehead.protocols.coap.codec import codes, numbers
    from bridgehead.protocols.coap.codec.link_format import parse_links
    from bridgehead.protocols.coap.codec.message import Message
    from bridgehead.protocols.coap.codec.topic_properties import (
        CodePoints,
        read_keys,
        read_properties,
        write_properties,
    )
    from bridgehead.protocols.coap.session.directory.parameters import read_parameters
    from bridgehead.protocols.coap.session.directory.registration import Registration, check_links, from_message
    from bridgehead.wire.errors import PeerError

POINTS = CodePoints()
MOST = 100


def properties(data: bytes) -> None:
    try:
        read_keys(data, POINTS)
    except PeerError:
        pass
    try:
        found = read_properties(data, POINTS)
    except PeerError:
        return
    if read_properties(write_properties(found, POINTS), POINTS) != found:
        raise AssertionError(f"{found} came back as something else")


def registration(data: bytes) -> None:
    """Parameters up to the first 0xff, links after it."""
    query, _, document = data.partition(b"\xff")
    request = Message(codes.POST, tuple([(numbers.URI_QUERY, part) for part in query.split(b"&")]))
    try:
        parameters = read_parameters(request)
        links = parse_links(document)
        check_links(links, MOST)
    except PeerError:
        return
    made = Registration(
        parameters.ep or "name",
        parameters.d or "",
        parameters.base or "coap://host",
        False,
        parameters.lifetime or 60,
        parameters.attributes,
        links,
    )
    kept = made.to_message(Origin("fuzz", "coap", True), 1, 0.0)
    again = from_message(kept, MOST)
    if again is None:
        raise AssertionError(f"{kept.payload!r} is no registration any more")
    if (again.ep, again.d, again.base, again.lifetime) != (made.ep, made.d, made.base, made.lifetime):
        raise AssertionError(f"{kept.payload!r} is another registration")
    shown = [(link.target, link.attributes) for link in made.resolved()]
    if shown != [(link.target, link.attributes) for link in again.resolved()]:
        raise AssertionError(f"the links of {kept.payload!r} are others")


def record(data: bytes) -> None:
    """What another protocol may have published in the place of a registration."""
    from_message(Published("$COAP/rd//name", data, 1, True, Origin("fuzz", "mqtt", True)), MOST)


def target(data: bytes) -> None:
    properties(data)
    registration(data)
    record(data)


if __name__ == "__main__":
    harness.run(
        "coap_pubsub",
        target,
        [
            bytes.fromhex("a70065726f6f6d32016a2f70732f646174612f78026c636f72652e70732e6461746103187005c11a6428c57f"),
            bytes.fromhex("bf005f6161ff085f4101ff"),
            b'ep=node1&d=floor-3&lt=60&base=coap://[2001:db8::1]:61616&et=x\xff</s>;rt="a b";anchor="/x",<coap://h/>;obs',
            b'</rd/1>;ep="name";base="coap://h";rt="core.rd-ep";lt=60,</x>;ct=40',
        ],
    )
