"""Requests, bodies in blocks, observations and Echo, between the client's machine and a server by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.protocols.coap.client.datagrams import DatagramLayer
from bridgehead.protocols.coap.client.machine import Answered, ClientMachine, Lost
from bridgehead.protocols.coap.client.streams import StreamLayer
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.block import block_size, read_block, write_block
from bridgehead.protocols.coap.codec.decode import decode
from bridgehead.protocols.coap.codec.encode import encode
from bridgehead.protocols.coap.codec.message import ACK, CON, NON, RST, Message, uint_value
from bridgehead.protocols.coap.codec.signalling import Capabilities
from bridgehead.protocols.coap.codec.stream import (
    StreamDecoder,
    decode_websocket,
    encode_stream,
    encode_websocket,
)

PATH = (option.URI_PATH, b"t")
OBSERVED = Message(codes.GET, ((option.OBSERVE, b""), PATH))


class Talk:
    """The machine over datagrams, and what the server says by hand."""

    def __init__(self) -> None:
        self.machine = ClientMachine(DatagramLayer(lambda: 0.0, 0), b"\xff" * 8)
        self.now = 0.0
        self.message_id = 1000

    def sent(self) -> list[Message]:
        return [decode(each) for each in self.machine.outgoing()]

    def reply(self, request: Message, code: int, *options: tuple[int, bytes], payload: bytes = b"") -> None:
        """Piggybacked to a CON, of its own to a NON."""
        kind, message_id = (ACK, request.message_id) if request.type == CON else (NON, self._new_id())
        self.say(Message(code, options, payload, request.token, kind, message_id))

    def tell(self, token: bytes, *options: tuple[int, bytes], payload: bytes = b"", kind: int = NON) -> None:
        """A notification."""
        self.say(Message(codes.CONTENT, options, payload, token, kind, self._new_id()))

    def say(self, message: Message) -> None:
        self.machine.receive(encode(message), self.now)

    def _new_id(self) -> int:
        self.message_id += 1
        return self.message_id


def shown(machine: ClientMachine) -> list[tuple[str, int, bytes | str]]:
    found: list[tuple[str, int, bytes | str]] = []
    for event in machine.events():
        if isinstance(event, Lost):
            found.append(("lost", event.number, event.because))
        else:
            found.append(
                ("answered" if isinstance(event, Answered) else "notified", event.number, event.response.payload)
            )
    return found


@pytest.mark.clause("RFC7252-5.3.1")
def test_requests_are_told_apart_by_their_tokens() -> None:
    talk = Talk()
    first = talk.machine.request(Message(codes.GET, (PATH,)), False, 0.0)
    second = talk.machine.request(Message(codes.GET, (PATH,)), False, 0.0)
    one, two = talk.sent()
    assert one.token != two.token
    assert len(one.token) == 8
    talk.reply(two, codes.CONTENT, payload=b"two")
    talk.reply(one, codes.NOT_FOUND, payload=b"one")
    assert shown(talk.machine) == [("answered", second, b"two"), ("answered", first, b"one")]
    talk.reply(one, codes.CONTENT, payload=b"late")
    assert shown(talk.machine) == []


@pytest.mark.clause("RFC9175-4")
def test_no_token_comes_twice() -> None:
    """Not even of a request whose answer came long ago: one that was held back could pass for a later one's."""
    talk = Talk()
    tokens = []
    for number in range(1_000):
        talk.machine.request(Message(codes.GET, (PATH,)), False, float(number))
        (sent,) = talk.sent()
        tokens.append(sent.token)
        talk.reply(sent, codes.CONTENT, payload=b"x")
    assert len(set(tokens)) == 1_000


def test_a_request_without_an_answer_is_lost() -> None:
    talk = Talk()
    number = talk.machine.request(Message(codes.GET, (PATH,)), True, 0.0)
    while talk.machine.next_timeout() < 1000.0:
        talk.machine.handle_timeout(talk.machine.next_timeout())
    assert shown(talk.machine) == [("lost", number, "the server does not answer")]
    assert len(talk.sent()) == 5


# Block by block. ---------------------------------------------------------------------------------------


