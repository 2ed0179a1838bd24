"""Enhanced authentication (MQTT 5.0 sections 3.15, 4.12): the dialogue, without the mechanisms: the test is the rim."""

from __future__ import annotations

import pytest

from bridgehead.core.errors import BAD_CREDENTIALS, Refusal
from bridgehead.core.message import NEVER
from bridgehead.core.policy import Permission, Principal
from bridgehead.protocols.mqtt.codec import reason_codes as codes
from bridgehead.protocols.mqtt.codec.packets import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Publish,
    Suback,
    Subscribe,
    SubscriptionRequest,
    Will,
)
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES, Properties
from bridgehead.protocols.mqtt.session import exchange as exchanges
from bridgehead.protocols.mqtt.session import table
from bridgehead.protocols.mqtt.session.exchange import MOST_ROUNDS, TURNS
from tests.mqtt.dialogue import Hub, Peer

METHOD = "SCRAM-SHA-256"
OTHER = "OAUTHBEARER"


def auth(reason_code: int = codes.CONTINUE_AUTHENTICATION, data: bytes | None = b"more", method: str = METHOD) -> Auth:
    return Auth(reason_code, Properties(authentication_method=method, authentication_data=data))


def again(data: bytes | None = b"first", method: str = METHOD) -> Auth:
    return auth(codes.RE_AUTHENTICATE, data, method)


def begin(
    hub: Hub, name: str = "sensor", expiry: int | None = None, will: Will | None = None, largest: int | None = None
) -> Peer:
    """A peer whose CONNECT names the method; nothing is answered yet."""
    peer = Peer(hub, name, 5, (METHOD, OTHER))
    properties = Properties(
        authentication_method=METHOD,
        authentication_data=b"first",
        session_expiry_interval=expiry,
        maximum_packet_size=largest,
    )
    peer.send(Connect(5, True, 0, name, will, None, None, properties))
    return peer


def challenge(peer: Peer, data: bytes | None = b"challenge") -> Packet:
    peer.connection.challenge(data)
    peer.hub.settle()
    return peer.get_one()


def accept(peer: Peer, data: bytes | None = b"proof", expires_at: float = NEVER) -> Connack:
    hub = peer.hub
    peer.connection.authenticated(hub.principal(peer.name), True, "0" * 16, expires_at, data)
    hub.settle()
    answer = peer.get_one()
    assert isinstance(answer, Connack)
    return answer


def connected(hub: Hub, name: str = "sensor", expires_at: float = NEVER, will: Will | None = None) -> Peer:
    peer = begin(hub, name, will=will)
    assert accept(peer, expires_at=expires_at).reason_code == 0
    return peer


def succeed(peer: Peer, expires_at: float = NEVER, name: str | None = None) -> list[Packet]:
    hub = peer.hub
    peer.connection.authenticated_again(hub.principal(name or peer.name), expires_at, b"proof")
    hub.settle()
    return peer.get()


def farewell(peer: Peer) -> int:
    packet = peer.get_one()
    assert isinstance(packet, Disconnect), packet
    assert peer.closed
    return packet.reason_code


def refusal(peer: Peer) -> int:
    packet = peer.get_one()
    assert isinstance(packet, Connack), packet
    assert peer.closed
    assert len(peer.hub.broker.sessions) == 0
    return packet.reason_code


# The table. -----------------------------------------------------------------------------------------


def test_every_turn_has_an_action_for_every_reason_code() -> None:
    assert len(TURNS) == 2
    for rows in TURNS:
        assert len(rows) == 3
        for row in rows:
            assert len(row) == 3
            assert all(
                action in (exchanges.ANSWER, exchanges.BEGIN_ANEW) or action in exchanges.FAULTS for action in row
            )


def test_the_client_answers_in_its_turn_only_and_begins_anew_only_when_connected_and_idle() -> None:
    places = [
        (connected, turn, column)
        for connected in (0, 1)
        for turn in range(3)
        for column in range(3)
        if TURNS[connected][turn][column] == exchanges.ANSWER
    ]
    assert places == [(0, exchanges.CLIENT, 1), (1, exchanges.CLIENT, 1)]
    assert TURNS[1][exchanges.NOBODY][2] == exchanges.BEGIN_ANEW
    assert sum(row.count(exchanges.BEGIN_ANEW) for rows in TURNS for row in rows) == 1


