"""Frames, however the stream is cut; the ceiling before anything is kept; the hot way and the general way alike."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.protocols.amqp.codec.v1.composites import Composite, Performative
from bridgehead.protocols.amqp.codec.v1.decode import decode_performative
from bridgehead.protocols.amqp.codec.v1.encode import encode, frame, sasl_frame
from bridgehead.protocols.amqp.codec.v1.errors import DECODE_ERROR, FRAMING_ERROR, AmqpError
from bridgehead.protocols.amqp.codec.v1.frames import Decoder, Frame
from bridgehead.protocols.amqp.codec.v1.hot import (
    ACCEPTED_STATE,
    NO_STATE,
    RELEASED_STATE,
    HotReader,
    TransferEncoder,
    encode_disposition,
    encode_flow,
)
from bridgehead.protocols.amqp.codec.v1.performatives import Disposition, End, Flow, Open, Transfer
from bridgehead.protocols.amqp.codec.v1.reader import decode_value
from bridgehead.protocols.amqp.codec.v1.sasl import SaslInit
from bridgehead.protocols.amqp.codec.v1.states import ACCEPTED, RELEASED, TransactionalState
from bridgehead.protocols.amqp.codec.v1.types import Described
from bridgehead.protocols.amqp.codec.v1.writer import encode_value
from tests.amqp.codec import strategies

clause = pytest.mark.clause


def as_tuple(found: Frame) -> tuple[int, Performative | None, bytes]:
    return found.channel, found.performative, found.payload


def cut(octets: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(octets) + 1) for place in places), len(octets)]
    return [octets[start:end] for start, end in pairwise(bounds)]


places = st.lists(st.integers(0, 10_000), max_size=5)
frames = st.tuples(st.integers(0, 65_535), st.none() | strategies.performatives, st.binary(max_size=40))


@clause("AMQP-2.3.1", "AMQP-2.3.2", "AMQP-2.4.5")
@given(st.lists(frames, max_size=5), places)
def test_frames_come_back_however_the_stream_is_cut(
    given_frames: list[tuple[int, Performative | None, bytes]], where: list[int]
) -> None:
    wanted: list[tuple[int, Performative | None, bytes]] = []
    octets = b""
    for channel, performative, payload in given_frames:
        if performative is None:
            octets += frame(channel, b"")
            wanted.append((channel, None, b""))
        else:
            octets += frame(channel, encode(performative) + payload)
            wanted.append((channel, performative, payload))
    decoder = Decoder(1_000_000)
    found = [as_tuple(each) for part in cut(octets, where) for each in decoder.feed(part)]
    assert found == wanted
    assert decoder.held == 0


@clause("AMQP-5.3.1")
@given(st.lists(strategies.sasl_frames, min_size=1, max_size=4), places)
def test_sasl_frames_one_by_one(given_frames: list[Performative], where: list[int]) -> None:
    octets = b"".join([sasl_frame(encode(each)) for each in given_frames])
    header = b"AMQP\x00\x01\x00\x00"
    decoder = Decoder(10_000, sasl=True)
    found: list[Performative | None] = []
    for part in cut(octets + header, where):
        one = decoder.one(part)
        while one is not None:
            found.append(one.performative)
            if len(found) == len(given_frames):
                break
            one = decoder.one(b"")
        if len(found) == len(given_frames):
            break
    assert found == given_frames
    # What follows the last frame is no frame, and nobody took it for one.
    rest = decoder.rest()
    assert header.startswith(rest)
    assert decoder.rest() == b""


def test_an_extended_header_is_passed_over() -> None:
    body = encode(End())
    octets = (12 + len(body)).to_bytes(4, "big") + b"\x03\x00\x00\x07more" + body
    [found] = Decoder(1000).feed(octets)
    assert as_tuple(found) == (7, End(), b"")


FAULTS = {
    "shorter than its header": ("0000000702000000", FRAMING_ERROR),
    "longer than agreed": ("0000040102000000", FRAMING_ERROR),
    "4 GiB": ("ffffffff02000000", FRAMING_ERROR),
    "a data offset of 1": ("0000000c0100000000531745", FRAMING_ERROR),
    "a data offset beyond the frame": ("0000000c0400000000531745", FRAMING_ERROR),
    "a SASL frame": ("0000000c0201000000534400", FRAMING_ERROR),
    "an unknown type": ("0000000c0202000000531745", FRAMING_ERROR),
    "a SASL performative in an AMQP frame": ("0000001002000000005342c00301a000", FRAMING_ERROR),
    "no performative": ("0000000902000000" + "40", DECODE_ERROR),
    "an unknown performative": ("0000000c0200000000531945", DECODE_ERROR),
    "half a performative": ("0000000b02000000005310", DECODE_ERROR),
}


@clause("AMQP-2.3.1", "AMQP-2.3.2", "AMQP-2.8.15", "AMQP-2.8.16")
@pytest.mark.parametrize(("octets", "condition"), FAULTS.values(), ids=FAULTS)
def test_faults(octets: str, condition: str) -> None:
    decoder = Decoder(1024)
    good = frame(1, encode(End()))
    with pytest.raises(AmqpError) as fault:
        decoder.feed(good + bytes.fromhex(octets))
    assert fault.value.condition == condition
    assert [as_tuple(each) for each in decoder.frames] == [(1, End(), b"")]
    # The stream has no boundary any more.
    with pytest.raises(AmqpError) as again:
        decoder.feed(good)
    assert again.value is fault.value
    assert decoder.frames == []


def test_types_of_frames_are_not_mixed() -> None:
    with pytest.raises(AmqpError, match="where a SASL frame belongs"):
        Decoder(1024, sasl=True).feed(frame(0, encode(End())))
    with pytest.raises(AmqpError, match="another type"):
        Decoder(1024, sasl=True).feed(sasl_frame(encode(End())))
    with pytest.raises(AmqpError, match="another type"):
        Decoder(1024).feed(frame(0, encode(SaslInit("PLAIN"))))
    with pytest.raises(AmqpError, match="empty"):
        Decoder(1024, sasl=True).feed(sasl_frame(b""))


@clause("AMQP-2.3.1")
def test_the_ceiling_holds_before_the_frame_is_there() -> None:
    decoder = Decoder(512)
    with pytest.raises(AmqpError, match="at most 512"):
        decoder.feed(b"\x00\x00\x02\x01\x02\x00\x00\x00")
    assert decoder.held == 0
    # And one that fits is kept, and no more of it.
    decoder = Decoder(100_000)
    decoder.feed((100_000).to_bytes(4, "big") + b"\x02\x00\x00\x00")
    tracemalloc.start()
    for _ in range(99):
        assert decoder.feed(bytes(1000)) == []
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert decoder.held == 99_008
    assert peak < 300_000


@given(st.one_of(strategies.transfers, strategies.dispositions, strategies.flows), st.binary(max_size=10), st.data())
def test_the_hot_way_decides_as_the_general_one(value: Composite, payload: bytes, data: st.DataObject) -> None:
    octets = bytearray(encode(value) + payload)
    for _ in range(data.draw(st.integers(0, 2))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(
            st.sampled_from([0, 1, 2, 3, 0x40, 0x41, 0x42, 0x43, 0x45, 0x52, 0x53, 0x70, 0xA0, 0xC0, 0xFF])
        )
    whole = bytes(octets)
    hot = HotReader()
    found = hot.performative(whole, 0, len(whole))
    if found is not None:
        assert decode_performative(whole, 0, len(whole)) == (found, hot.payload)


@given(st.one_of(strategies.transfers, strategies.dispositions, strategies.flows), st.integers(0, 11))
def test_the_hot_way_takes_what_is_usual(value: Composite, kept: int) -> None:
    described, _ = decode_value(encode(value))
    assert isinstance(described, Described)
    assert isinstance(described.value, list)
    usual = not any(isinstance(each, Described | dict) for each in described.value)
    octets = encode_value(Described(described.descriptor, described.value[:kept]))
    try:
        wanted = decode_performative(octets, 0, len(octets))
    except AmqpError:
        wanted = None
    hot = HotReader()
    found = hot.performative(octets, 0, len(octets))
    if wanted is None:
        assert found is None
    elif usual:
        assert (found, hot.payload) == wanted


numbers = st.integers(0, 4_294_967_295)


@clause("AMQP-2.7.5", "AMQP-2.6.14")
@given(st.integers(0, 65_535), numbers, numbers, st.binary(max_size=300), st.data())
def test_transfers_made_by_hand(channel: int, handle: int, number: int, payload: bytes, data: st.DataObject) -> None:
    encoder = TransferEncoder(channel, handle)
    tag = data.draw(strategies.tags)
    settled, more, aborted = data.draw(st.tuples(st.booleans(), st.booleans(), st.booleans()))
    state = data.draw(st.sampled_from([None, TransactionalState(b"t" * 32), TransactionalState(b"t" * 250)]))
    octets = number.to_bytes(4, "big")
    cases = [
        (encoder.settled_frame(number, payload), Transfer(handle, number, octets, 0, 1)),
        (encoder.unsettled_frame(number, payload), Transfer(handle, number, octets, 0, 0)),
        (
            encoder.first_frame(number, tag, settled, more, payload, NO_STATE if state is None else encode(state)),
            Transfer(handle, number, tag, 0, int(settled), more, -1, state),
        ),
        (
            encoder.next_frame(settled, more, payload, aborted),
            Transfer(handle, -1, None, -1, int(settled), more, -1, None, False, aborted),
        ),
    ]
    for made, wanted in cases:
        [found] = Decoder(1_000_000).feed(made)
        assert as_tuple(found) == (channel, wanted, payload)


@clause("AMQP-2.7.6")
@given(st.integers(0, 65_535), st.booleans(), numbers, numbers, st.booleans())
def test_dispositions_made_by_hand(channel: int, role: bool, first: int, last: int, settled: bool) -> None:
    states = {ACCEPTED_STATE: ACCEPTED, RELEASED_STATE: RELEASED, NO_STATE: None}
    long_state = TransactionalState(b"t" * 254)
    for octets, state in [*states.items(), (encode(long_state), long_state)]:
        [found] = Decoder(1000).feed(encode_disposition(channel, role, first, last, settled, octets))
        assert as_tuple(found) == (channel, Disposition(role, first, last, settled, state), b"")


@clause("AMQP-2.7.4")
@given(st.integers(0, 65_535), st.integers(-1, 4_294_967_295), st.lists(numbers, min_size=7, max_size=7), st.booleans())
def test_flows_made_by_hand(channel: int, incoming: int, some: list[int], flag: bool) -> None:
    window, outgoing, room, handle, count, credit, available = some
    [found] = Decoder(1000).feed(encode_flow(channel, incoming, window, outgoing, room))
    assert as_tuple(found) == (channel, Flow(incoming, window, outgoing, room), b"")
    made = encode_flow(channel, incoming, window, outgoing, room, handle, count, credit, available, flag, not flag)
    [found] = Decoder(1000).feed(made)
    wanted = Flow(incoming, window, outgoing, room, handle, count, credit, available, flag, not flag)
    assert as_tuple(found) == (channel, wanted, b"")
    [found] = Decoder(1000).feed(encode_flow(channel, incoming, window, outgoing, room, handle, count, credit))
    assert as_tuple(found) == (channel, Flow(incoming, window, outgoing, room, handle, count, credit), b"")


@given(st.lists(frames, min_size=1, max_size=3), places, st.data())
def test_only_an_amqp_error_whatever_comes(
    given_frames: list[tuple[int, Performative | None, bytes]], where: list[int], data: st.DataObject
) -> None:
    octets = bytearray()
    for channel, performative, payload in given_frames:
        octets += frame(channel, b"" if performative is None else encode(performative) + payload)
    for _ in range(data.draw(st.integers(1, 3))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    results = []
    for parts in ([bytes(octets)], cut(bytes(octets), where)):
        decoder = Decoder(10_000)
        found: list[Frame] = []
        fault = ""
        try:
            for part in parts:
                found += decoder.feed(part)
        except AmqpError as error:
            found += decoder.frames
            fault = error.text
        results.append(([as_tuple(each) for each in found], fault))
    assert results[0] == results[1]


def test_nothing_of_a_read_is_kept() -> None:
    decoder = Decoder(1_000_000)
    frames = TransferEncoder(0, 0).settled_frame(1, b"x" * 1000) * 100
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        assert len(decoder.feed(bytes(bytearray(frames)))) == 100
        assert decoder.held == 0
        assert tracemalloc.get_traced_memory()[0] - before < 20_000
    finally:
        tracemalloc.stop()


def test_an_open_of_another_stream_is_shown() -> None:
    [found] = Decoder(1000).feed(frame(0, encode(Open("hub"))))
    assert repr(found) == "Frame(0, Open(container_id='hub', max_frame_size=4294967295, channel_max=65535), <0 octets>)"
