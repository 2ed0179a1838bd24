"""A peer's own long names in a Reason String: what is longer than a UTF-8 Encoded String may be raised in the hub."""

from __future__ import annotations

from bridgehead.core.policy import Principal
from bridgehead.protocols.mqtt.codec import reason_codes as codes
from bridgehead.protocols.mqtt.codec.packets import (
    Connack,
    Connect,
    Pingreq,
    Pingresp,
    Puback,
    Publish,
    Suback,
    Subscribe,
    SubscriptionRequest,
)
from bridgehead.protocols.mqtt.codec.properties import Properties
from tests.mqtt.dialogue import Hub

LONG = "\u0800" * 21_000  # 63,000 octets


def told(reason: str | None) -> str:
    assert reason is not None
    assert len(reason) <= 1025
    return reason


def test_before_authentication_a_long_authentication_method() -> None:
    peer = Hub().peer()
    peer.send(Connect(5, True, 0, "sensor", properties=Properties(authentication_method="z" * 65_535)))
    answer = peer.get_one()
    assert isinstance(answer, Connack)
    assert answer.reason_code == codes.BAD_AUTHENTICATION_METHOD
    assert told(answer.properties.reason_string).startswith("Authentication Method 'zzz")
    assert peer.closed


def test_a_denied_publish_to_a_long_topic_is_answered_and_the_connection_goes_on() -> None:
    peer = Hub(principals=[Principal.of("sensor", [], [])]).client()
    peer.send(Publish(LONG, b"", 1, False, False, 1), Pingreq())
    answer, ping = peer.get()
    assert isinstance(answer, Puback)
    assert answer.reason_code == codes.NOT_AUTHORIZED
    assert told(answer.properties.reason_string).startswith("no permission")
    assert isinstance(ping, Pingresp)


def test_denied_subscriptions_to_long_filters() -> None:
    peer = Hub(principals=[Principal.of("sensor", [], [])]).client()
    peer.send(Subscribe(1, [SubscriptionRequest(LONG, 0, False, False, 0)] * 4))
    answer = peer.get_one()
    assert isinstance(answer, Suback)
    assert answer.reason_codes == [codes.NOT_AUTHORIZED] * 4
    told(answer.properties.reason_string)


def test_a_client_s_fault_behind_connect_does_not_hold_up_the_acknowledgements_of_others() -> None:
    """What came behind CONNECT is done when the commit is told: an error there left others in the batch untold."""
    hub = Hub(principals=[Principal.of("sensor", [], [])])
    office = hub.durable("office")
    office.subscribe("a", 1)
    hub.store.automatic = False
    attacker = hub.peer("sensor")
    attacker.proves_itself = False
    attacker.send(
        Connect(5, False, 0, "sensor", properties=Properties(session_expiry_interval=100)),
        Publish(LONG, b"", 1, False, False, 1),
    )
    attacker.prove()
    office.publish("a", qos=1)
    while hub.store.waiting:
        hub.commit()
    assert [type(packet) for packet in office.get()] == [Puback, Publish]
    assert [type(packet) for packet in attacker.get()] == [Connack, Puback]
