"""Requests by chance to every resource, over every transport at once: nothing is raised, nothing amplifies, nothing is
left behind, and who asks properly afterwards is served."""

from __future__ import annotations

import random

import pytest

from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec.encode import encode
from bridgehead.protocols.coap.codec.message import CON, NO_OPTIONS, NON, Message, Option, in_order
from bridgehead.protocols.coap.codec.numbers import URI_PATH, URI_QUERY
from tests.coap.dialogue import Client, StreamClient
from tests.coap.test_chain import whole

PATHS = [
    [], [b"t"], [b"t", b"a"], [b"t", b"a", b"b"], [b"t", b""], [b"t", b"a", b"", b"#"], [b"t", b"+"], [b"t", b"\xff"],
    [b"t", b"$SYS", b"x"], [b"t", b"$COAP", b"x"], [b".well-known", b"core"], [b"ps"], [b"ps", b"data"], [b"ps", b"x"],
    [b"rd"], [b"rd", b"1"], [b"rd-lookup", b"res"], [b"rd-lookup", b"ep"], [b"elsewhere"], [b"."],
]  # fmt: skip
QUERIES = [
    b"f=a/+", b"f=#", b"f=", b"f", b"ep=x", b"ep=", b"lt=60", b"lt=0", b"lt=-1", b"d=y", b"base=coap://h",
    b"rt=core.ps", b"rt=*", b"page=0", b"count=0", b"count=-1", b"href=/t*", b"\xff", b"q=%zz",
]  # fmt: skip
OPTIONS = [*range(1, 18), 19, 20, 23, 27, 28, 31, 35, 39, 60, 252, 258, 292, 9999]
PAYLOADS = [
    b"",
    b"x",
    b"</a>;rt=x",
    b"\xa1\x00\x61a",
    b"\xa2\x00\x63abc\x01\x64xxxx",
    b"y" * 1024,
    b"z" * 16,
    b"\x00\x01",
]
CODES = [1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 31, 0, 69, 225]


def by_chance(chance: random.Random, serial: int) -> Message:
    """Any message at all, of those that can be written."""
    options: list[Option] = [(URI_PATH, segment) for segment in chance.choice(PATHS)]
    options += [(URI_QUERY, chance.choice(QUERIES)) for _ in range(chance.choice([0, 0, 1, 2]))]
    for _ in range(chance.choice([0, 0, 1, 2, 3])):
        value = chance.choice([b"", b"\0", b"\1", b"\x06", b"\x0e", b"\x1e", chance.randbytes(chance.randrange(9))])
        options.append((chance.choice(OPTIONS), value))
    code = chance.choice(CODES) if chance.random() < 0.95 else chance.randrange(256)
    message_id = chance.randrange(20) if chance.random() < 0.2 else 100 + serial
    kind = chance.choice([CON, CON, CON, NON, NON, 2, 3])
    if code == codes.EMPTY:
        return Message(code, NO_OPTIONS, b"", b"", kind, message_id)
    token = chance.choice([b"", b"a", b"b", b"12345678"])
    return Message(code, in_order(options), chance.choice(PAYLOADS), token, kind, message_id)


class Traffic:
    """So many messages by chance from three clients over datagrams and two over streams."""

    def __init__(self, seed: int, count: int) -> None:
        self.hub = whole()
        self.chance = random.Random(seed)
        self.plain = self.hub.client()
        self.clients: list[Client] = [self.plain, self.hub.secured(), self.hub.secured("b", address="192.0.2.77:1")]
        self.streams = [self.hub.stream(), self.hub.stream(websocket=True)]
        self.sent = 0  # octets from the client on plain UDP
        for serial in range(count):
            message = by_chance(self.chance, serial)
            if self.chance.random() < 0.75:
                self.over_datagrams(message)
            else:
                self.over_a_stream(message)
            if self.chance.random() < 0.1:
                self.hub.pass_time(self.chance.choice([0.1, 1, 5, 50, 300]))
            received = sum(len(octets) for octets in self.plain.octets)
            assert received <= 3 * self.sent or self.plain.peer.proven, "it amplifies"

    def over_datagrams(self, message: Message) -> None:
        client = self.chance.choice(self.clients)
        client.multicast = self.chance.random() < 0.1
        data = encode(message)
        if self.chance.random() < 0.1:
            at = self.chance.randrange(len(data))
            data = data[:at] + bytes([data[at] ^ 1 << self.chance.randrange(8)]) + data[at + 1 :]
        if client is self.plain:
            self.sent += len(data)
        client.acknowledges = client is not self.plain  # an acknowledgement would let more go
        client.send_octets(data)
        if self.chance.random() < 0.1 and client.received and client is not self.plain:
            client.reset(client.received[-1])

    def over_a_stream(self, message: Message) -> None:
        at = self.chance.randrange(len(self.streams))
        stream = self.streams[at]
        if stream.peer.gone:
            stream = self.streams[at] = self.hub.stream(websocket=stream.websocket)
        stream.send(message)

    def proper(self) -> None:
        """What everyone may expect afterwards."""
        hub = self.hub
        hub.pass_time(1000)
        assert hub.layer.remembered == 0
        assert hub.layer.group_answers == 0
        asking: list[Client | StreamClient] = [hub.secured("c", address="192.0.2.78:1"), hub.stream("c")]
        for client in asking:
            assert client.request(codes.PUT, "t/Office/Door", b"open").code in (codes.CREATED, codes.CHANGED)
            assert client.request(codes.GET, "t/Office/Door").payload == b"open"


@pytest.mark.clause("RFC7252-11.3", "RFC7252-4.2")
@pytest.mark.parametrize("seed", range(20))
def test_requests_by_chance(seed: int) -> None:
    Traffic(seed, 100).proper()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 120))
def test_many_requests_by_chance(seed: int) -> None:
    Traffic(seed, 3000).proper()
