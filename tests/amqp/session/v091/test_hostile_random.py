"""Anything from a peer, at any time: the hub answers, closes and reports, and never stumbles."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pamqp import base, commands

from bridgehead.core.errors import BAD_CREDENTIALS, Refusal
from bridgehead.protocols.amqp.codec.v091.frames import BODY, HEADER, METHOD, Decoder, frame
from bridgehead.protocols.amqp.config import AmqpConfig
from bridgehead.protocols.amqp.session.v091.vhost import vhost_of
from tests.amqp.dialogue import AmqpHub
from tests.amqp.session.v091.dialogue import Client

NAMES: Final = (
    "",
    "q",
    "d",
    "e",
    "amq.topic",
    "amq.direct",
    "amq.match",
    "amq.gen-1",
    "häfen & mehr = viel",
    "x" * 255,
    "ü" * 127,
    "a.*.#",
    "a/b",
    "#",
    "\0",
    "$QUEUE/q",
    "direct",
    "topic",
    "headers",
    "x-delayed-message",
)
ARGUMENTS: Final = (
    b"",
    b"\x0dx-message-ttlI\x00\x00\x00\x00",
    b"\x0dx-message-ttlS\x00\x00\x00\x011",
    b"\x09x-expiresI\x00\x00\x00\x01",
    b"\x0cx-max-lengthI\x00\x00\x00\x02",
    b"\x0ex-max-priorityB\x05",
    b"\x10x-delivery-limitI\x00\x00\x00\x01",
    b"\x19x-dead-letter-routing-keyS\x00\x00\x00\x01q\x16x-dead-letter-exchangeS\x00\x00\x00\x00",
    b"\x16x-dead-letter-exchangeS\x00\x00\x00\x09amq.topic",
    b"\x12alternate-exchangeS\x00\x00\x00\x01e",
    b"\x0ax-priorityl\x7f\xff\xff\xff\xff\xff\xff\xff",
    b"\x07x-matchS\x00\x00\x00\x03any\x01nI\x00\x00\x00\x01",
    b"\x01tT\xff\xff\xff\xff\xff\xff\xff\xff\x01dD\xff\x00\x00\x00\x01\x01nV\x01fd\x7f\xf8\x00\x00\x00\x00\x00\x00",
    b"\x01aA\x00\x00\x00\x05F\x00\x00\x00\x00\x02\xff\xfet\x01",
    b"\x01xx\x00\x00\x00\x03\xff\xfe\xfd",
)
PROPERTIES: Final = (
    b"\x00\x00",
    b"\x10\x00\x02",
    b"\x00\x01",
    b"\x01\x00\x0210",
    b"\x01\x00\x03abc",
    b"\x00\x10\x06office",
    b"\x00\x10\x05other",
    b"\x00\x40\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x08\x00\xff",
    b"\x02\x00\x0a/topics/%2",
    b"\x80\x00\x02\xff\xfe",
    b"\x00\x04\x01c",
    b"\x00\x02\x01c",
    b"",
    b"\xff",
)
KINDS: Final = tuple(kind for kind in commands.INDEX_MAPPING.values())
SIZES: Final = {"octet": 1, "short": 2, "long": 4, "longlong": 8, "timestamp": 8}


@st.composite
def methods(draw: st.DrawFn, kinds: tuple[type[base.Frame], ...] = KINDS) -> bytes:
    """The payload of a method frame with any arguments; often cut short or with more than its arguments."""
    kind = draw(st.sampled_from(kinds))
    octets = kind.index.to_bytes(4, "big")
    bits: list[bool] = []
    for attribute in kind.attributes():
        what = kind.amqp_type(attribute)
        if what == "bit":
            bits.append(draw(st.booleans()))
            continue
        if bits:
            octets += sum(bit << i for i, bit in enumerate(bits)).to_bytes(1, "big")
            bits = []
        if what == "shortstr":
            name = draw(st.sampled_from(NAMES)).encode()
            octets += bytes([len(name)]) + name
        elif what == "table":
            table = draw(st.sampled_from(ARGUMENTS))
            octets += len(table).to_bytes(4, "big") + table
        elif what == "longstr":
            text = draw(st.binary(max_size=8))
            octets += len(text).to_bytes(4, "big") + text
        else:
            number = draw(st.sampled_from((0, 0, 1, 2, 255, 2**16 - 1, 2**32 - 1, 2**64 - 1)))
            octets += (number % 256 ** SIZES[what]).to_bytes(SIZES[what], "big")
    if bits:
        octets += sum(bit << i for i, bit in enumerate(bits)).to_bytes(1, "big")
    cut = draw(st.sampled_from((0, 0, 0, 0, 0, 0, 0, 1, 3, 8, -1)))
    return octets[: len(octets) - cut] if cut >= 0 else octets + b"\x00\xff"


@st.composite
def publishes(draw: st.DrawFn) -> bytes:
    """A message whole, or not quite."""
    channel = draw(st.sampled_from((1, 1, 1, 2)))
    exchange = draw(st.sampled_from(NAMES)).encode()
    key = draw(st.sampled_from(NAMES)).encode()
    head = b"\x00\x3c\x00\x28\x00\x00" + bytes([len(exchange)]) + exchange + bytes([len(key)]) + key
    body = draw(st.binary(max_size=5))
    size = len(body) + draw(st.sampled_from((0, 0, 0, 0, 1, -1, 2**40)))
    content = b"\x00\x3c\x00\x00" + (size % 2**64).to_bytes(8, "big") + draw(st.sampled_from(PROPERTIES))
    return (
        frame(METHOD, channel, head + draw(st.sampled_from((b"\x00", b"\x01", b"\x02"))))
        + frame(HEADER, channel, content)
        + frame(BODY, channel, body)
    )


USUAL: Final = (
    commands.Basic.Consume,
    commands.Basic.Get,
    commands.Basic.Ack,
    commands.Basic.Nack,
    commands.Basic.Reject,
    commands.Basic.Recover,
    commands.Basic.Cancel,
    commands.Queue.Declare,
    commands.Queue.Bind,
    commands.Queue.Delete,
    commands.Exchange.Declare,
    commands.Exchange.Bind,
    commands.Confirm.Select,
    commands.Tx.Select,
    commands.Tx.Commit,
    commands.Tx.Rollback,
)
CHANNELS: Final = st.sampled_from((0, 1, 1, 1, 1, 2, 2047, 2048, 65_535))
PIECES: Final = st.one_of(
    publishes(),
    st.builds(frame, st.just(METHOD), st.sampled_from((1, 1, 1, 2)), methods(USUAL)),
    st.builds(frame, st.just(METHOD), CHANNELS, methods()),
    st.builds(frame, st.sampled_from((HEADER, BODY, 8, 4)), CHANNELS, st.binary(max_size=20)),
    st.binary(max_size=12),
)
DOINGS: Final = st.sampled_from(("nothing", "nothing", "nothing", "refuse", "commit", "time", "stop", "read", "open"))
QUEUES: Final = ("q", "häfen & mehr = viel", "x" * 255, "ü" * 127)


def usual(hub: AmqpHub) -> Client:
    """Somebody else, who must not be harmed, with queues to meet at."""
    other = Client(hub, "other").open()
    for name in QUEUES:
        octets = name.encode()
        head = b"\x00\x32\x00\x0a\x00\x00" + bytes([len(octets)]) + octets + b"\x02\x00\x00\x00\x00"
        other.send_octets(frame(METHOD, 1, head))
    Decoder(131_072).feed(other.octets)
    other.octets = b""
    return other


def check(hub: AmqpHub, client: Client, other: Client) -> None:
    """What came is frames; the other is served; nothing stays behind when the connection goes."""
    Decoder(131_072).feed(client.octets)
    client.connection.lost("gone")
    hub.store.full = False
    hub.store.automatic = True
    hub.settle()
    hub.pass_time(5.0)
    assert not other.connection.closed
    other.octets = b""
    other.ask(commands.Channel.Open(), commands.Channel.OpenOk, 9)
    assert hub.broker.counters.connections == 1
    vhost = vhost_of(hub.broker, hub.config)
    assert vhost.takers == {}
    for queue in hub.broker.queues.all():
        assert not queue.consumers
        assert queue.alone is None
        assert not queue.unsettled


@pytest.mark.clause("AMQP091-1.1")
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(st.tuples(PIECES, DOINGS), max_size=14))
def test_an_open_connection(pieces: list[tuple[bytes, str]]) -> None:
    config = AmqpConfig()
    config.outbox_octets = 2_000
    config.prefetch = 3
    hub = AmqpHub(config=config)
    other = usual(hub)
    client = Client(hub).open()
    for octets, doing in pieces:
        do(hub, client, doing)
        client.send_octets(octets)
    check(hub, client, other)


def do(hub: AmqpHub, client: Client, doing: str) -> None:
    if doing == "refuse":
        hub.store.full = True
    elif doing == "commit":
        hub.store.full = False
        hub.store.automatic = not hub.store.automatic
    elif doing == "time":
        hub.pass_time(0.5)
    elif doing == "stop":
        client.stop_reading()
    elif doing == "read":
        client.read_on()
    elif doing == "open":
        client.send(commands.Channel.Open(), 2)


LOG_INS: Final = st.one_of(
    PIECES,
    st.builds(
        frame,
        st.just(METHOD),
        st.just(0),
        methods(
            (
                commands.Connection.StartOk,
                commands.Connection.SecureOk,
                commands.Connection.TuneOk,
                commands.Connection.Open,
                commands.Connection.Close,
                commands.Connection.CloseOk,
            )
        ),
    ),
)
RIMS: Final = st.sampled_from(
    ("nothing", "nothing", "start", "proven", "last word", "challenge", "refuse", "tune", "time")
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(st.tuples(LOG_INS, RIMS), max_size=8), st.booleans())
def test_a_connection_that_begins(pieces: list[tuple[bytes, str]], properly: bool) -> None:
    """The rim's answers may come when nothing was asked, or when the connection is over."""
    hub = AmqpHub()
    other = usual(hub)
    client = Client(hub)
    if properly:
        client.start()
    for octets, doing in pieces:
        if doing == "start":
            client.send(commands.Connection.StartOk({}, "PLAIN", "\0office\0secret", "en_US"), 0)
        elif doing == "proven":
            client.proven()
        elif doing == "last word":
            client.proven(data=b"last")
        elif doing == "challenge":
            client.connection.challenge(b"more")
        elif doing == "refuse":
            client.connection.refuse(Refusal(BAD_CREDENTIALS, "the credentials are not accepted"))
        elif doing == "tune":
            client.send(commands.Connection.TuneOk(0, 0, 0), 0)
        elif doing == "time":
            hub.pass_time(4.0)
        client.send_octets(octets)
    check(hub, client, other)
