"""CoAP over reliable transports (RFC 8323): CSM first, signalling, Observe with Pongs for acknowledgements."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.core.errors import LocalMisuse
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec.message import NO_OPTIONS, Message, Option, uint_value
from bridgehead.protocols.coap.codec.numbers import HOP_LIMIT, NO_RESPONSE, OBSERVE
from bridgehead.protocols.coap.codec.stream import encode_stream
from tests.coap.dialogue import Hub, StreamClient
from tests.coap.session.resources import Resources, Told, served


def connected(websocket: bool = False) -> tuple[Hub, Resources, StreamClient]:
    hub, resources = served()
    return hub, resources, hub.stream(websocket=websocket)


def abort_of(client: StreamClient) -> Message:
    """The Abort that came last, and the connection is closed."""
    message = client.received[-1]
    assert message.code == codes.ABORT, message
    assert client.closed
    return message


@pytest.mark.clause("RFC8323-3.2", "RFC8323-3.3", "RFC8323-4.2", "RFC8323-4.3")
@pytest.mark.parametrize("websocket", [False, True])
def test_request_and_response(websocket: bool) -> None:
    _, resources, client = connected(websocket)
    for number in range(1, 4):
        assert client.request(codes.GET, "now").payload == str(number).encode()
    same = client.request(codes.POST, "now", token=b"t"), client.request(codes.POST, "now", token=b"t")
    assert (same[0].payload, same[1].payload) == (b"4", b"5")  # nothing is a duplicate here
    assert resources.handled[0].confirmable
    assert client.peer.reliable


@pytest.mark.clause("RFC8323-3.4", "RFC8323-5.3")
def test_the_hub_sends_its_csm_at_once() -> None:
    hub, _ = served()
    client = hub.stream(greets=False)
    greeting = client.get_one()
    assert greeting.code == codes.CSM
    assert greeting.uint(2) == hub.settings.max_message_size
    assert greeting.has(4)


@pytest.mark.clause("RFC8323-5.3", "RFC8323-5.6")
def test_whoever_does_not_begin_with_csm_is_aborted() -> None:
    hub, resources = served()
    client = hub.stream(greets=False)
    client.send(Message(codes.GET, NO_OPTIONS, b"", b"t"))
    assert b"CSM" in abort_of(client).payload
    assert resources.handled == []


@pytest.mark.clause("RFC8323-5.3")
def test_a_csm_has_to_come_in_time() -> None:
    hub, resources = served()
    silent = hub.stream(greets=False)
    polite = hub.stream()
    hub.pass_time(9.9)
    assert not silent.closed
    hub.pass_time(0.2)
    abort_of(silent)
    assert resources.forgotten == [silent.peer]
    assert polite.request(codes.GET, "now").code == codes.CONTENT


@pytest.mark.clause("RFC8323-5.3", "RFC8323-6")
@pytest.mark.parametrize(
    ("options", "largest", "block"),
    [
        ((), 1152, 6),
        (((2, uint_value(100_000)),), 100_000, 6),
        (((4, b""),), 1152, 6),
        (((2, uint_value(100_000)), (4, b"")), 100_000, 7),
        (((2, uint_value(100_000)), (4, b""), (1000, b"?")), 100_000, 7),
    ],
)
def test_what_a_csm_says_of_its_sender(options: tuple[Option, ...], largest: int, block: int) -> None:
    hub, _ = served()
    client = hub.stream(greets=False)
    client.send(Message(codes.CSM, options))
    assert (client.peer.largest, client.peer.block) == (largest, block)


@pytest.mark.clause("RFC8323-5.3")
def test_a_later_csm_changes_what_it_names() -> None:
    _, _, client = connected()
    client.send(Message(codes.CSM, ((2, uint_value(5000)),)))
    assert (client.peer.largest, client.peer.block) == (5000, 7)


@pytest.mark.clause("RFC8323-5.1", "RFC8323-5.6")
def test_an_unknown_critical_option_of_csm_is_named() -> None:
    hub, _ = served()
    client = hub.stream(greets=False)
    client.send(Message(codes.CSM, ((2, b"\x10\x00"), (31, b""))))
    assert abort_of(client).uint(2) == 31


@pytest.mark.clause("RFC8323-5.1")
def test_an_unknown_critical_option_of_another_signal_aborts() -> None:
    _, _, client = connected()
    client.send(Message(codes.PING, ((1, b""),)))
    abort_of(client)


@pytest.mark.clause("RFC8323-5.4")
def test_ping_and_pong() -> None:
    _, _, client = connected()
    client.send(Message(codes.PING, NO_OPTIONS, b"", b"token"))
    pong = client.get_one()
    assert (pong.code, pong.token, pong.options) == (codes.PONG, b"token", ())
    client.send(Message(codes.PONG, NO_OPTIONS, b"", b"never asked"[:8]))
    assert client.get() == []


@pytest.mark.clause("RFC8323-5.4")
def test_custody_waits_for_what_was_asked_before() -> None:
    hub, resources, client = connected()
    client.send(Message(codes.PING, ((2, b""),), b"", b"first"))
    assert client.get_one().has(2)  # nothing waits
    client.send(Message(codes.PUT, ((11, b"later"),), b"", b"a"))
    client.send(Message(codes.PUT, ((11, b"later"),), b"", b"b"))
    client.send(Message(codes.PING, ((2, b""),), b"", b"second"))
    client.send(Message(codes.PUT, ((11, b"later"),), b"", b"c"))
    assert client.get() == []
    resources.kept[1].respond(Message(codes.CHANGED))
    hub.settle()
    assert [message.token for message in client.get()] == [b"b"]
    resources.kept[0].respond(Message(codes.CHANGED))
    hub.settle()
    assert [(message.code, message.token, message.has(2)) for message in client.get()] == [
        (codes.CHANGED, b"a", False),
        (codes.PONG, b"second", True),
    ]


@pytest.mark.clause("RFC8323-5.5")
def test_a_released_connection_gets_its_answers_and_closes() -> None:
    hub, resources, client = connected()
    client.send(Message(codes.PUT, ((11, b"later"),), b"", b"a"))
    client.send(Message(codes.RELEASE))
    assert not client.closed
    resources.kept[0].respond(Message(codes.CHANGED))
    hub.settle()
    assert (client.get_one().token, client.closed) == (b"a", True)


@pytest.mark.clause("RFC8323-5.5")
def test_the_hub_releases() -> None:
    hub, resources, client = connected()
    client.send(Message(codes.PUT, ((11, b"later"),), b"", b"a"))
    client.peer.release("The hub is stopping.")
    hub.settle()
    assert (client.get_one().code, client.closed) == (codes.RELEASE, False)
    resources.kept[0].respond(Message(codes.CHANGED))
    hub.settle()
    assert (client.get_one().token, client.closed) == (b"a", True)


@pytest.mark.clause("RFC8323-5.6")
def test_the_peer_aborts() -> None:
    _, resources, client = connected()
    client.send(Message(codes.ABORT, NO_OPTIONS, b"no more"))
    assert client.closed
    assert resources.forgotten == [client.peer]
    client.send(Message(codes.GET, NO_OPTIONS, b"", b"t"))
    assert resources.handled == []


@pytest.mark.clause("RFC8323-3.4")
def test_empty_messages_and_responses_are_ignored() -> None:
    _, resources, client = connected()
    client.send_octets(b"\x00\x00")
    client.send(Message(codes.CONTENT, NO_OPTIONS, b"news", b"t"))
    assert (client.get(), resources.handled, client.closed) == ([], [], False)


@pytest.mark.clause("RFC8323-5.6", "RFC8323-5.3")
@pytest.mark.parametrize("octets", [b"\x09\x01", b"\xf0\xff\xff\xff\xff\x01", b"\x00\x20", b"\x10\x01\xff"])
def test_what_is_no_message_aborts(octets: bytes) -> None:
    _, _, client = connected()
    client.send_octets(octets)
    assert abort_of(client).payload


def test_requests_before_a_fault_are_served() -> None:
    _, resources, client = connected()
    client.send_octets(encode_stream(Message(codes.GET, ((11, b"now"),), b"", b"t")) + b"\x09\x01")
    assert [message.code for message in client.received] == [codes.CONTENT, codes.ABORT]
    assert len(resources.handled) == 1


@pytest.mark.clause("RFC8323-4.2")
@pytest.mark.parametrize("octets", [b"", b"\x00", b"\x10\x01", b"\x09\x01", b"\x00\x01\xff", bytes([0, 1]) * 600_000])
def test_what_is_no_websocket_message_aborts(octets: bytes) -> None:
    _, _, client = connected(websocket=True)
    client.send_octets(octets)
    abort_of(client)


@given(st.binary(max_size=200), st.booleans())
def test_no_octets_raise(octets: bytes, websocket: bool) -> None:
    _, _, client = connected(websocket)
    client.peer.receive(octets)
    client.peer.receive(octets)


@given(st.lists(st.sampled_from(["now", "watch", "missing"]), min_size=1, max_size=10), st.data())
def test_octets_may_come_in_any_pieces(paths: list[str], data: st.DataObject) -> None:
    _, resources, client = connected()
    octets = b"".join(encode_stream(Message(codes.GET, ((11, path.encode()),), b"", b"t")) for path in paths)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=8)))
    for begin, end in zip([0, *cuts], [*cuts, len(octets)], strict=True):
        client.send_octets(octets[begin:end])
    assert len(client.get()) == len(resources.handled) == len(paths)


@pytest.mark.clause("RFC8323-7")
def test_a_notification_that_has_to_arrive_is_acknowledged_by_a_pong() -> None:
    hub, resources, client = connected()
    client.request(codes.GET, "watch", options=[(OBSERVE, b"")])
    client.answers_pings = False
    told = Told()
    for number in range(3):
        assert resources.kept[0].notify(Message(codes.CONTENT, (), b"%d" % number), True, told, number)
    assert resources.kept[0].notify(Message(codes.CONTENT, (), b"plain"), False, told, 9)
    hub.settle()
    first = [message for message in client.get() if message.code == codes.PING]
    assert (len(first), told.fates) == (1, [])
    client.send(Message(codes.PONG, NO_OPTIONS, b"", first[0].token))
    assert told.fates == [("acknowledged", 0)]
    second = client.get_one()
    client.send(Message(codes.PONG, NO_OPTIONS, b"", second.token))
    assert told.fates == [("acknowledged", 0), ("acknowledged", 1), ("acknowledged", 2)]
    client.send(Message(codes.PONG))  # nothing was asked
    assert len(told.fates) == 3
    hub.pass_time(100)
    assert not client.closed


def test_a_peer_without_pongs_is_given_up() -> None:
    hub, resources, client = connected()
    client.request(codes.GET, "watch", options=[(OBSERVE, b"")])
    client.answers_pings = False
    told = Told()
    resources.kept[0].notify(Message(codes.CONTENT), True, told, 1)
    resources.kept[0].notify(Message(codes.CONTENT), True, told, 2)
    hub.pass_time(59)
    assert told.fates == []
    hub.pass_time(2)
    assert told.fates == [("timed out", 1), ("timed out", 2)]
    abort_of(client)
    assert not resources.kept[0].notify(Message(codes.CONTENT), False, told, 3)


def test_what_waits_for_a_peer_that_does_not_read_is_bounded() -> None:
    hub, resources, client = connected()
    hub.settings.stream_pending = 10
    client.request(codes.GET, "watch", options=[(OBSERVE, b"")])
    client.reads = False
    told = Told()
    exchange = resources.kept[0]
    assert sum(exchange.notify(Message(codes.CONTENT), True, told, number) for number in range(20)) == 10
    news = Message(codes.CONTENT, (), b"x" * 1000)
    taken = sum(exchange.notify(news, False, None, 0) for _ in range(2000))
    assert 1000 < taken < 1060  # about stream_outbox octets
    hub.settle()
    assert client.peer.is_congested()
    assert not exchange.notify(news, False, None, 0)
    client.read_on()
    assert not client.peer.is_congested()
    assert len(told.fates) == 10


def test_requests_that_are_not_answered_are_bounded() -> None:
    hub, resources, client = connected()
    hub.settings.stream_pending = 3
    for _ in range(10):
        client.request(codes.GET, "now")  # these are answered
    for number in range(3):
        assert not client.peer.is_congested()
        client.send(Message(codes.PUT, ((11, b"later"),), b"", bytes([number])))
    assert client.peer.is_congested()
    resources.kept[0].respond(Message(codes.CHANGED))
    assert not client.peer.is_congested()


def test_a_peer_is_read_on_when_the_answer_is_suppressed() -> None:
    hub, resources, client = connected()
    hub.settings.stream_pending = 1
    client.send(Message(codes.PUT, ((11, b"later"), (NO_RESPONSE, b"\x02")), b"", b"t"))
    assert client.peer.is_congested()
    assert not hub.turn.take()
    resources.kept[0].respond(Message(codes.CHANGED))
    assert hub.turn.take() == [client.peer.outbox]  # so the rim looks at it
    assert not client.peer.is_congested()


def test_pings_that_wait_are_bounded() -> None:
    hub, _, client = connected()
    hub.settings.stream_pending = 5
    client.send(Message(codes.PUT, ((11, b"later"),), b"", b"a"))
    for _ in range(5):
        assert not client.peer.is_congested()
        client.send(Message(codes.PING, ((2, b""),)))
    assert client.peer.is_congested()


@pytest.mark.clause("RFC7967-2", "RFC8768-3")
def test_no_response_and_hop_limit_hold_here_too() -> None:
    _, resources, client = connected()
    client.send(Message(codes.PUT, ((11, b"now"), (NO_RESPONSE, b"\x02")), b"", b"t"))
    assert (client.get(), len(resources.handled)) == ([], 1)
    for value in (b"", b"\0", b"\1\0"):
        assert client.request(codes.GET, "now", options=[(HOP_LIMIT, value)]).code == codes.BAD_REQUEST
    assert client.request(codes.GET, "now", options=[(HOP_LIMIT, b"\1")]).code == codes.CONTENT


@pytest.mark.clause("RFC8323-5.3")
def test_no_message_is_larger_than_the_peer_takes() -> None:
    _, _, client = connected()
    client.send(Message(codes.CSM, ((2, b"\xc8"),)))
    answer = client.request(codes.GET, "large")
    assert (answer.code, len(encode_stream(answer)) <= 200) == (codes.INTERNAL_SERVER_ERROR, True)
    size = (
        600 + len(encode_stream(Message(codes.CONTENT, ((12, b""),), b"", b"tt"))) + 3
    )  # a marker, two for the length
    client.send(Message(codes.CSM, ((2, uint_value(size - 1)),)))
    assert client.request(codes.GET, "large", token=b"tt").code == codes.INTERNAL_SERVER_ERROR
    client.send(Message(codes.CSM, ((2, uint_value(size)),)))
    assert client.request(codes.GET, "large", token=b"tt").code == codes.CONTENT


def test_a_defect_is_answered_and_raised() -> None:
    hub, _, client = connected()
    with pytest.raises(ZeroDivisionError):
        client.send(Message(codes.GET, ((11, b"broken"),), b"", b"t"))
    hub.settle()
    assert client.get_one().code == codes.INTERNAL_SERVER_ERROR


def test_a_connection_that_breaks() -> None:
    _, resources, client = connected()
    client.send(Message(codes.PUT, ((11, b"later"),), b"", b"a"))
    client.drop()
    resources.kept[0].respond(Message(codes.CHANGED))
    assert (client.get(), resources.forgotten, client.peer.because) == ([], [client.peer], "connection reset")
    with pytest.raises(LocalMisuse):
        resources.kept[0].respond(Message(codes.CHANGED))


def test_what_goes_over_a_stream_is_counted() -> None:
    hub, _, client = connected()
    counters = hub.broker.counters
    before = counters.octets_received, counters.packets_received, counters.octets_sent, counters.packets_sent
    request = Message(codes.GET, ((11, b"now"),), b"", b"t")
    client.send(request)
    answer = client.get_one()
    after = counters.octets_received, counters.packets_received, counters.octets_sent, counters.packets_sent
    grown = [later - earlier for earlier, later in zip(before, after, strict=True)]
    assert grown == [len(encode_stream(request)), 1, len(encode_stream(answer)), 1]


def test_a_connection_that_is_over_is_not_aborted_later() -> None:
    hub, _ = served()
    client = hub.stream(greets=False)
    client.drop()
    hub.pass_time(20)
    assert [message.code for message in client.get()] == [codes.CSM]
    assert not client.peer.outbox.closing  # the rim knows already
    client.peer.release("late")
    hub.settle()
    assert client.get() == []


def test_the_hub_closes_and_says_why() -> None:
    hub, resources, client = connected()
    client.peer.close("Your right was withdrawn.")
    hub.settle()
    farewell = client.get_one()
    assert (farewell.code, farewell.payload, client.closed) == (codes.RELEASE, b"Your right was withdrawn.", True)
    assert resources.forgotten == [client.peer]