# Connecting. ----------------------------------------------------------------------------------------


@pytest.mark.clause("MQTT-4.12.0-2", "MQTT-4.12.0-5", "MQTT-3.15.2-1")
def test_challenge_and_answer_until_connack_each_with_the_method() -> None:
    peer = begin(Hub())
    for data in (b"one", b"", None):
        assert peer.connection.is_asking()
        sent = challenge(peer, data)
        assert isinstance(sent, Auth)
        assert sent.reason_code == codes.CONTINUE_AUTHENTICATION
        assert sent.properties.authentication_method == METHOD
        assert sent.properties.authentication_data == data
        assert not peer.connection.is_asking()
        peer.send(auth(data=b"answer"))
        assert peer.connection.exchange is not None
        assert peer.connection.exchange.data == b"answer"
    answer = accept(peer)
    assert (answer.reason_code, answer.properties.authentication_method) == (0, METHOD)
    assert answer.properties.authentication_data == b"proof"
    peer.send(Pingreq())
    assert isinstance(peer.get_one(), Pingresp)


@pytest.mark.clause("MQTT-4.12.0-5")
def test_a_mechanism_of_one_step_ends_in_connack_without_data() -> None:
    answer = accept(begin(Hub()), None)
    assert answer.properties.authentication_method == METHOD
    assert answer.properties.authentication_data is None


@pytest.mark.clause("MQTT-4.12.0-6")
def test_without_a_method_connack_has_none_though_methods_are_offered() -> None:
    hub = Hub()
    peer = Peer(hub, "sensor", 5, (METHOD,))
    assert peer.connect().properties.authentication_method is None
    assert peer.connection.exchange is None
    peer.send(auth())
    assert farewell(peer) == codes.PROTOCOL_ERROR


@pytest.mark.clause("MQTT-4.12.0-1", "MQTT-4.12.0-4")
@pytest.mark.parametrize("method", ["", "PLAIN", "scram-sha-256", "SCRAM-SHA-256-PLUS", "x" * 1000])
def test_a_method_that_is_not_offered_there(method: str) -> None:
    hub = Hub()
    peer = Peer(hub, "sensor", 5, (METHOD, OTHER))
    properties = Properties(authentication_method=method, authentication_data=b"x")
    peer.send(Connect(5, True, 0, "sensor", None, None, None, properties), auth(method=method))
    assert refusal(peer) == codes.BAD_AUTHENTICATION_METHOD


@pytest.mark.clause("MQTT-4.12.0-4")
@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_a_rejected_authentication_ends_in_connack_and_closing(rounds: int) -> None:
    peer = begin(Hub())
    for _ in range(rounds):
        challenge(peer)
        peer.send(auth())
    peer.connection.refuse(Refusal(BAD_CREDENTIALS, "the credentials are not accepted"))
    peer.hub.settle()
    assert refusal(peer) == codes.BAD_USER_NAME_OR_PASSWORD


@pytest.mark.clause("MQTT-3.1.2-30")
@pytest.mark.parametrize(
    "packet",
    [
        Publish("a", b"x"),
        Subscribe(1, [SubscriptionRequest("#")], NO_PROPERTIES),
        Pingreq(),
        Connect(5, True, 0, "other", None, None, None, NO_PROPERTIES),
    ],
    ids=["PUBLISH", "SUBSCRIBE", "PINGREQ", "CONNECT"],
)
@pytest.mark.parametrize("challenged", [False, True])
def test_nothing_else_comes_before_connack(packet: Packet, challenged: bool) -> None:
    peer = begin(Hub())
    if challenged:
        challenge(peer)
    peer.send(packet)
    assert refusal(peer) == codes.PROTOCOL_ERROR