class BlockServer:
    """A server of RFC 7959 that keeps one body: `largest` is the exponent that it takes and gives."""

    def __init__(self, body: bytes, largest: int) -> None:
        self.body = body
        self.largest = largest
        self.got = b""
        self.tags: set[bytes] = set()
        self.sizes: list[int] = []

    def answer(self, request: Message) -> Message:
        value = request.first(option.BLOCK1)
        if value is not None:
            number, more, exponent = read_block(value)
            self.sizes.append(block_size(exponent))
            assert number * block_size(exponent) == len(self.got)
            assert (len(request.payload) == block_size(exponent)) or not more
            self.tags.add(request.first(option.REQUEST_TAG) or b"")
            agreed = min(exponent, self.largest)
            self.got += request.payload
            if more:
                return Message(codes.CONTINUE, ((option.BLOCK1, write_block(number, True, agreed)),))
            return Message(codes.CHANGED, ((option.BLOCK1, value),))
        if request.payload:
            self.got = request.payload
            return Message(codes.CHANGED)
        wanted = request.first(option.BLOCK2)
        number, _, exponent = read_block(wanted) if wanted is not None else (0, False, self.largest)
        exponent = min(exponent, self.largest)
        size = block_size(exponent)
        piece = self.body[number * size : (number + 1) * size]
        more = (number + 1) * size < len(self.body)
        if number == 0 and not more:
            return Message(codes.CONTENT, ((option.ETAG, b"e"),), piece)
        return Message(
            codes.CONTENT, ((option.ETAG, b"e"), (option.BLOCK2, write_block(number, more, exponent))), piece
        )


def run(talk: Talk, answer: Callable[[Message], Message]) -> None:
    while requests := talk.sent():
        for request in requests:
            made = answer(request)
            talk.reply(request, made.code, *made.options, payload=made.payload)


@pytest.mark.clause("RFC7959-2.3")
@pytest.mark.clause("RFC7959-2.4")
@given(st.integers(0, 5000), st.integers(0, 6))
def test_a_body_comes_whole_whatever_its_size(size: int, largest: int) -> None:
    body = bytes(each % 251 for each in range(size))
    talk = Talk()
    server = BlockServer(body, largest)
    number = talk.machine.request(Message(codes.GET, (PATH,)), True, 0.0)
    run(talk, server.answer)
    assert shown(talk.machine) == [("answered", number, body)]


@pytest.mark.clause("RFC7959-2.3")
@pytest.mark.clause("RFC7959-2.5")
@pytest.mark.clause("RFC9175-3.2.1")
@given(st.integers(1, 5000), st.integers(0, 6))
def test_a_body_goes_whole_whatever_its_size(size: int, largest: int) -> None:
    body = bytes(each % 251 for each in range(size))
    talk = Talk()
    server = BlockServer(b"", largest)
    number = talk.machine.request(Message(codes.PUT, (PATH,), body), True, 0.0)
    run(talk, server.answer)
    assert shown(talk.machine) == [("answered", number, b"")]
    assert server.got == body
    assert len(server.tags) <= 1
    assert all(each <= block_size(largest) for each in server.sizes[1:])


@pytest.mark.clause("RFC7959-2.9.3")
def test_a_body_is_sent_again_in_the_blocks_that_the_server_takes() -> None:
    talk = Talk()
    talk.machine.request(Message(codes.PUT, (PATH,), bytes(1500)), True, 0.0)
    [first] = talk.sent()
    assert first.uint(option.SIZE1) == 1500
    talk.reply(first, codes.REQUEST_ENTITY_TOO_LARGE, (option.BLOCK1, write_block(0, False, 2)))
    [again] = talk.sent()
    assert (read_block(again.first(option.BLOCK1) or b""), len(again.payload)) == ((0, True, 2), 64)


@pytest.mark.clause("RFC7959-2.4")
def test_a_representation_that_changes_is_fetched_again() -> None:
    talk = Talk()
    number = talk.machine.request(Message(codes.GET, (PATH,)), True, 0.0)
    [one] = talk.sent()
    talk.reply(one, codes.CONTENT, (option.ETAG, b"1"), (option.BLOCK2, write_block(0, True, 0)), payload=b"a" * 16)
    [two] = talk.sent()
    assert read_block(two.first(option.BLOCK2) or b"") == (1, False, 0)
    talk.reply(two, codes.CONTENT, (option.ETAG, b"2"), (option.BLOCK2, write_block(1, False, 0)), payload=b"b")
    [three] = talk.sent()
    assert read_block(three.first(option.BLOCK2) or b"")[0] == 0
    talk.reply(three, codes.CONTENT, (option.ETAG, b"2"), (option.BLOCK2, write_block(0, False, 0)), payload=b"c")
    assert shown(talk.machine) == [("answered", number, b"c")]


