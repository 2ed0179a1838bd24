"""What CONNACK tells a client of MQTT 5.0, and what it keeps to itself."""

from __future__ import annotations

import pytest

from bridgehead.broker.limits import Limits
from bridgehead.core.errors import NOT_AUTHORIZED, Refusal
from bridgehead.core.policy import Permission, Principal
from bridgehead.protocols.mqtt.codec import reason_codes as codes
from bridgehead.protocols.mqtt.codec.packets import Connack, Connect, Will
from bridgehead.protocols.mqtt.codec.properties import Properties
from bridgehead.protocols.mqtt.config import MqttConfig
from tests.mqtt.dialogue import Hub


@pytest.mark.clause("MQTT-3.2.2-9", "MQTT-3.2.2-10")
def test_everything_is_supported_and_so_nothing_is_said_to_be_missing() -> None:
    properties = Hub().peer().connect().properties
    assert properties.maximum_qos is None
    assert properties.retain_available is None
    assert properties.wildcard_subscription_available is None
    assert properties.subscription_identifier_available is None
    assert properties.shared_subscription_available is None


def test_the_hubs_ceilings_are_told() -> None:
    config = MqttConfig()
    config.receive_maximum = 20
    config.maximum_packet_size = 4096
    config.topic_alias_maximum = 7
    properties = Hub(config=config).peer().connect().properties
    assert (properties.receive_maximum, properties.maximum_packet_size, properties.topic_alias_maximum) == (20, 4096, 7)


@pytest.mark.clause("MQTT-3.1.2-21", "MQTT-3.2.2-22")
@pytest.mark.parametrize(("asked", "told"), [(60, None), (3600, None), (3601, 3600), (65535, 3600), (0, 3600)])
def test_server_keep_alive_is_told_where_it_differs(asked: int, told: int | None) -> None:
    peer = Hub().peer()
    assert peer.connect(keep_alive=asked).properties.server_keep_alive == told
    assert peer.connection.keep_alive == (told or asked)


def test_without_a_ceiling_a_keep_alive_of_0_stays_0() -> None:
    config = MqttConfig()
    config.keep_alive_maximum = 0
    peer = Hub(config=config).peer()
    assert peer.connect(keep_alive=0).properties.server_keep_alive is None
    assert peer.connection.keep_alive == 0


@pytest.mark.parametrize("version", [3, 4])
def test_older_versions_keep_the_keep_alive_that_they_cannot_be_told_otherwise(version: int) -> None:
    peer = Hub().peer("sensor", version)
    peer.connect(keep_alive=65535)
    assert peer.connection.keep_alive == 65535
    silent = Hub().peer("sensor", version)
    silent.connect(keep_alive=0)
    assert silent.connection.keep_alive == 0


@pytest.mark.parametrize(
    ("asked", "told"), [(None, None), (0, None), (100, None), (1000, None), (1001, 1000), (0xFFFFFFFF, 1000)]
)
def test_the_session_expiry_interval_is_told_where_it_differs(asked: int | None, told: int | None) -> None:
    limits = Limits()
    limits.session_expiry_interval = 1000
    answer = Hub(limits=limits).peer().connect(properties=Properties(session_expiry_interval=asked))
    assert answer.properties.session_expiry_interval == told


def test_a_session_for_ever_is_granted_where_the_ceiling_is_for_ever() -> None:
    limits = Limits()
    limits.session_expiry_interval = 0xFFFFFFFF
    hub = Hub(limits=limits)
    assert hub.peer().connect(expiry=0xFFFFFFFF).properties.session_expiry_interval is None
    hub.peers[0].drop()
    hub.clock.now += 100 * 365 * 24 * 3600
    hub.broker.handle_timeout()
    assert hub.peer().connect(clean_start=False).session_present


# Response Information. ------------------------------------------------------------------------------


@pytest.mark.clause("MQTT-3.1.2-28")
@pytest.mark.parametrize(("asked", "told"), [(None, None), (0, None), (1, "replies/sensor")])
def test_response_information_is_for_those_who_ask(asked: int | None, told: str | None) -> None:
    config = MqttConfig()
    config.response_information = "replies/${device}"
    answer = Hub(config=config).peer().connect(properties=Properties(request_response_information=asked))
    assert answer.properties.response_information == told


def test_no_response_information_where_none_is_configured() -> None:
    answer = Hub().peer().connect(properties=Properties(request_response_information=1))
    assert answer.properties.response_information is None


# Request Problem Information, and what fits. --------------------------------------------------------