@pytest.mark.parametrize(
    ("packet", "code"),
    [
        (auth(codes.SUCCESS), codes.PROTOCOL_ERROR),
        (again(), codes.PROTOCOL_ERROR),
        (Auth(codes.CONTINUE_AUTHENTICATION), codes.PROTOCOL_ERROR),
        (auth(method=OTHER), codes.BAD_AUTHENTICATION_METHOD),
        (auth(method="scram-sha-256"), codes.BAD_AUTHENTICATION_METHOD),
    ],
    ids=["success", "again", "no method", "another method", "another spelling"],
)
@pytest.mark.parametrize("challenged", [False, True])
def test_a_wrong_auth_before_connack(packet: Auth, code: int, challenged: bool) -> None:
    """4.12: each AUTH has 0x18 and CONNECT's method, until CONNACK."""
    peer = begin(Hub())
    if challenged:
        challenge(peer)
    peer.send(packet)
    assert refusal(peer) == code


def test_an_answer_before_the_challenge_is_out_of_turn() -> None:
    peer = begin(Hub())
    peer.send(auth())
    assert refusal(peer) == codes.PROTOCOL_ERROR
    peer.connection.authenticated(peer.hub.principal("sensor"), True, "0" * 16)  # what was under way is too late
    peer.connection.challenge(b"x")
    peer.hub.settle()
    assert peer.get() == []
    assert len(peer.hub.broker.sessions) == 0


def test_the_rounds_are_bounded() -> None:
    peer = begin(Hub())
    for _ in range(MOST_ROUNDS - 1):
        challenge(peer)
        peer.send(auth())
        assert not peer.closed
    challenge(peer)
    peer.send(auth())
    assert refusal(peer) == codes.PROTOCOL_ERROR


@pytest.mark.parametrize("challenged", [False, True])
def test_a_client_that_leaves_half_way_leaves_nothing(challenged: bool) -> None:
    hub = Hub()
    peer = begin(hub, will=Will("will", b"gone"))
    watcher = hub.client("watcher")
    watcher.subscribe("#")
    if challenged:
        challenge(peer)
    peer.send(Disconnect(codes.DISCONNECT_WITH_WILL))
    assert peer.closed
    assert peer.get() == []
    assert watcher.get() == []
    assert len(hub.broker.sessions) == 1  # the watcher's


@pytest.mark.parametrize("challenged", [False, True])
def test_the_whole_exchange_has_the_time_of_a_connect(challenged: bool) -> None:
    hub = Hub()
    peer = begin(hub)
    hub.pass_time(9.0)
    if challenged:
        challenge(peer)
    hub.pass_time(0.9)
    assert not peer.closed
    hub.pass_time(0.2)
    assert peer.closed
    (refused,) = hub.named("connection.refused")
    assert refused["because"] == "the identity was not proven in time"


@pytest.mark.clause("MQTT-3.1.2-24", "MQTT-3.15.2-2", "MQTT-3.15.2-3")
def test_auth_is_never_larger_than_the_client_takes() -> None:
    hub = Hub()
    length = len(METHOD) + 10  # the fixed header, the Reason Code, the properties' length and headers
    peer = begin(hub, largest=length + 40)
    sent = challenge(peer, b"x" * 40)
    assert isinstance(sent, Auth)
    assert (sent.properties.reason_string, sent.properties.user_properties) == (None, [])
    assert len(peer.octets) == length + 40
    peer.send(auth())
    peer.connection.challenge(b"x" * 41)
    hub.settle()
    assert refusal(peer) == codes.PACKET_TOO_LARGE


@pytest.mark.clause("MQTT-3.1.2-24")
def test_connack_with_its_data_is_never_larger_than_the_client_takes() -> None:
    hub = Hub()
    peer = begin(hub, largest=100)
    peer.connection.authenticated(hub.principal("sensor"), True, "0" * 16, NEVER, b"x" * 100)
    hub.settle()
    assert refusal(peer) == codes.PACKET_TOO_LARGE


def test_connack_waits_for_the_store_with_its_data() -> None:
    hub = Hub()
    hub.store.automatic = False
    peer = begin(hub, expiry=100)
    peer.connection.authenticated(hub.principal("sensor"), True, "0" * 16, NEVER, b"proof")
    hub.settle()
    assert peer.get() == []
    hub.commit()
    answer = peer.get_one()
    assert isinstance(answer, Connack)
    assert answer.properties.authentication_data == b"proof"


# Anew. ----------------------------------------------------------------------------------------------


