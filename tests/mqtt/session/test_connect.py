"""CONNECT: what is taken, what is refused, and what a connection may do before and after it."""

from __future__ import annotations

import pytest

from bridgehead.core.errors import BAD_CREDENTIALS, BUSY, CLIENT_ID_INVALID, NOT_AUTHORIZED, UNAVAILABLE, Refusal
from bridgehead.protocols.mqtt.codec import reason_codes as codes
from bridgehead.protocols.mqtt.codec.encode import encode
from bridgehead.protocols.mqtt.codec.packets import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Publish,
    Pubrel,
    Subscribe,
    SubscriptionRequest,
    Unsubscribe,
)
from bridgehead.protocols.mqtt.codec.properties import Properties
from tests.mqtt.dialogue import Hub, Peer

VERSIONS = [3, 4, 5]


def connect(version: int, client_id: str = "sensor", clean_start: bool = True, **others: object) -> Connect:
    return Connect(version, clean_start, 0, client_id, None, "user", b"password", **others)  # type: ignore[arg-type]


@pytest.mark.clause("MQTT-3.1.4-5", "MQTT3-3.1.4-4", "MQTT-3.2.0-1", "MQTT3-3.2.0-1", "MQTT-3.2.0-2", "MQTT-3.2.2-1")
@pytest.mark.parametrize("version", VERSIONS)
def test_an_accepted_connect_is_answered_by_one_connack_first(version: int) -> None:
    hub = Hub()
    peer = hub.peer("sensor", version)
    peer.send(connect(version), Pingreq())
    connack, ping = peer.get()
    assert isinstance(connack, Connack)
    assert (connack.reason_code, connack.session_present) == (0, False)
    assert isinstance(ping, Pingresp)
    assert peer.octets[2] & 0xFE == 0


FIRST: list[Packet] = [
    Publish("a", b"x"),
    Puback(1),
    Pubrel(1),
    Subscribe(1, [SubscriptionRequest("a")]),
    Unsubscribe(1, ["a"]),
    Pingreq(),
    Disconnect(),
]


@pytest.mark.clause("MQTT-3.1.0-1", "MQTT3-3.1.0-1", "MQTT-4.13.1-1", "MQTT3-4.8.0-1", "MQTT-3.14.0-1")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("packet", FIRST, ids=lambda packet: type(packet).__name__)
def test_a_first_packet_that_is_no_connect_closes_without_a_word(version: int, packet: Packet) -> None:
    hub = Hub()
    peer = hub.peer("sensor", version)
    peer.send(packet)
    assert peer.closed
    assert peer.octets == b""
    assert len(hub.named("connection.peer-error")) == 1


