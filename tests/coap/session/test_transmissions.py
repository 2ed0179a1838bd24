"""What the hub sends of itself: retransmission, NSTART, Resets, Message IDs (RFC 7252 sections 4.2 to 4.8)."""

from __future__ import annotations

from itertools import pairwise

import pytest

from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec.message import ACK, CON, NON, RST, Message
from bridgehead.protocols.coap.codec.numbers import OBSERVE
from tests.coap.dialogue import TO_CLIENT, Client, Hub
from tests.coap.session.resources import Resources, Told, served


def observing() -> tuple[Hub, Resources, Client]:
    """A client over DTLS that observes, and acknowledges nothing by itself."""
    hub, resources = served()
    client = hub.secured()
    client.request(codes.GET, "watch", options=[(OBSERVE, b"")])
    client.acknowledges = False
    return hub, resources, client


def empty_octets(kind: int, message_id: int) -> bytes:
    return bytes([0x40 | kind << 4, 0]) + message_id.to_bytes(2, "big")


@pytest.mark.clause("RFC7252-4.2", "RFC7252-4.8")
def test_a_confirmable_message_is_sent_again_with_doubled_pauses_and_given_up() -> None:
    hub, resources, _client = observing()
    told = Told()
    times: list[float] = []
    start = hub.clock.now

    def lost(direction: str, data: bytes) -> list[float]:
        times.append(hub.clock.now - start)
        return []

    hub.network.fate = lost
    assert resources.kept[0].notify(Message(codes.CONTENT, (), b"2"), True, told, 7)
    hub.settle()
    hub.pass_time(61)
    assert told.fates == []
    hub.pass_time(32.5)  # MAX_TRANSMIT_WAIT is 93 s
    assert told.fates == [("timed out", 7)]
    assert len(times) == 5  # once, and MAX_RETRANSMIT times more
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert 2.0 <= pauses[0] <= 3.0  # ACK_TIMEOUT to ACK_TIMEOUT * ACK_RANDOM_FACTOR
    for earlier, later in pairwise(pauses):
        assert later == pytest.approx(2 * earlier)
    hub.pass_time(1000)
    assert len(times) == 5


@pytest.mark.clause("RFC7252-4.2")
def test_the_same_octets_go_again_and_an_acknowledgement_ends_it() -> None:
    hub, resources, client = observing()
    told = Told()
    resources.kept[0].notify(Message(codes.CONTENT, (), b"2"), True, told, 1)
    hub.pass_time(4)
    first, second = client.octets[-2:]
    assert first == second
    client.acknowledge(client.received[-1])
    assert told.fates == [("acknowledged", 1)]
    client.acknowledge(client.received[-1])
    hub.pass_time(100)
    assert (told.fates, len(client.octets)) == ([("acknowledged", 1)], 3)


@pytest.mark.clause("RFC7252-4.8")
def test_the_parameters_of_transmission_are_settings() -> None:
    hub, resources, client = observing()
    hub.settings.ack_timeout, hub.settings.ack_random_factor, hub.settings.max_retransmit = 0.5, 1.0, 2
    told = Told()
    resources.kept[0].notify(Message(codes.CONTENT), True, told, 1)
    hub.pass_time(3.4)
    assert (told.fates, len(client.get())) == ([], 3)
    hub.pass_time(0.2)
    assert told.fates == [("timed out", 1)]


@pytest.mark.clause("RFC7252-4.7")
def test_no_more_than_nstart_are_under_way() -> None:
    hub, resources, client = observing()
    told = Told()
    for number in range(40):
        taken = resources.kept[0].notify(Message(codes.CONTENT, (), b"%d" % number), True, told, number)
        assert taken == (number < 33)  # one under way, 32 wait
    hub.settle()
    for number in range(33):
        message = client.get_one()
        assert message.payload == b"%d" % number
        client.acknowledge(message)
    assert client.get() == []
    assert told.fates == [("acknowledged", number) for number in range(33)]


@pytest.mark.clause("RFC7252-4.7")
def test_what_is_given_up_lets_the_next_go() -> None:
    hub, resources, client = observing()
    told = Told()
    resources.kept[0].notify(Message(codes.CONTENT, (), b"1"), True, told, 1)
    resources.kept[0].notify(Message(codes.CONTENT, (), b"2"), True, told, 2)
    hub.pass_time(100)
    assert told.fates == [("timed out", 1)]
    client.acknowledge(client.received[-1])
    assert told.fates == [("timed out", 1), ("acknowledged", 2)]