@pytest.mark.clause("MQTT-4.12.0-2", "MQTT-4.12.0-5")
def test_the_identity_is_proven_anew_while_everything_else_goes_on() -> None:
    """4.12.1: the flow of other packets goes on with the former authentication."""
    hub = Hub()
    peer = connected(hub)
    peer.subscribe("a")
    office = hub.client("office")
    peer.send(again(), Publish("a", b"one"))
    (message,) = peer.get()
    assert isinstance(message, Publish)
    sent = challenge(peer)
    assert isinstance(sent, Auth)
    assert sent.reason_code == codes.CONTINUE_AUTHENTICATION
    office.publish("a", b"two")
    hub.settle()
    assert isinstance(peer.get_one(), Publish)
    peer.send(auth())
    (done,) = succeed(peer)
    assert isinstance(done, Auth)
    assert (done.reason_code, done.properties.authentication_method) == (codes.SUCCESS, METHOD)
    assert done.properties.authentication_data == b"proof"
    assert not peer.closed
    peer.send(again())
    assert peer.connection.is_asking()


@pytest.mark.clause("MQTT-4.12.1-2")
@pytest.mark.parametrize("challenged", [False, True])
def test_a_failure_anew_ends_in_disconnect_and_the_will_comes(challenged: bool) -> None:
    hub = Hub()
    office = hub.client("office")
    office.subscribe("will")
    peer = connected(hub, will=Will("will", b"gone"))
    peer.send(again())
    if challenged:
        challenge(peer)
        peer.send(auth())
    peer.connection.refuse_again("the credentials are not accepted")
    hub.settle()
    assert farewell(peer) == codes.NOT_AUTHORIZED
    assert [message.payload for message in office.messages()] == [b"gone"]


@pytest.mark.clause("MQTT-4.12.1-2")
def test_another_identity_anew_is_a_failure() -> None:
    hub = Hub()
    peer = connected(hub)
    peer.send(again())
    (packet,) = succeed(peer, name="another")
    assert isinstance(packet, Disconnect)
    assert packet.reason_code == codes.NOT_AUTHORIZED
    (line,) = hub.named("connection.refused")
    assert (line["principal"], line["because"]) == ("sensor", "the identity proven anew is another one, 'another'")
    assert peer.closed


@pytest.mark.clause("MQTT-4.12.1-2")
def test_a_later_identity_of_the_same_name_is_another_one() -> None:
    hub = Hub()
    peer = connected(hub)
    peer.send(again())
    later = Principal.of("sensor", [Permission("#", True, True)], ["*"], created=5.0)
    peer.connection.authenticated_again(later, NEVER, None)
    hub.settle()
    assert farewell(peer) == codes.NOT_AUTHORIZED


@pytest.mark.clause("MQTT-4.12.1-2")
@pytest.mark.parametrize(
    ("packets", "code"),
    [
        ([again(method=OTHER)], codes.BAD_AUTHENTICATION_METHOD),
        ([Auth(codes.RE_AUTHENTICATE)], codes.PROTOCOL_ERROR),
        ([auth()], codes.PROTOCOL_ERROR),
        ([auth(codes.SUCCESS)], codes.PROTOCOL_ERROR),
        ([Auth()], codes.PROTOCOL_ERROR),
        ([again(), again()], codes.PROTOCOL_ERROR),
        ([again(), auth()], codes.PROTOCOL_ERROR),
    ],
    ids=["another method", "no method", "unasked", "success", "bare success", "two at once", "out of turn"],
)
def test_a_wrong_auth_while_connected_ends_in_disconnect(packets: list[Packet], code: int) -> None:
    peer = connected(Hub())
    peer.send(*packets)
    assert farewell(peer) == code


def test_anew_the_rounds_are_bounded_too_and_counted_afresh() -> None:
    peer = connected(Hub())
    for _ in range(3):
        peer.send(again())
        for _ in range(MOST_ROUNDS - 1):
            challenge(peer)
            peer.send(auth())
        assert len(succeed(peer)) == 1
    peer.send(again())
    for _ in range(MOST_ROUNDS - 1):
        challenge(peer)
        peer.send(auth())
    challenge(peer)
    peer.send(auth())
    assert farewell(peer) == codes.PROTOCOL_ERROR


