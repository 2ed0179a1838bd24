"""What the hub never does, because it offers everything that a server may leave out. The statements here have a
condition that never holds, and that is what is shown."""

from __future__ import annotations

import pytest

from bridgehead.protocols.mqtt.codec import reason_codes as codes
from bridgehead.protocols.mqtt.codec.packets import (
    Pubcomp,
    Pubrec,
    Pubrel,
    Will,
)
from bridgehead.protocols.mqtt.codec.properties import Properties
from tests.mqtt.dialogue import Hub


@pytest.mark.clause("MQTT-3.2.2-12", "MQTT-3.2.2-13", "MQTT-3.2.2-9")
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("retain", [False, True])
def test_every_qos_and_retain_of_a_will_is_supported_and_connack_says_nothing_else(qos: int, retain: bool) -> None:
    hub = Hub()
    watcher = hub.client("watcher")
    watcher.subscribe("state", 2, retain_as_published=True)
    sensor = hub.peer("sensor")
    answer = sensor.connect(will=Will("state", b"gone", qos, retain))
    assert answer.reason_code == 0
    assert (answer.properties.maximum_qos, answer.properties.retain_available) == (None, None)
    sensor.drop()
    (message,) = watcher.messages()
    assert (message.qos, message.retain) == (qos, retain)


@pytest.mark.clause("MQTT3-3.8.3-2")
@pytest.mark.parametrize("version", [3, 4])
def test_wildcards_are_supported(version: int) -> None:
    hub = Hub()
    office = hub.client("office", version)
    for topic_filter in ("#", "+", "a/+/#", "+/+"):
        assert office.subscribe(topic_filter, 1) == [1]


@pytest.mark.clause("MQTT-3.3.4-5", "MQTT-3.3.4-3")
def test_where_several_copies_go_out_each_has_its_own_identifier() -> None:
    """One copy for all of a session's own subscriptions, one for each group that chose it."""
    hub = Hub()
    office = hub.client("office")
    office.subscribe("a", 1, identifier=1)
    office.subscribe("#", 1, identifier=2)
    office.subscribe("$share/g/a", 1, identifier=3)
    office.subscribe("$share/h/+", 1, identifier=4)
    hub.client("sensor").publish("a", b"x", 1)
    assert sorted(sorted(m.properties.subscription_identifiers) for m in office.messages()) == [[1, 2], [3], [4]]


@pytest.mark.clause("MQTT-3.6.2-1", "MQTT-3.6.2-2", "MQTT-3.6.2-3", "MQTT-3.7.2-1", "MQTT-3.7.2-2", "MQTT-3.7.2-3")
@pytest.mark.parametrize("wanted", [0, 1])
def test_pubrel_and_pubcomp_have_a_reason_code_at_most(wanted: int) -> None:
    peer = Hub().client("office", properties=Properties(request_problem_information=wanted))
    before = len(peer.octets)
    peer.send(Pubrec(9), Pubrel(8))
    assert peer.get() == [Pubrel(9, codes.PACKET_IDENTIFIER_NOT_FOUND), Pubcomp(8, codes.PACKET_IDENTIFIER_NOT_FOUND)]
    assert peer.octets[before:] == b"\x62\x03\x00\x09\x92\x70\x03\x00\x08\x92"


@pytest.mark.clause("MQTT3-7.0.0-2", "MQTT3-2.2.2-1", "MQTT-2.1.3-1", "MQTT3-3.2.0-1")
def test_a_client_that_knows_the_standard_alone_is_understood() -> None:
    """Octets as they stand in MQTT 3.1.1, from CONNECT to DISCONNECT, with none of our own encoder."""
    hub = Hub()
    peer = hub.peer("sensor", 4)
    for sent, answer in (
        (b"\x10\x1e\x00\x04MQTT\x04\xc2\x00\x3c\x00\x06sensor\x00\x02me\x00\x06secret", b"\x20\x02\x00\x00"),
        (b"\x82\x08\x00\x0a\x00\x03a/b\x01", b"\x90\x03\x00\x0a\x01"),
        (b"\x30\x07\x00\x03a/bhi", b"\x30\x07\x00\x03a/bhi"),
        (b"\x32\x09\x00\x03a/b\x00\x10hi", b"\x32\x09\x00\x03a/b\x00\x01hi\x40\x02\x00\x10"),
        (b"\x40\x02\x00\x01", b""),
        (b"\x34\x09\x00\x03a/b\x00\x11hi", b"\x32\x09\x00\x03a/b\x00\x02hi\x50\x02\x00\x11"),
        (b"\x62\x02\x00\x11", b"\x70\x02\x00\x11"),
        (b"\x40\x02\x00\x02", b""),
        (b"\xc0\x00", b"\xd0\x00"),
        (b"\xa2\x07\x00\x0b\x00\x03a/b", b"\xb0\x02\x00\x0b"),
        (b"\x30\x07\x00\x03a/bhi", b""),
        (b"\xe0\x00", b""),
    ):
        before = len(peer.octets)
        peer.send_octets(sent)
        assert peer.octets[before:] == answer, sent
    assert peer.closed
