"""Keep Alive, PINGREQ, and how long a silent client is believed to live (sections 3.1.2.10 and 3.12)."""

from __future__ import annotations

import pytest

from bridgehead.protocols.mqtt.codec import reason_codes as codes
from bridgehead.protocols.mqtt.codec.encode import encode
from bridgehead.protocols.mqtt.codec.packets import Disconnect, Pingreq, Pingresp, Publish
from bridgehead.protocols.mqtt.config import MqttConfig
from tests.mqtt.dialogue import Hub, Peer

VERSIONS = [3, 4, 5]


def timed_out(peer: Peer) -> None:
    assert peer.closed
    if peer.version == 5:
        farewell = peer.get_one()
        assert isinstance(farewell, Disconnect)
        assert farewell.reason_code == codes.KEEP_ALIVE_TIMEOUT
        assert farewell.properties.session_expiry_interval is None  # [MQTT-3.14.2-2]
    else:
        assert peer.get() == []


@pytest.mark.clause("MQTT-3.12.4-1", "MQTT3-3.12.4-1")
@pytest.mark.parametrize("version", VERSIONS)
def test_each_pingreq_is_answered(version: int) -> None:
    peer = Hub().client("sensor", version)
    peer.send(Pingreq(), Pingreq(), Pingreq())
    answers = peer.get()
    assert len(answers) == 3
    assert all(isinstance(answer, Pingresp) for answer in answers)


@pytest.mark.clause("MQTT-3.1.2-22", "MQTT3-3.1.2-24", "MQTT-3.14.2-2")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("keep_alive", [1, 10, 3000])
def test_silence_for_one_and_a_half_keep_alives_closes(version: int, keep_alive: int) -> None:
    hub = Hub()
    peer = hub.client("sensor", version, keep_alive=keep_alive)
    hub.pass_time(keep_alive * 1.5 - 0.01)
    assert not peer.closed
    hub.pass_time(0.02)
    timed_out(peer)


@pytest.mark.clause("MQTT-3.1.2-21", "MQTT-3.1.2-22")
def test_the_servers_keep_alive_is_the_one_in_force() -> None:
    config = MqttConfig()
    config.keep_alive_maximum = 20
    hub = Hub(config=config)
    peer = hub.peer()
    assert peer.connect(keep_alive=1000).properties.server_keep_alive == 20
    hub.pass_time(29)
    assert not peer.closed
    hub.pass_time(2)
    timed_out(peer)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_keep_alive_of_0_is_no_keep_alive(version: int) -> None:
    config = MqttConfig()
    config.keep_alive_maximum = 0
    hub = Hub(config=config)
    peer = hub.client("sensor", version, keep_alive=0)
    hub.clock.now += 10_000_000
    peer.connection.handle_timeout()
    assert not peer.closed


@pytest.mark.parametrize("packet", [Pingreq(), Publish("a", b"x"), Publish("a", b"x", 1, packet_id=1)])
def test_every_packet_of_the_client_counts(packet: object) -> None:
    hub = Hub()
    peer = hub.client("sensor", keep_alive=10)
    for _ in range(5):
        hub.pass_time(14)
        assert isinstance(packet, Pingreq | Publish)
        peer.send(packet)
        assert not peer.closed


def test_what_the_hub_sends_does_not_count() -> None:
    hub = Hub()
    peer = hub.client("office", keep_alive=10)
    peer.subscribe("a")
    sensor = hub.client("sensor")
    for _ in range(20):
        hub.pass_time(1)
        sensor.publish("a")
    assert peer.closed


@pytest.mark.clause("MQTT-3.1.2-22", "MQTT3-3.1.2-24")
def test_octets_that_make_no_packet_do_not_count() -> None:
    """A peer that dribbles in a packet for ever does not live for ever."""
    hub = Hub()
    peer = hub.client("sensor", keep_alive=10)
    for octet in encode(Publish("a", b"x" * 1000), 5)[:40]:
        peer.send_octets(bytes([octet]))
        hub.pass_time(1)
        if peer.closed:
            break
    timed_out(peer)


def test_a_client_that_the_hub_did_not_read_is_not_taken_for_dead() -> None:
    """It publishes faster than it may, so its next packet waits in the kernel."""
    config = MqttConfig()
    config.publish_rate = 1.0
    config.publish_burst = 10
    hub = Hub(config=config)
    peer = hub.client("sensor", keep_alive=10)
    peer.send(*[Publish("a", b"x")] * 110)
    assert peer.connection.is_congested()
    hub.pass_time(99)
    assert not peer.closed
    hub.pass_time(2)
    assert not peer.connection.is_congested()
    hub.pass_time(13)
    assert not peer.closed
    hub.pass_time(3)
    assert peer.closed


def test_a_session_outlives_its_keep_alive() -> None:
    hub = Hub()
    office = hub.client("office", expiry=1000, keep_alive=10)
    office.subscribe("a", 1)
    hub.pass_time(16)
    assert office.closed
    hub.client("sensor").publish("a", b"x", 1)
    assert hub.durable("office").payloads() == [b"x"]