@pytest.mark.parametrize("challenged", [False, True])
def test_proving_it_anew_has_its_time(challenged: bool) -> None:
    hub = Hub()
    peer = connected(hub)
    hub.pass_time(1000)
    peer.send(again())
    if challenged:
        challenge(peer)
    hub.pass_time(9.9)
    assert not peer.closed
    hub.pass_time(0.2)
    assert farewell(peer) == codes.NOT_AUTHORIZED


def test_what_is_too_large_for_the_client_ends_an_authentication_anew() -> None:
    hub = Hub()
    for act in ("challenge", "success"):
        peer = begin(hub, largest=100)
        accept(peer, None)
        peer.send(again())
        if act == "challenge":
            peer.connection.challenge(b"x" * 100)
        else:
            peer.connection.authenticated_again(hub.principal("sensor"), NEVER, b"x" * 100)
        hub.settle()
        assert farewell(peer) == codes.NOT_AUTHORIZED


# The end of a right. --------------------------------------------------------------------------------


def test_the_connection_ends_when_the_right_ends_and_session_and_will_do_as_ever() -> None:
    hub = Hub()
    office = hub.client("office")
    office.subscribe("will")
    peer = begin(hub, expiry=1000, will=Will("will", b"gone"))
    accept(peer, expires_at=hub.clock.now + 60)
    peer.subscribe("a", 1)
    hub.pass_time(59.9)
    assert not peer.closed
    hub.pass_time(0.2)
    assert farewell(peer) == codes.MAXIMUM_CONNECT_TIME
    assert [message.payload for message in office.messages()] == [b"gone"]
    office.publish("a", b"kept", 1)
    back = Peer(hub, "sensor", 5)
    assert back.connect(clean_start=False, expiry=1000).session_present
    assert [message.payload for message in back.messages()] == [b"kept"]


def test_a_new_proof_in_time_puts_the_end_off_and_a_shorter_one_brings_it_nearer() -> None:
    hub = Hub()
    peer = connected(hub, expires_at=hub.clock.now + 60)
    hub.pass_time(50)
    peer.send(again())
    succeed(peer, hub.clock.now + 60)
    hub.pass_time(59.9)
    assert not peer.closed
    peer.send(again())
    succeed(peer, hub.clock.now + 5)
    hub.pass_time(4.9)
    assert not peer.closed
    hub.pass_time(0.2)
    assert farewell(peer) == codes.MAXIMUM_CONNECT_TIME


def test_beginning_anew_does_not_put_the_end_off() -> None:
    hub = Hub()
    peer = connected(hub, expires_at=hub.clock.now + 5)
    hub.pass_time(4)
    peer.send(again())
    challenge(peer)
    hub.pass_time(1.1)
    assert farewell(peer) == codes.MAXIMUM_CONNECT_TIME


@pytest.mark.parametrize("version", [3, 4])
def test_an_older_client_whose_right_ends_is_closed(version: int) -> None:
    hub = Hub()
    peer = Peer(hub, "sensor", version)
    peer.proves_itself = False
    peer.send(Connect(version, True, 0, "sensor", None, "sensor", b"x", NO_PROPERTIES))
    peer.connection.authenticated(hub.principal("sensor"), True, "0" * 16, hub.clock.now + 5)
    hub.settle()
    peer.get()
    hub.pass_time(5.1)
    assert peer.closed
    assert peer.get() == []


def test_a_busy_client_is_sent_away_all_the_same() -> None:
    """A client that is held back is not read; its right ends in time."""
    hub = Hub()
    hub.config.publish_rate = 1.0
    hub.config.publish_burst = 1
    peer = connected(hub, expires_at=hub.clock.now + 60)
    peer.send(*[Publish("a", b"x") for _ in range(1000)])
    assert peer.connection.is_congested()
    hub.pass_time(60.1)
    assert farewell(peer) == codes.MAXIMUM_CONNECT_TIME


def test_suback_comes_while_an_authentication_is_under_way() -> None:
    peer = connected(Hub())
    peer.send(again(), Subscribe(7, [SubscriptionRequest("a")], NO_PROPERTIES))
    assert isinstance(peer.get_one(), Suback)
    assert peer.connection.state == table.CONNECTED