def refused(properties: Properties, because: str = "no such device") -> Connack:
    peer = Hub().peer()
    peer.proves_itself = False
    peer.send(Connect(5, True, 0, "sensor", properties=properties))
    peer.refuse(Refusal(NOT_AUTHORIZED, because))
    answer = peer.get_one()
    assert isinstance(answer, Connack)
    assert answer.reason_code == codes.NOT_AUTHORIZED
    return answer


def test_a_reason_string_says_why() -> None:
    assert refused(Properties()).properties.reason_string == "no such device"
    assert refused(Properties(request_problem_information=1)).properties.reason_string == "no such device"


@pytest.mark.clause("MQTT-3.1.2-29")
def test_who_wants_no_problem_information_gets_none() -> None:
    assert refused(Properties(request_problem_information=0)).properties.reason_string is None


@pytest.mark.clause("MQTT-3.2.2-19", "MQTT-3.2.2-20", "MQTT-3.1.2-24")
@pytest.mark.parametrize(("size", "reason"), [(5, None), (21, None), (22, "no such device"), (100, "no such device")])
def test_a_reason_string_that_does_not_fit_is_left_out(size: int, reason: str | None) -> None:
    assert refused(Properties(maximum_packet_size=size)).properties.reason_string == reason


@pytest.mark.clause("MQTT-3.1.2-24")
@pytest.mark.parametrize("size", range(1, 30))
def test_a_client_that_cannot_take_connack_gets_nothing_larger_than_it_said(size: int) -> None:
    hub = Hub()
    peer = hub.peer()
    peer.send(Connect(5, True, 0, "", properties=Properties(maximum_packet_size=size)))
    assert len(peer.octets) <= size
    assert peer.closed
    assert len(hub.broker.sessions) == 0


def test_the_smallest_packet_size_that_is_enough() -> None:
    hub = Hub()
    whole = hub.client("sensor").octets
    assert hub.peer("sensor").connect(properties=Properties(maximum_packet_size=len(whole))).reason_code == 0
    peer = hub.peer("other")
    answer = peer.connect(properties=Properties(maximum_packet_size=len(whole) - 1))
    assert answer.reason_code == codes.PACKET_TOO_LARGE
    assert peer.closed
    assert hub.broker.sessions.find("other", "other") is None


# What is refused after the identity was proven. -----------------------------------------------------


@pytest.mark.clause("MQTT-3.2.2-7", "MQTT-3.2.2-8", "MQTT3-3.2.2-5")
@pytest.mark.parametrize(("version", "code"), [(3, 3), (4, 3), (5, codes.QUOTA_EXCEEDED)])
def test_too_many_sessions_of_one_identity(version: int, code: int) -> None:
    limits = Limits()
    limits.sessions_per_principal = 2
    hub = Hub(limits=limits)
    for i in range(2):
        hub.client("sensor", 5, f"sensor-{i}")
    peer = hub.peer("sensor", version)
    assert peer.connect("sensor-2").reason_code == code
    assert peer.closed
    assert not hub.client("other").closed
    hub.peers[0].drop()
    assert hub.peer("sensor", version).connect("sensor-2").reason_code == 0


@pytest.mark.clause("MQTT-3.1.4-2")
@pytest.mark.parametrize(("version", "code"), [(3, 5), (4, 5), (5, codes.NOT_AUTHORIZED)])
def test_a_will_that_may_not_be_published_refuses_the_connection(version: int, code: int) -> None:
    hub = Hub(principals=[Principal.of("sensor", [Permission("state/sensor", True, False)], [])])
    peer = hub.peer("sensor", version)
    assert peer.connect(will=Will("state/other", b"gone")).reason_code == code
    assert peer.closed
    assert len(hub.named("will.denied")) == 1
    assert len(hub.broker.sessions) == 0
    assert hub.peer("sensor", version).connect(will=Will("state/sensor", b"gone")).reason_code == 0


@pytest.mark.parametrize("topic", ["/".join(["a"] * 129), "$share/g/a"])
def test_a_will_topic_that_could_never_be_published(topic: str) -> None:
    everything = [Permission("#", True, True), Permission("$share/#", True, True)]
    hub = Hub(principals=[Principal.of("sensor", everything, [])])
    peer = hub.peer("sensor")
    assert peer.connect(will=Will(topic, b"gone")).reason_code == codes.TOPIC_NAME_INVALID
    assert peer.closed


def test_a_will_payload_that_is_not_the_text_it_says_to_be() -> None:
    peer = Hub().peer("sensor")
    will = Will("a", b"\xff", properties=Properties(payload_format_indicator=1))
    assert peer.connect(will=will).reason_code == codes.PAYLOAD_FORMAT_INVALID
    assert peer.closed
