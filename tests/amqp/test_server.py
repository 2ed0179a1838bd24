"""The rim of AMQP: protocol headers, the SASL layer, deadlines, and who judges when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.core.errors import BUSY
from bridgehead.protocols.amqp.codec.v1.composites import Performative
from bridgehead.protocols.amqp.codec.v1.encode import encode, frame
from bridgehead.protocols.amqp.codec.v1.performatives import Open
from bridgehead.protocols.amqp.codec.v1.sasl import (
    SaslChallenge,
    SaslInit,
    SaslMechanisms,
    SaslOutcome,
    SaslResponse,
)
from bridgehead.protocols.amqp.codec.v1.types import Symbol
from tests.amqp.rim import PLAIN_AMQP, SASL, V091, Judge, Pipe, Rim, said

INIT = said(SaslInit("PLAIN", b"\0office\0secret"))


@pytest.fixture
async def rim() -> AsyncIterator[Rim]:
    made = Rim()
    yield made
    await made.server.stop(0.0)


def outcome(found: list[Performative]) -> int:
    assert len(found) == 1
    assert isinstance(found[0], SaslOutcome)
    return found[0].outcome


async def greeted(rim: Rim) -> Pipe:
    """A connection that was told the mechanisms."""
    pipe = rim.connect()
    pipe.on_data(SASL)
    await rim.settle()
    assert isinstance(pipe.performatives()[0], SaslMechanisms)
    return pipe


# Protocol headers. ----------------------------------------------------------------------------------


@pytest.mark.clause("AMQP-5.3.2")
@pytest.mark.clause("AMQP-5.3.3.1")
async def test_the_sasl_header_is_answered_with_the_mechanisms(rim: Rim) -> None:
    pipe = rim.connect()
    for octet in SASL:
        assert pipe.sent == b""
        pipe.on_data(bytes([octet]))
        await rim.settle()
    assert pipe.sent.startswith(SASL)
    found = pipe.performatives()
    assert isinstance(found[0], SaslMechanisms)
    # Without a client certificate EXTERNAL is not offered.
    assert found[0].sasl_server_mechanisms == [Symbol(each) for each in Judge.MECHANISMS if each != "EXTERNAL"]


@pytest.mark.clause("AMQP-2.2")
@pytest.mark.parametrize(
    ("header", "answer"),
    [
        (PLAIN_AMQP, SASL),  # 5.3: nobody without an identity
        (b"AMQP\x02\x01\x00\x00", SASL),  # TLS inside of AMQP (5.2): the port has TLS, or has none
        (b"AMQP\x00\x01\x00\x01", SASL),
        (b"AMQP\x03\x01\x01\x00", SASL),
        (b"AMQP\x01\x01\x00\x09", V091),  # 0-9
        (b"AMQP\x01\x01\x08\x00", V091),  # 0-8
        (b"AMQP\x00\x00\x0a\x01", V091),
        (b"GET / HTTP/1.1\r\n", SASL),
        (b"X", SASL),
        (b"AMQX", SASL),
    ],
)
async def test_another_header_is_answered_with_one_that_is_served(rim: Rim, header: bytes, answer: bytes) -> None:
    pipe = rim.connect()
    pipe.on_data(header)
    await rim.settle()
    assert pipe.take() == answer
    assert pipe.closed
    assert rim.named("connection.refused")[0]["address"] == pipe.peer
    assert rim.judge.asked == []


@pytest.mark.clause("AMQP-2.4")
@pytest.mark.parametrize("begun", [b"", b"AMQP", SASL[:7], SASL, SASL + INIT[:9]])
async def test_half_of_anything_is_not_waited_for(rim: Rim, begun: bytes) -> None:
    pipe = rim.connect()
    if begun:
        pipe.on_data(begun)
    await rim.settle()
    await rim.wait(rim.config.connect_timeout - 1)
    assert not pipe.closed
    await rim.wait(2)
    assert pipe.closed
    assert "in time" in str(rim.named("connection.refused")[0]["because"])


async def test_who_only_connects_and_goes_leaves_nothing_behind(rim: Rim) -> None:
    for _ in range(3):
        pipe = rim.connect()
        pipe.on_end("")
    assert len(rim.server) == 0


@pytest.mark.clause("AMQP091-4.2.2")
async def test_the_header_of_0_9_1_is_answered_with_connection_start(rim: Rim) -> None:
    pipe = rim.connect()
    for octet in V091:
        assert pipe.sent == b""
        pipe.on_data(bytes([octet]))
        await rim.settle()
    start = pipe.take()
    # A method frame (4.2.3) on channel 0: class 10, method 10.
    assert start[:3] + start[7:11] == b"\x01\x00\x00\x00\x0a\x00\x0a"
    assert b"PLAIN" in start
    assert b"ANONYMOUS" not in start
    await rim.wait(rim.config.connect_timeout + 1)
    assert pipe.closed


# The SASL layer. ------------------------------------------------------------------------------------


@pytest.mark.clause("AMQP-5.3.3.2")
@pytest.mark.clause("AMQP-5.3.3.5")
async def test_an_initial_response_is_enough(rim: Rim) -> None:
    rim.judge.answers = [rim.judge.proven(b"and you are right")]
    pipe = await greeted(rim)
    pipe.on_data(INIT)
    await rim.settle()
    found = pipe.performatives()
    assert outcome(found) == 0
    assert isinstance(found[0], SaslOutcome)
    assert found[0].additional_data == b"and you are right"
    assert rim.judge.exchanges[0].heard == [b"\0office\0secret"]
    pipe.on_data(PLAIN_AMQP + frame(0, encode(Open("back-office"))))
    await rim.settle()
    assert pipe.take().startswith(PLAIN_AMQP)
    assert not pipe.closed
    assert len(rim.named("connection.accepted")) == 1


@pytest.mark.clause("AMQP-5.3.2")
async def test_a_peer_may_say_everything_at_once(rim: Rim) -> None:
    rim.judge.answers = [rim.judge.proven()]
    pipe = rim.connect()
    pipe.on_data(SASL + INIT + PLAIN_AMQP + frame(0, encode(Open("hasty"))))
    await rim.settle()
    assert rim.named("connection.accepted")[0]["container"] == "hasty"
    assert not pipe.closed


@pytest.mark.clause("AMQP-5.3.3.3")
@pytest.mark.clause("AMQP-5.3.3.4")
async def test_challenges_and_responses(rim: Rim) -> None:
    rim.judge.answers = [lambda _: b"first?", lambda _: b"second?", rim.judge.proven()]
    pipe = await greeted(rim)
    pipe.on_data(said(SaslInit("SCRAM-SHA-256", None)))
    await rim.settle()
    for asked in (b"first?", b"second?"):
        found = pipe.performatives()
        assert isinstance(found[0], SaslChallenge)
        assert found[0].challenge == asked
        pipe.on_data(said(SaslResponse(b"answer to " + asked)))
        await rim.settle()
    assert outcome(pipe.performatives()) == 0
    assert rim.judge.exchanges[0].heard == [None, b"answer to first?", b"answer to second?"]


@pytest.mark.clause("AMQP-5.3.3.6")
async def test_what_is_not_proven_ends_with_its_code(rim: Rim) -> None:
    for answer, code in ((rim.judge.refusal(), 1), (rim.judge.refusal(BUSY), 4)):
        rim.judge.answers = [answer]
        pipe = await greeted(rim)
        pipe.on_data(INIT)
        await rim.settle()
        assert outcome(pipe.performatives()) == code
        assert pipe.closed
    assert all(each.is_over for each in rim.judge.exchanges)


@pytest.mark.clause("AMQP-5.3.3.2")
@pytest.mark.parametrize("mechanism", ["ANONYMOUS", "CRAM-MD5", "EXTERNAL", "", "plain"])
async def test_a_mechanism_that_is_not_offered_is_refused_without_a_look(rim: Rim, mechanism: str) -> None:
    pipe = await greeted(rim)
    pipe.on_data(said(SaslInit(mechanism, b"anybody")))
    await rim.settle()
    assert outcome(pipe.performatives()) == 1
    assert pipe.closed
    assert rim.judge.asked == []


@pytest.mark.clause("AMQP-5.3.3")
@pytest.mark.parametrize(
    "octets",
    [
        said(SaslResponse(b"unasked")),
        said(SaslOutcome(0)),
        said(SaslMechanisms([Symbol("PLAIN")])),
        frame(0, encode(Open("early"))),
        b"\x00\x00\x00\x08\x02\x01\x00\x00",  # an empty SASL frame
        b"\x00\x00\x30\x00\x02\x01\x00\x00",  # 12 KiB of a frame
        b"\xff" * 64,
    ],
)
async def test_whatever_has_no_place_there_closes_the_connection(rim: Rim, octets: bytes) -> None:
    pipe = await greeted(rim)
    pipe.on_data(octets)
    await rim.settle()
    assert pipe.closed
    assert len(rim.named("connection.peer-error")) == 1
    assert rim.judge.asked == []


async def test_nothing_is_read_while_somebody_unknown_is_judged(rim: Rim) -> None:
    rim.judge.answers = [rim.judge.proven()]
    pipe = await greeted(rim)
    pipe.on_data(INIT)
    await asyncio.sleep(0)
    assert not pipe.reading
    # Some octets were under way already; more than those nobody has.
    pipe.on_data(b"x" * 200_000)
    await rim.settle()
    assert pipe.closed
    assert rim.named("connection.accepted") == []


async def test_who_goes_away_while_he_is_judged_is_forgotten(rim: Rim) -> None:
    rim.judge.answers = [rim.judge.proven()]
    pipe = await greeted(rim)
    pipe.on_data(INIT)
    await asyncio.sleep(0)
    pipe.on_end("gone")
    await rim.settle()
    assert len(rim.server) == 0
    assert rim.named("connection.accepted") == []
    assert all(each.is_over for each in rim.judge.exchanges)


async def test_there_is_an_end_of_rounds(rim: Rim) -> None:
    rim.judge.answers = [lambda _: b"more?" for _ in range(100)]
    pipe = await greeted(rim)
    pipe.on_data(said(SaslInit("SCRAM-SHA-256", b"")))
    rounds = 0
    while not pipe.closed:
        await rim.settle()
        rounds += 1
        pipe.on_data(said(SaslResponse(b"and more")))
        await rim.settle()
    assert rounds == 16
    assert len(rim.server) == 1
    pipe.on_end("")


@pytest.mark.clause("AMQP-2.4.5")
async def test_a_connection_whose_proof_ends_is_closed(rim: Rim) -> None:
    rim.judge.answers = [rim.judge.proven(expires_at=1_000_030.0)]
    pipe = await greeted(rim)
    pipe.on_data(INIT)
    await rim.settle()
    pipe.on_data(PLAIN_AMQP + frame(0, encode(Open("back-office"))))
    await rim.settle()
    await rim.wait(29)
    assert not pipe.closed
    pipe.take()
    await rim.wait(2)
    assert pipe.closed
    assert b"amqp:unauthorized-access" in pipe.take()


async def test_a_hub_that_stops_says_so(rim: Rim) -> None:
    rim.judge.answers = [rim.judge.proven()]
    pipe = await greeted(rim)
    pipe.on_data(INIT + PLAIN_AMQP + frame(0, encode(Open("back-office"))))
    await rim.settle()
    pipe.take()
    await rim.server.stop(0.0)
    await rim.settle()
    assert b"amqp:connection:forced" in pipe.take()
    assert pipe.closed


@given(octets=st.binary(max_size=200), cut=st.integers(0, 200))
def test_whatever_comes_nothing_is_raised(octets: bytes, cut: int) -> None:
    async def run() -> None:
        rim = Rim()
        for begun in (b"", SASL):
            pipe = rim.connect()
            for part in (begun + octets[:cut], octets[cut:]):
                if part and pipe.reading:
                    pipe.on_data(part)
                    await rim.settle()
            pipe.on_end("")
        await rim.server.stop(0.0)
        assert len(rim.server) == 0

    asyncio.run(run())