@pytest.mark.clause("RFC7252-4.2", "RFC7641-3.6")
def test_a_reset_rejects() -> None:
    hub, resources, client = observing()
    told = Told()
    resources.kept[0].notify(Message(codes.CONTENT), True, told, 1)
    hub.settle()
    client.reset(client.get_one())
    assert told.fates == [("rejected", 1)]
    resources.kept[0].notify(Message(codes.CONTENT), False, told, 2)
    hub.settle()
    message = client.get_one()
    assert message.type == NON
    client.reset(message)
    client.reset(message)
    assert told.fates == [("rejected", 1), ("rejected", 2)]


@pytest.mark.clause("RFC7252-11.4", "RFC7252-4.4", "RFC7252-9.1")
def test_a_spoofed_acknowledgement_or_reset_counts_for_ids_under_way_to_that_peer_alone() -> None:
    hub, resources, client = observing()
    other = hub.secured("other", address="192.0.2.9:1")
    told = Told()
    resources.kept[0].notify(Message(codes.CONTENT), True, told, 1)
    resources.kept[0].notify(Message(codes.CONTENT), False, told, 2)
    hub.settle()
    under_way = {message.message_id for message in client.get()}
    assert len(under_way) == 2
    for message_id in range(65536):
        for kind in (ACK, RST):
            other.peer.receive(empty_octets(kind, message_id))
            if message_id not in under_way:
                client.peer.receive(empty_octets(kind, message_id))
    assert told.fates == []


@pytest.mark.clause("RFC7252-11.4")
def test_a_reset_with_a_code_is_no_reset() -> None:
    hub, resources, client = observing()
    told = Told()
    resources.kept[0].notify(Message(codes.CONTENT), True, told, 1)
    hub.settle()
    message = client.get_one()
    client.send(Message(codes.CONTENT, (), b"", b"t", RST, message.message_id))
    assert told.fates == []


@pytest.mark.clause("RFC7252-4.4")
def test_message_ids_run_through_all_and_differ_from_those_under_way() -> None:
    hub, resources, client = observing()
    told = Told()
    resources.kept[0].notify(Message(codes.CONTENT), True, told, 0)
    hub.settle()
    under_way = client.get_one().message_id
    ids: list[int] = []
    for _ in range(5):
        for _ in range(13_107):
            assert resources.kept[0].notify(Message(codes.CONTENT), False, None, 0)
        ids += [int.from_bytes(data[2:4], "big") for _, data in hub.outbox.take()]
    assert len(set(ids)) == len(ids) == 65_535
    assert under_way not in ids


def test_the_outbox_is_bounded_for_what_may_be_dropped() -> None:
    hub, resources, _client = observing()
    hub.outbox.backlog = 16_384
    assert not resources.kept[0].notify(Message(codes.CONTENT), False, None, 0)
    hub.outbox.backlog = 0
    assert resources.kept[0].notify(Message(codes.CONTENT), False, None, 0)


def test_the_resets_that_count_are_bounded() -> None:
    hub, resources, client = observing()
    told = Told()
    for number in range(100):
        resources.kept[0].notify(Message(codes.CONTENT), False, told, number)
    hub.settle()
    messages = client.get()
    client.reset(messages[35])
    assert told.fates == []
    client.reset(messages[36])  # 64 are remembered
    assert told.fates == [("rejected", 36)]


@pytest.mark.clause("RFC7252-5.2.2", "RFC7252-4.2")
def test_a_separate_response_is_sent_again_until_it_is_acknowledged() -> None:
    hub, resources = served()
    client = hub.secured()
    client.send(client.message(codes.GET, "later"))
    hub.pass_time(1)
    client.get()
    lost: list[bytes] = []

    def fate(direction: str, data: bytes) -> list[float]:
        if direction == TO_CLIENT and len(lost) < 3:
            lost.append(data)
            return []
        return [0.0]

    hub.network.fate = fate
    resources.kept[0].respond(Message(codes.CONTENT, (), b"late"))
    hub.pass_time(100)
    message = client.get_one()
    assert (message.type, message.payload, len(set(lost))) == (CON, b"late", 1)