@pytest.mark.parametrize(
    ("options", "payload", "text"),
    [
        ([(option.BLOCK2, write_block(0, True, 0))], b"short", "not the last has not its full size"),
        ([(option.BLOCK2, b"\x07")], b"", "the block size exponent 7 is reserved"),
    ],
)
@pytest.mark.clause("RFC7959-2.2")
def test_blocks_that_do_not_fit_are_a_fault(options: list[tuple[int, bytes]], payload: bytes, text: str) -> None:
    talk = Talk()
    talk.machine.request(Message(codes.GET, (PATH,)), True, 0.0)
    [request] = talk.sent()
    talk.reply(request, codes.CONTENT, *options, payload=payload)
    [(what, _, because)] = shown(talk.machine)
    assert what == "lost"
    assert text in str(because)


def test_another_block_than_was_asked_for_is_a_fault() -> None:
    talk = Talk()
    talk.machine.request(Message(codes.GET, (PATH,)), True, 0.0)
    [one] = talk.sent()
    talk.reply(one, codes.CONTENT, (option.BLOCK2, write_block(0, True, 0)), payload=b"a" * 16)
    [two] = talk.sent()
    talk.reply(two, codes.CONTENT, (option.BLOCK2, write_block(5, False, 0)), payload=b"b")
    assert [event[0] for event in shown(talk.machine)] == ["lost"]


# Observe. ----------------------------------------------------------------------------------------------


def observing() -> tuple[Talk, int, bytes]:
    talk = Talk()
    number = talk.machine.request(OBSERVED, True, 0.0)
    [request] = talk.sent()
    assert request.uint(option.OBSERVE) == 0
    talk.reply(request, codes.CONTENT, (option.OBSERVE, uint_value(10)), payload=b"first")
    assert shown(talk.machine) == [("notified", number, b"first")]
    return talk, number, request.token


@pytest.mark.clause("RFC7641-3.2")
def test_notifications_follow_the_registration() -> None:
    talk, number, token = observing()
    talk.tell(token, (option.OBSERVE, uint_value(11)), payload=b"second")
    talk.tell(token, (option.OBSERVE, uint_value(12)), payload=b"third", kind=CON)
    assert shown(talk.machine) == [("notified", number, b"second"), ("notified", number, b"third")]
    assert [each.type for each in talk.sent()] == [ACK]


@pytest.mark.clause("RFC7641-3.4")
def test_a_notification_that_comes_late_is_left_out() -> None:
    talk, number, token = observing()
    talk.tell(token, (option.OBSERVE, uint_value(12)), payload=b"newer")
    talk.tell(token, (option.OBSERVE, uint_value(11)), payload=b"older")
    talk.tell(token, (option.OBSERVE, uint_value(12 + (1 << 23))), payload=b"far away")
    assert shown(talk.machine) == [("notified", number, b"newer")]
    talk.now = 129.0
    talk.tell(token, (option.OBSERVE, uint_value(3)), payload=b"after long")
    assert shown(talk.machine) == [("notified", number, b"after long")]


@pytest.mark.clause("RFC7641-3.4")
def test_the_sequence_wraps() -> None:
    talk = Talk()
    number = talk.machine.request(OBSERVED, True, 0.0)
    [request] = talk.sent()
    talk.reply(request, codes.CONTENT, (option.OBSERVE, b"\xff\xff\xff"), payload=b"last")
    talk.tell(request.token, (option.OBSERVE, b""), payload=b"wrapped")
    assert shown(talk.machine) == [("notified", number, b"last"), ("notified", number, b"wrapped")]


@pytest.mark.clause("RFC7641-3.2")
def test_an_error_ends_the_observation() -> None:
    talk, number, token = observing()
    talk.say(Message(codes.FORBIDDEN, (), b"withdrawn", token, CON, 77))
    assert shown(talk.machine) == [("answered", number, b"withdrawn")]
    talk.sent()
    talk.tell(token, (option.OBSERVE, uint_value(99)), payload=b"more")
    assert shown(talk.machine) == []
    assert [each.type for each in talk.sent()] == [RST]


@pytest.mark.clause("RFC7641-3.1")
def test_a_resource_that_cannot_be_observed_is_answered_once() -> None:
    talk = Talk()
    number = talk.machine.request(OBSERVED, True, 0.0)
    [request] = talk.sent()
    talk.reply(request, codes.CONTENT, payload=b"only once")
    assert shown(talk.machine) == [("answered", number, b"only once")]


