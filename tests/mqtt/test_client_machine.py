"""Dialogues with the client machine on a virtual clock: a server's octets in, the client's packets out.

Only clauses that bind clients alone are marked here: those that bind both sides are proved on the hub.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgehead.core.errors import LocalMisuse
from bridgehead.protocols.mqtt.client.errors import Refused
from bridgehead.protocols.mqtt.client.machine import (
    FLOWS,
    OVER,
    Arrived,
    ClientMachine,
    Connected,
    Disconnected,
    Event,
    FlowEnded,
)
from bridgehead.protocols.mqtt.codec.decode import Decoder
from bridgehead.protocols.mqtt.codec.encode import encode
from bridgehead.protocols.mqtt.codec.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    SubscriptionRequest,
    Unsuback,
    Unsubscribe,
)
from bridgehead.protocols.mqtt.codec.properties import Properties
from bridgehead.protocols.mqtt.codec.reason_codes import PUBACK, PUBCOMP, PUBREC, SUBACK, UNSUBACK
from bridgehead.wire.errors import PeerError


class Dialogue:
    """A machine, a clock, and the server's view of what it sent."""

    def __init__(self, version: int = 5, keep_alive: int = 60) -> None:
        self.version = version
        self.now = 1000.0
        self.machine = ClientMachine(Connect(version, True, keep_alive, "client"))
        self.decoder = Decoder(1 << 28)

    def says(self, *packets: Packet) -> list[Event]:
        """The server sends."""
        return self.machine.receive(b"".join(encode(packet, self.version) for packet in packets), self.now)

    def sent(self) -> list[Packet]:
        """What the server has got since the last look."""
        return self.decoder.feed(self.machine.to_send(self.now))


def connected(version: int = 5, properties: Properties | None = None, keep_alive: int = 60) -> Dialogue:
    dialogue = Dialogue(version, keep_alive)
    assert [type(packet) for packet in dialogue.sent()] == [Connect]
    events = dialogue.says(Connack(False, 0, properties or Properties()))
    assert [type(event) for event in events] == [Connected]
    return dialogue


@pytest.mark.parametrize("version", [3, 4, 5])
def test_a_qos_1_message_is_over_with_its_puback(version: int) -> None:
    dialogue = connected(version)
    packet_id = dialogue.machine.publish("t", b"x", 1)
    assert dialogue.sent() == [Publish("t", b"x", 1, packet_id=packet_id)]
    (event,) = dialogue.says(Puback(packet_id))
    assert isinstance(event, FlowEnded)
    assert event.packet_id == packet_id


@pytest.mark.parametrize("version", [3, 4, 5])
def test_a_qos_2_message_is_released_before_it_is_over(version: int) -> None:
    dialogue = connected(version)
    packet_id = dialogue.machine.publish("t", b"x", 2)
    dialogue.sent()
    assert dialogue.says(Pubrec(packet_id)) == []
    assert dialogue.sent() == [Pubrel(packet_id)]
    assert dialogue.says(Pubrec(packet_id)) == []  # sent again: answered again
    assert dialogue.sent() == [Pubrel(packet_id)]
    (event,) = dialogue.says(Pubcomp(packet_id))
    assert isinstance(event, FlowEnded)


def test_a_refusing_pubrec_ends_the_flow_without_pubrel() -> None:
    dialogue = connected()
    packet_id = dialogue.machine.publish("t", b"x", 2)
    dialogue.sent()
    (event,) = dialogue.says(Pubrec(packet_id, 0x87))
    assert isinstance(event, FlowEnded)
    assert dialogue.sent() == []


def test_a_qos_2_message_arrives_once_until_it_is_released() -> None:
    dialogue = connected()
    (event,) = dialogue.says(Publish("t", b"x", 2, packet_id=7))
    assert isinstance(event, Arrived)
    assert dialogue.sent() == []  # not before the application has taken it
    dialogue.machine.accept(event.publish)
    assert dialogue.sent() == [Pubrec(7)]
    assert dialogue.says(Publish("t", b"x", 2, dup=True, packet_id=7)) == []
    assert dialogue.says(Pubrel(7)) == []
    assert dialogue.sent() == [Pubcomp(7)]
    (again,) = dialogue.says(Publish("t", b"y", 2, packet_id=7))
    assert isinstance(again, Arrived)


def test_a_qos_1_message_is_acknowledged_when_it_is_taken() -> None:
    dialogue = connected()
    (event,) = dialogue.says(Publish("t", b"x", 1, packet_id=9))
    assert isinstance(event, Arrived)
    assert dialogue.sent() == []
    dialogue.machine.accept(event.publish)
    assert dialogue.sent() == [Puback(9)]


@pytest.mark.clause("MQTT-3.3.4-7")
def test_the_servers_receive_maximum_bounds_what_is_on_its_way() -> None:
    dialogue = connected(properties=Properties(receive_maximum=2))
    first = dialogue.machine.publish("t", b"1", 1)
    dialogue.machine.publish("t", b"2", 2)
    with pytest.raises(LocalMisuse):
        dialogue.machine.publish("t", b"3", 1)
    dialogue.machine.publish("t", b"free", 0)
    dialogue.says(Puback(first))
    assert dialogue.machine.quota == 1
    assert dialogue.machine.publish("t", b"3", 1)


@pytest.mark.clause("MQTT-3.2.2-11", "MQTT-3.2.2-14", "MQTT-3.2.2-15")
def test_what_the_server_said_it_does_not_take_is_not_sent() -> None:
    limits = Properties(maximum_qos=1, retain_available=0, maximum_packet_size=40)
    dialogue = connected(properties=limits)
    with pytest.raises(Refused, match="QoS 1"):
        dialogue.machine.publish("t", b"x", 2)
    with pytest.raises(Refused, match="retained"):
        dialogue.machine.publish("t", b"x", 1, retain=True)
    with pytest.raises(Refused, match="40"):
        dialogue.machine.publish("t", b"x" * 40, 1)
    assert dialogue.sent() == []
    assert dialogue.machine.publish("t", b"x", 1)