@pytest.mark.parametrize("octets", [b"\xf0\x00", b"\x00\x00", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01"])
def test_strangers_are_closed_without_a_word(octets: bytes) -> None:
    hub = Hub()
    peer = hub.peer()
    peer.send_octets(octets)
    assert peer.closed
    assert peer.octets == b""


@pytest.mark.clause("MQTT-3.1.0-2", "MQTT3-3.1.0-2", "MQTT-4.13.1-1")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_second_connect_ends_the_connection(version: int) -> None:
    hub = Hub()
    peer = hub.client("sensor", version)
    peer.send(connect(version))
    assert peer.closed
    if version == 5:
        farewell = peer.get_one()
        assert isinstance(farewell, Disconnect)
        assert farewell.reason_code == codes.PROTOCOL_ERROR
    else:
        assert peer.get() == []


@pytest.mark.clause("MQTT-3.1.0-2", "MQTT3-3.1.0-2")
@pytest.mark.parametrize("version", VERSIONS)
def test_two_connects_in_one_read_let_nobody_in(version: int) -> None:
    hub = Hub()
    peer = hub.peer("sensor", version)
    peer.send(connect(version), connect(version))
    assert peer.closed
    assert peer.octets == b""
    assert len(hub.broker.sessions) == 0


@pytest.mark.clause("MQTT-3.1.2-1", "MQTT3-3.1.2-1")
@pytest.mark.parametrize("name", [b"MQTX", b"mqtt", b"MQIsdq", b"", b"MQTTT"])
def test_a_wrong_protocol_name_closes(name: bytes) -> None:
    hub = Hub()
    peer = hub.peer()
    body = len(name).to_bytes(2, "big") + name + b"\x04\x02\x00\x00\x00\x01a"
    peer.send_octets(b"\x10" + bytes([len(body)]) + body)
    assert peer.closed
    assert peer.octets == b""


@pytest.mark.clause("MQTT-3.1.2-2", "MQTT3-3.1.2-2", "MQTT-3.2.2-7", "MQTT3-3.2.2-5")
@pytest.mark.parametrize(
    ("level", "answer"), [(1, b"\x20\x02\x00\x01"), (3, b"\x20\x02\x00\x01"), (6, b"\x20\x03\x00\x84\x00")]
)
def test_an_unsupported_version_is_told_in_its_own_form(level: int, answer: bytes) -> None:
    hub = Hub()
    peer = hub.peer("sensor", 4 if level < 5 else 5)
    peer.send_octets(b"\x10\x0d\x00\x04MQTT" + bytes([level]) + b"\x02\x00\x00\x00\x01a")
    assert peer.octets == answer
    assert peer.closed


@pytest.mark.clause("MQTT-3.1.4-1", "MQTT-3.1.2-3", "MQTT-3.2.2-7", "MQTT-3.2.2-6", "MQTT-4.13.2-1")
def test_a_malformed_connect_of_5_0_is_told_and_closed() -> None:
    hub = Hub()
    peer = hub.peer()
    peer.send_octets(b"\x10\x0e\x00\x04MQTT\x05\x03\x00\x00\x00\x00\x01a")  # the reserved flag
    answer = peer.get_one()
    assert isinstance(answer, Connack)
    assert (answer.reason_code, answer.session_present) == (codes.MALFORMED_PACKET, False)
    assert peer.closed


@pytest.mark.clause("MQTT3-3.1.4-1", "MQTT3-3.1.2-3", "MQTT3-3.2.2-6")
def test_a_malformed_connect_of_3_1_1_is_closed_without_connack() -> None:
    hub = Hub()
    peer = hub.peer("sensor", 4)
    peer.send_octets(b"\x10\x0d\x00\x04MQTT\x04\x03\x00\x00\x00\x01a")
    assert peer.closed
    assert peer.octets == b""


REFUSALS = [
    (BAD_CREDENTIALS, codes.BAD_USER_NAME_OR_PASSWORD, 4),
    (NOT_AUTHORIZED, codes.NOT_AUTHORIZED, 5),
    (CLIENT_ID_INVALID, codes.CLIENT_IDENTIFIER_NOT_VALID, 2),
    (BUSY, codes.SERVER_BUSY, 3),
    (UNAVAILABLE, codes.SERVER_UNAVAILABLE, 3),
]


@pytest.mark.clause(
    "MQTT-3.1.4-2", "MQTT-3.2.2-6", "MQTT-3.2.2-7", "MQTT-3.2.2-8", "MQTT3-3.2.2-4", "MQTT3-3.2.2-5",
    "MQTT-3.1.4-6", "MQTT3-3.1.4-5", "MQTT-3.1.3-8", "MQTT3-3.1.3-9",
)  # fmt: skip
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("meaning", "code", "return_code"), REFUSALS)
def test_a_refused_identity_is_told_and_nothing_of_it_is_processed(
    version: int, meaning: str, code: int, return_code: int
) -> None:
    hub = Hub()
    office = hub.client("office")
    office.subscribe("#")
    hub.durable("sensor").drop()  # a session that a wrong Session Present would speak of
    peer = hub.peer("sensor", version)
    peer.proves_itself = False
    peer.send(connect(version, clean_start=False), Publish("a", b"forged"))
    peer.refuse(Refusal(meaning, "no such device"))
    answer = peer.get_one()
    assert isinstance(answer, Connack)
    assert (answer.reason_code, answer.session_present) == (code if version == 5 else return_code, False)
    assert peer.closed
    assert office.get() == []
    (refused,) = hub.named("connection.refused")
    assert refused["because"] == "no such device"


def test_what_comes_after_the_end_is_ignored() -> None:
    hub = Hub()
    office = hub.client("office")
    office.subscribe("#")
    peer = hub.client("sensor")
    peer.send(Disconnect(), Publish("a", b"late"))
    peer.send_octets(encode(Publish("a", b"later"), 5) + b"\x00\x00")
    assert office.get() == []
    assert peer.get() == []


# Client Identifiers. --------------------------------------------------------------------------------


@pytest.mark.clause("MQTT-3.1.3-5", "MQTT3-3.1.3-5")
@pytest.mark.parametrize(
    "client_id", ["a", "0123456789abcdefghijklm", "0123456789ABCDEFGHIJKLM", "NOPQRSTUVWXYZnopqrstuvw"]
)
@pytest.mark.parametrize("version", VERSIONS)
def test_client_identifiers_of_1_to_23_letters_and_digits(version: int, client_id: str) -> None:
    assert Hub().peer("sensor", version).connect(client_id).reason_code == 0


@pytest.mark.clause("MQTT-3.1.3-6", "MQTT-3.1.3-7", "MQTT-3.2.2-16")
def test_an_empty_client_identifier_is_given_a_unique_one_and_it_counts() -> None:
    hub = Hub()
    names = []
    for _ in range(3):
        answer = hub.peer("sensor").connect("", expiry=100)
        name = answer.properties.assigned_client_identifier
        assert name is not None
        assert name.startswith("sensor-")
        names.append(name)
    assert len(set(names)) == 3
    again = hub.peer("sensor")
    answer = again.connect(names[0], clean_start=False)
    assert answer.session_present
    assert answer.properties.assigned_client_identifier is None


@pytest.mark.clause("MQTT3-3.1.3-6")
def test_an_empty_client_identifier_of_3_1_1_with_clean_session() -> None:
    hub = Hub()
    one, two = hub.client("sensor", 4, ""), hub.client("sensor", 4, "")
    assert not one.closed
    assert not two.closed
    assert len(hub.broker.sessions) == 2


@pytest.mark.clause("MQTT3-3.1.3-8", "MQTT3-3.1.3-9", "MQTT3-3.2.2-5")
def test_an_empty_client_identifier_of_3_1_1_without_clean_session_is_refused() -> None:
    hub = Hub()
    peer = hub.peer("sensor", 4)
    peer.send_octets(b"\x10\x0c\x00\x04MQTT\x04\x00\x00\x00\x00\x00")
    assert peer.octets == b"\x20\x02\x00\x02"
    assert peer.closed


# AUTH. ----------------------------------------------------------------------------------------------


@pytest.mark.clause("MQTT-4.12.0-1", "MQTT-4.12.0-4", "MQTT-3.2.2-7")
def test_an_authentication_method_that_is_not_offered() -> None:
    hub = Hub()
    peer = hub.peer()
    properties = Properties(authentication_method="SCRAM-SHA-256", authentication_data=b"n,,n=user,r=x")
    peer.send(connect(5, properties=properties))
    answer = peer.get_one()
    assert isinstance(answer, Connack)
    assert answer.reason_code == codes.BAD_AUTHENTICATION_METHOD
    assert peer.closed


@pytest.mark.clause("MQTT-4.12.0-6", "MQTT-4.13.1-1")
@pytest.mark.parametrize("reason_code", [codes.RE_AUTHENTICATE, codes.CONTINUE_AUTHENTICATION])
def test_auth_without_a_method_in_connect_is_a_protocol_error(reason_code: int) -> None:
    hub = Hub()
    peer = hub.client()
    peer.send(Auth(reason_code, Properties(authentication_method="SCRAM-SHA-256")))
    farewell = peer.get_one()
    assert isinstance(farewell, Disconnect)
    assert farewell.reason_code == codes.PROTOCOL_ERROR
    assert peer.closed


@pytest.mark.clause("MQTT-4.12.0-6")
def test_without_a_method_connack_has_none() -> None:
    answer = Hub().peer().connect()
    assert answer.properties.authentication_method is None
    assert answer.properties.authentication_data is None


@pytest.mark.clause("MQTT-3.15.1-1")
def test_auth_with_reserved_flags_is_malformed() -> None:
    peer = Hub().client()
    peer.send_octets(b"\xf1\x00")
    farewell = peer.get_one()
    assert isinstance(farewell, Disconnect)
    assert farewell.reason_code == codes.MALFORMED_PACKET
    assert peer.closed


# Time to connect. -----------------------------------------------------------------------------------


def test_a_peer_that_says_nothing_is_closed_in_time() -> None:
    hub = Hub()
    peer = hub.peer()
    hub.pass_time(9.9)
    assert not peer.closed
    hub.pass_time(0.2)
    assert peer.closed
    assert peer.octets == b""
    (refused,) = hub.named("connection.refused")
    assert refused["because"] == "no CONNECT in time"


def test_handshakes_count_too() -> None:
    hub = Hub()
    peer = hub.peer()
    peer.connection.accepted_at -= 6.0  # as the rim does, when TLS took so long
    hub.pass_time(3.9)
    assert not peer.closed
    hub.pass_time(0.2)
    assert peer.closed


def test_a_connect_that_dribbles_in_does_not_get_more_time() -> None:
    hub = Hub()
    peer = hub.peer()
    for octet in encode(connect(5), 5)[:-1]:
        peer.send_octets(bytes([octet]))
        hub.pass_time(1)
    assert peer.closed
    assert hub.clock.now - 1_000_000 > 10
    assert len(hub.named("connection.refused")) == 1


def test_an_identity_that_is_not_proven_in_time() -> None:
    hub = Hub()
    peer = hub.peer()
    peer.proves_itself = False
    peer.send(connect(5))
    hub.pass_time(11)
    assert peer.closed
    peer.prove()  # too late: the authenticator's answer changes nothing
    assert peer.octets == b""
    assert len(hub.broker.sessions) == 0


# Pipelining. ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_sent_right_behind_connect_is_done_after_connack_and_in_order(version: int) -> None:
    hub = Hub()
    peer = hub.peer("sensor", version)
    peer.proves_itself = False
    peer.send(connect(version), Subscribe(7, [SubscriptionRequest("a", 1)]), Publish("a", b"1"))
    peer.send(Publish("a", b"2"))
    assert peer.get() == []
    peer.prove()
    names = [type(packet).__name__ for packet in peer.received]
    assert names == ["Connack", "Suback", "Publish", "Publish"]
    assert peer.payloads() == [b"1", b"2"]


def test_a_connect_split_at_every_octet() -> None:
    whole = encode(connect(5), 5) + encode(Pingreq(), 5)
    for at in range(1, len(whole)):
        peer = Hub().peer()
        peer.send_octets(whole[:at])
        peer.send_octets(whole[at:])
        connack, ping = peer.get()
        assert isinstance(connack, Connack)
        assert isinstance(ping, Pingresp)


def test_a_flood_before_the_identity_is_proven_is_bounded() -> None:
    hub = Hub()
    office = hub.client("office")
    office.subscribe("#")
    peer = hub.peer()
    peer.proves_itself = False
    peer.send(connect(5))
    for _ in range(20):
        peer.send(*[Publish("a", b"x")] * 100)
    assert peer.closed
    assert peer.octets == b""
    assert office.get() == []


@pytest.mark.clause("MQTT-3.1.4-6")
def test_nothing_is_processed_of_a_connect_whose_session_cannot_be_kept() -> None:
    """The store refuses after the identity was proven: CONNECT is rejected, so what came behind it is not done."""
    hub = Hub()
    office = hub.client("office")
    office.subscribe("#")
    hub.store.full = True
    peer = hub.peer()
    peer.send(connect(5, properties=Properties(session_expiry_interval=100)), Publish("a", b"forged"))
    answer = peer.get_one()
    assert isinstance(answer, Connack)
    assert answer.reason_code == codes.QUOTA_EXCEEDED
    assert peer.closed
    assert office.get() == []


def test_what_came_behind_connect_is_done_once_the_session_is_kept() -> None:
    hub = Hub()
    hub.store.automatic = False
    peer = hub.peer()
    peer.send(
        connect(5, properties=Properties(session_expiry_interval=100)), Subscribe(1, [SubscriptionRequest("a", 0)])
    )
    peer.send(Publish("a", b"1"), Pingreq())
    assert peer.octets == b""
    hub.store.automatic = True
    hub.settle()
    names = [type(packet).__name__ for packet in peer.received]
    assert names[0] == "Connack"
    assert sorted(names) == ["Connack", "Pingresp", "Publish", "Suback"]


@pytest.mark.parametrize("prefix", range(1, 14))
def test_half_a_connect_and_a_lost_connection_leave_nothing(prefix: int) -> None:
    hub = Hub()
    peer: Peer = hub.peer()
    peer.send_octets(encode(connect(5), 5)[:prefix])
    peer.drop()
    assert peer.closed
    assert len(hub.broker.sessions) == 0
    assert hub.broker.counters.connections == 0