@pytest.mark.clause("RFC7641-3.6")
def test_cancelling_deregisters_with_the_same_token() -> None:
    talk, number, token = observing()
    talk.machine.cancel(number, 0.0)
    [request] = talk.sent()
    assert (request.uint(option.OBSERVE), request.token, request.all(option.URI_PATH)) == (1, token, [b"t"])
    talk.tell(token, (option.OBSERVE, uint_value(11)), payload=b"after it")
    assert shown(talk.machine) == []


@pytest.mark.clause("RFC7641-3.4")
def test_an_observation_is_registered_again_at_a_server_that_forgot_it() -> None:
    talk, number, token = observing()
    talk.now = 200.0
    talk.machine.refresh(number, b"etag", talk.now)
    [request] = talk.sent()
    assert (request.token, request.uint(option.OBSERVE), request.first(option.ETAG)) == (token, 0, b"etag")
    talk.reply(request, codes.VALID, (option.ETAG, b"etag"), (option.OBSERVE, uint_value(1)))
    talk.tell(token, (option.OBSERVE, uint_value(2)), payload=b"new")
    assert shown(talk.machine) == [("notified", number, b""), ("notified", number, b"new")]
    talk.machine.cancel(number, talk.now)
    talk.sent()
    talk.machine.refresh(number, b"etag", talk.now)
    assert talk.sent() == []


@pytest.mark.clause("RFC7959-2.6")
def test_a_large_notification_is_fetched_to_its_end() -> None:
    talk, number, token = observing()
    talk.tell(token, (option.OBSERVE, b"\x0b"), (option.BLOCK2, write_block(0, True, 0)), payload=b"a" * 16, kind=CON)
    acknowledgement, rest = talk.sent()
    assert acknowledgement.type == ACK
    assert rest.token != token
    assert not rest.has(option.OBSERVE)
    assert read_block(rest.first(option.BLOCK2) or b"") == (1, False, 0)
    talk.reply(rest, codes.CONTENT, (option.BLOCK2, write_block(1, False, 0)), payload=b"b")
    assert shown(talk.machine) == [("notified", number, b"a" * 16 + b"b")]


def test_a_newer_notification_stops_the_fetching_of_an_older_one() -> None:
    talk, number, token = observing()
    talk.tell(token, (option.OBSERVE, b"\x0b"), (option.BLOCK2, write_block(0, True, 0)), payload=b"a" * 16)
    [rest] = talk.sent()
    talk.tell(token, (option.OBSERVE, b"\x0c"), payload=b"newer")
    talk.reply(rest, codes.CONTENT, (option.BLOCK2, write_block(1, False, 0)), payload=b"b")
    assert shown(talk.machine) == [("notified", number, b"newer")]


# Echo. -------------------------------------------------------------------------------------------------


@pytest.mark.clause("RFC9175-2.3")
def test_an_echo_is_given_back_once() -> None:
    talk = Talk()
    number = talk.machine.request(Message(codes.PUT, (PATH,), b"21"), True, 0.0)
    [first] = talk.sent()
    talk.reply(first, codes.UNAUTHORIZED, (option.ECHO, b"echo"))
    [second] = talk.sent()
    assert (second.first(option.ECHO), second.payload, second.code) == (b"echo", b"21", codes.PUT)
    talk.reply(second, codes.UNAUTHORIZED, (option.ECHO, b"again"), payload=b"no")
    assert shown(talk.machine) == [("answered", number, b"no")]


@pytest.mark.clause("RFC9175-2.3")
def test_an_echo_may_be_asked_for_before_an_observation() -> None:
    talk = Talk()
    number = talk.machine.request(OBSERVED, True, 0.0)
    [first] = talk.sent()
    talk.reply(first, codes.UNAUTHORIZED, (option.ECHO, b"echo"))
    [second] = talk.sent()
    assert (second.uint(option.OBSERVE), second.first(option.ECHO)) == (0, b"echo")
    talk.reply(second, codes.CONTENT, (option.OBSERVE, b"\1"), payload=b"first")
    talk.tell(second.token, (option.OBSERVE, b"\2"), payload=b"second")
    assert shown(talk.machine) == [("notified", number, b"first"), ("notified", number, b"second")]


# Streams. ----------------------------------------------------------------------------------------------