def test_subscribing_and_unsubscribing_end_with_their_acknowledgements() -> None:
    dialogue = connected()
    requests = [SubscriptionRequest("a/#", 1), SubscriptionRequest("b", 2, no_local=True)]
    packet_id = dialogue.machine.subscribe(requests)
    assert dialogue.sent() == [Subscribe(packet_id, requests)]
    (event,) = dialogue.says(Suback(packet_id, [1, 0x87]))
    assert isinstance(event, FlowEnded)
    packet_id = dialogue.machine.unsubscribe(["a/#"])
    assert dialogue.sent() == [Unsubscribe(packet_id, ["a/#"])]
    (event,) = dialogue.says(Unsuback(packet_id, [0]))
    assert isinstance(event, FlowEnded)


@pytest.mark.clause("MQTT-3.1.2-20", "MQTT-3.1.2-21")
def test_an_idle_client_pings_in_the_servers_keep_alive() -> None:
    dialogue = connected(properties=Properties(server_keep_alive=20), keep_alive=600)
    deadline = dialogue.machine.next_timeout()
    assert deadline is not None
    assert dialogue.now < deadline < dialogue.now + 20
    dialogue.now = deadline
    assert dialogue.machine.handle_timeout(dialogue.now)
    assert dialogue.sent() == [Pingreq()]
    assert dialogue.says(Pingresp()) == []
    later = dialogue.machine.next_timeout()
    assert later is not None
    assert later > deadline


def test_a_silent_server_is_given_up_after_a_keep_alive() -> None:
    dialogue = connected(keep_alive=20)
    dialogue.now = dialogue.machine.next_timeout() or 0.0
    assert dialogue.machine.handle_timeout(dialogue.now)
    dialogue.sent()
    dialogue.now = dialogue.machine.next_timeout() or 0.0
    assert not dialogue.machine.handle_timeout(dialogue.now)


def test_no_keep_alive_is_no_deadline() -> None:
    assert connected(keep_alive=0).machine.next_timeout() is None


def test_a_disconnect_ends_the_machine() -> None:
    dialogue = connected()
    (event,) = dialogue.says(Disconnect(0x8B))
    assert isinstance(event, Disconnected)
    with pytest.raises(LocalMisuse):
        dialogue.machine.publish("t", b"x")
    dialogue.machine.disconnect()
    assert dialogue.sent() == []


@pytest.mark.parametrize("packet", [Publish("t", b"x"), Puback(1), Pingresp(), Disconnect(0x8B)])
def test_nothing_comes_before_connack(packet: Packet) -> None:
    with pytest.raises(PeerError):
        Dialogue().says(packet)


@pytest.mark.parametrize(
    "packet",
    [
        Connack(False, 0),
        Puback(5),
        Pubrec(5),
        Pubcomp(5),
        Suback(5, [0]),
        Unsuback(5, [0]),
        Publish("t", b"x", properties=Properties(topic_alias=1)),
    ],
)
def test_what_the_server_must_not_send_is_its_fault(packet: Packet) -> None:
    with pytest.raises(PeerError):
        connected().says(packet)


def test_the_table_of_flows_is_total() -> None:
    """Every state meets every acknowledgement: the pairs of the table go on, all others are the server's fault."""
    acknowledgements: dict[int, Packet] = {
        PUBACK: Puback(1), PUBREC: Pubrec(1), PUBCOMP: Pubcomp(1), SUBACK: Suback(1, [0]), UNSUBACK: Unsuback(1, [0])
    }  # fmt: skip
    states = {state for state, _ in FLOWS}
    for state in states:
        for packet_type, packet in acknowledgements.items():
            dialogue = connected()
            begin(dialogue.machine, state)
            following = FLOWS.get((state, packet_type))
            if following is None:
                with pytest.raises(PeerError):
                    dialogue.says(packet)
            else:
                assert bool(dialogue.says(packet)) == (following == OVER)


def begin(machine: ClientMachine, state: str) -> None:
    """Bring Packet Identifier 1 into `state`."""
    if state == "awaiting SUBACK":
        machine.subscribe([SubscriptionRequest("t")])
    elif state == "awaiting UNSUBACK":
        machine.unsubscribe(["t"])
    else:
        machine.publish("t", b"x", 1 if state == "awaiting PUBACK" else 2)
        if state == "awaiting PUBCOMP":
            machine.receive(encode(Pubrec(1), 5), 0.0)


@pytest.mark.clause("MQTT-2.2.1-3")
def test_a_packet_identifier_in_use_is_passed_over() -> None:
    dialogue = connected()
    held = dialogue.machine.publish("t", b"kept", 1)
    seen = set()
    for _ in range(65_534):
        packet_id = dialogue.machine.publish("t", b"x", 1)
        seen.add(packet_id)
        dialogue.machine.receive(encode(Puback(packet_id), 5), 0.0)
        dialogue.machine.to_send(0.0)
    assert held not in seen
    assert len(seen) == 65_534
    assert dialogue.machine.publish("t", b"x", 1) == held + 1


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_whatever_octets_come_only_the_peer_is_at_fault(octets: bytes) -> None:
    dialogue = connected()
    dialogue.machine.publish("t", b"x", 2)
    try:
        dialogue.machine.receive(octets, 0.0)
    except PeerError:
        return
    dialogue.sent()
