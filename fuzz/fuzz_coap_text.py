"""Fuzzes CoAP's texts: only PeerError comes out of URIs, link format and Block options, and what is read is written so
that it is read again."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fuzz import harness

with harness.use_the_source():
    from bridgehead.protocols.coap.codec.block import read_block, write_block
    from bridgehead.protocols.coap.codec.link_format import Link, filtered, parse_links, write_links
    from bridgehead.protocols.coap.codec.uri import Uri, parse_uri
    from bridgehead.wire.errors import PeerError


def links_of(octets: bytes) -> list[tuple[object, ...]]:
    return [(link.target, link.attributes) for link in parse_links(octets)]


def parts_of(uri: Uri) -> tuple[object, ...]:
    return (uri.scheme, uri.host, uri.port, uri.path, uri.query)


def target(data: bytes) -> None:
    if not data:
        return
    octets = data[1:]
    try:
        if data[0] % 3 == 0:
            uri = parse_uri(octets.decode("utf-8", "replace"))
            if parts_of(parse_uri(str(uri))) != parts_of(uri):
                raise AssertionError(f"{uri} came back as another")
        elif data[0] % 3 == 1:
            found = links_of(octets)
            links = [Link(link.target, link.attributes) for link in parse_links(octets)]
            if links_of(write_links(links).encode()) != found:
                raise AssertionError(f"{found} came back as another")
            filtered(links, [octets.decode("utf-8")])
        else:
            block = read_block(octets, data[0] > 127)
            if read_block(write_block(*block), True) != block:
                raise AssertionError(f"{block} came back as another")
    except PeerError:
        return


def seeds() -> list[bytes]:
    from tests.coap.codec.test_link_format import EXAMPLE

    uris = [
        "coap://example.com:5683/~sensors/temp.xml?a=b&c",
        "coaps://[2001:db8::1]/%E3%81%93//?%2F%2F&?%26",
        "coap+tcp://198.51.100.1:61616/../a/./b/..",
        "coaps+ws://hub.example/t/a%2Fb",
    ]
    blocks = [b"", b"\x0a", b"\x1e", b"\x01\x00\x06", b"\xff\xff\xff", b"\x07"]
    texts = [EXAMPLE, b'</a>;rt="x y\\"z";obs;ct=0,<b>']
    found = [b"\0" + uri.encode() for uri in uris] + [b"\1" + text for text in texts]
    return found + [b"\2" + block for block in blocks] + [b"\xfe" + block for block in blocks]


if __name__ == "__main__":
    harness.run("coap_text", target, seeds())