def stream_talk() -> ClientMachine:
    machine = ClientMachine(StreamLayer(), bytes(8))
    [csm] = StreamDecoder(1152).feed(b"".join(machine.outgoing()))
    assert csm.code == codes.CSM
    return machine


def messages_of(machine: ClientMachine) -> list[Message]:
    return StreamDecoder(1_000_000).feed(b"".join(machine.outgoing()))


@pytest.mark.clause("RFC8323-3.4")
def test_a_csm_comes_first_and_tells_how_much_fits() -> None:
    machine = stream_talk()
    machine.receive(encode_stream(Capabilities(70_000, True).message()), 0.0)
    number = machine.request(Message(codes.PUT, (PATH,), bytes(60_000)), True, 0.0)
    [request] = messages_of(machine)
    assert (len(request.payload), request.has(option.BLOCK1)) == (60_000, False)
    machine.receive(encode_stream(Message(codes.CHANGED, (), b"", request.token)), 0.0)
    assert shown(machine) == [("answered", number, b"")]
    machine.request(Message(codes.PUT, (PATH,), bytes(80_000)), True, 0.0)
    [request] = messages_of(machine)
    assert (len(request.payload), request.has(option.BLOCK1)) == (1024, True)


@pytest.mark.clause("RFC8323-7")
def test_notifications_over_a_stream_need_no_order() -> None:
    machine = stream_talk()
    machine.receive(encode_stream(Message(codes.CSM)), 0.0)
    number = machine.request(OBSERVED, True, 0.0)
    [request] = messages_of(machine)
    for payload in (b"1", b"2"):
        machine.receive(encode_stream(Message(codes.CONTENT, ((option.OBSERVE, b""),), payload, request.token)), 0.0)
    assert shown(machine) == [("notified", number, b"1"), ("notified", number, b"2")]


@pytest.mark.clause("RFC8323-5.4")
def test_pings_over_a_stream() -> None:
    machine = stream_talk()
    machine.receive(encode_stream(Message(codes.CSM)) + encode_stream(Message(codes.PING, token=b"x")), 0.0)
    [pong] = messages_of(machine)
    assert (pong.code, pong.token) == (codes.PONG, b"x")
    machine.ping(0.0)
    [ping] = messages_of(machine)
    machine.receive(encode_stream(Message(codes.PONG, token=ping.token)), 1.0)
    machine.handle_timeout(1000.0)
    assert shown(machine) == []
    machine.ping(2000.0)
    machine.handle_timeout(machine.next_timeout())
    assert shown(machine) == [("lost", 0, "the server does not answer")]


@pytest.mark.clause("RFC8323-5.6")
@pytest.mark.parametrize(
    ("octets", "because"),
    [
        (encode_stream(Message(codes.CONTENT)), "the first message is not a CSM"),
        (b"\x0f\x45", "a token length of 15 is reserved"),
        (encode_stream(Message(codes.CSM, ((9, b""),))), "the critical option 9 of CSM is not understood here"),
    ],
)
def test_a_server_that_breaks_the_protocol_is_told_why(octets: bytes, because: str) -> None:
    machine = stream_talk()
    machine.receive(octets, 0.0)
    [abort] = messages_of(machine)
    assert (abort.code, abort.payload.decode()) == (codes.ABORT, because)
    assert machine.closed == f"the server broke the protocol: {because}"
    machine.receive(encode_stream(Message(codes.CSM)), 0.0)
    assert messages_of(machine) == []


@pytest.mark.clause("RFC8323-5.5")
def test_release_and_abort_end_the_connection() -> None:
    machine = stream_talk()
    machine.receive(encode_stream(Message(codes.CSM)) + encode_stream(Message(codes.RELEASE, (), b"restart")), 0.0)
    assert machine.closed == "the server closes the connection: restart"


@pytest.mark.clause("RFC8323-4.2")
def test_each_websocket_message_is_one() -> None:
    machine = ClientMachine(StreamLayer(websocket=True), bytes(8))
    [csm] = [decode_websocket(each) for each in machine.outgoing()]
    assert csm.code == codes.CSM
    machine.receive(encode_websocket(Message(codes.CSM)), 0.0)
    number = machine.request(Message(codes.GET, (PATH,)), True, 0.0)
    [request] = [decode_websocket(each) for each in machine.outgoing()]
    machine.receive(encode_websocket(Message(codes.CONTENT, (), b"21", request.token)), 0.0)
    assert shown(machine) == [("answered", number, b"21")]
