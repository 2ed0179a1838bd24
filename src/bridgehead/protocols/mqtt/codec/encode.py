"""Encodes control packets into octets; the forms in which one message goes to many receivers."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64, mypyc_attr

from bridgehead.core.errors import LocalMisuse
from bridgehead.protocols.mqtt.codec.fields import (
    MAX_FIELD_LENGTH,
    put_binary_data,
    put_utf8_string,
    put_variable_byte_integer,
)
from bridgehead.protocols.mqtt.codec.packets import (
    Acknowledgement,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Publish,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
)
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES, WILL, Properties
from bridgehead.protocols.mqtt.codec.property_codec import encode_properties
from bridgehead.protocols.mqtt.codec.reason_codes import (
    AUTH,
    CONNACK,
    CONNECT,
    DISCONNECT,
    PINGREQ,
    PINGRESP,
    PUBCOMP,
    PUBLISH,
    PUBREL,
    SUBACK,
    SUBSCRIBE,
    UNSUBACK,
    UNSUBSCRIBE,
    connect_return_code,
)
from bridgehead.wire.writer import u8, u16, u32


@mypyc_attr(acyclic=True)
class PublishForm:
    """One PUBLISH, encoded once for all receivers that get it with the same version, QoS, RETAIN and properties.

    QoS 0: the packet is `head`, and `tail` is empty. QoS 1 and 2: the packet is `head`, the Packet Identifier in
    two octets, and `tail`.
    """

    def __init__(self, head: bytes, tail: bytes) -> None:
        self.head = head
        self.tail = tail

    def packet(self, packet_id: int, dup: bool = False) -> bytes:
        """The whole packet of a form with QoS 1 or 2."""
        head = with_dup(self.head) if dup else self.head
        return b"%b%b%b" % (head, u16(packet_id), self.tail)


def with_dup(packet: bytes) -> bytes:
    """The octets of a PUBLISH, or of its head, with DUP set [MQTT-3.3.1-1]."""
    return u8(packet[0] | 8) + packet[1:]


def publish_form(
    version: i64, topic: str, payload: bytes, qos: i64, retain: bool, properties: Properties
) -> PublishForm:
    """The form with DUP 0. `topic` is a valid Topic Name (or "" with a Topic Alias); `properties` are left out for
    MQTT 3.

    Raises LocalMisuse when the message cannot be expressed, as when it is longer than 268,435,455 octets.
    """
    name = topic.encode("utf-8")
    name_length: i64 = len(name)
    if name_length > MAX_FIELD_LENGTH:
        raise LocalMisuse(f"a Topic Name of {name_length} octets is longer than 65,535")
    if version < 5:
        tail = payload
    elif properties is NO_PROPERTIES:
        tail = b"\x00" + payload
    else:
        tail = encode_properties(properties, PUBLISH) + payload
    length: i64 = 2 + name_length + len(tail)
    if qos:
        length += 2
    first: i64 = PUBLISH << 4 | qos << 1
    if retain:
        first |= 1
    if length < 128:
        start = u32(first << 24 | length << 16 | name_length)
    else:
        start = b"%b%b%b" % (
            u8(first),
            put_variable_byte_integer(length),
            u16(name_length),
        )
    if qos:
        return PublishForm(start + name, tail)
    return PublishForm(b"%b%b%b" % (start, name, tail), b"")


def cut_form(frame: bytes, topic_end: i64) -> PublishForm:
    """The form of a received PUBLISH of QoS 1 or 2, cut from its octets: `Publish.frame` and `Publish.topic_end`.

    For receivers with the same QoS, RETAIN and version (`Publish.v5`). Not for a packet with a Topic Alias, a
    Subscription Identifier or a Message Expiry Interval: those are said anew to each receiver.
    """
    first = frame[0]
    # DUP tells of the sender's own delivery attempts only [MQTT-3.3.1-3].
    head = u8(first & 0xF7) + frame[1:topic_end] if first & 8 else frame[:topic_end]
    return PublishForm(head, frame[topic_end + 2 :])


def _ack_heads(packet_type: int) -> list[bytes]:
    # [MQTT-3.6.1-1]: PUBREL has the flags 0010.
    flags = 2 if packet_type == PUBREL else 0
    return [bytes([packet_type << 4 | flags, 2, high]) for high in range(256)]


OCTETS: Final[list[bytes]] = [bytes([value]) for value in range(256)]
_ACK_HEADS: Final[list[list[bytes]]] = [_ack_heads(packet_type) for packet_type in range(PUBCOMP + 1)]


def ack(packet_type: i64, packet_id: i64) -> bytes:
    """PUBACK, PUBREC, PUBREL or PUBCOMP with success: four octets, the same in all versions."""
    return _ACK_HEADS[packet_type][packet_id >> 8] + OCTETS[packet_id & 0xFF]


def encode(packet: Packet, version: i64) -> bytes:
    """The packet's octets in the grammar of `version`: 3, 4 or 5.

    For MQTT 3 properties and Reason Codes that it does not have are left out, those of CONNACK and SUBACK are
    translated. Raises LocalMisuse when the packet cannot be expressed.
    """
    if isinstance(packet, Publish):
        return _publish(packet, version)
    if isinstance(packet, Acknowledgement):
        return _acknowledgement(packet, version)
    if isinstance(packet, Connect):
        if packet.protocol_version != version:
            raise LocalMisuse(f"a CONNECT of version {packet.protocol_version} encoded as version {version}")
        return _connect(packet)
    if isinstance(packet, Connack):
        if packet.session_present and packet.reason_code:
            raise LocalMisuse("a CONNACK that refuses has no Session Present")  # [MQTT-3.2.2-6]
        present = b"\x01" if packet.session_present and version > 3 else b"\x00"
        if version < 5:
            return _packet(CONNACK << 4, present + _octet(connect_return_code(packet.reason_code)))
        body = present + _octet(packet.reason_code) + encode_properties(packet.properties, CONNACK)
        return _packet(CONNACK << 4, body)
    if isinstance(packet, Subscribe):
        return _subscribe(packet, version)
    if isinstance(packet, Suback):
        if version < 5:
            codes = _octets([code if code <= 2 else 0x80 for code in packet.reason_codes])
            return _packet(SUBACK << 4, _packet_identifier(packet.packet_id) + codes)
        return _packet(SUBACK << 4, _codes(packet.packet_id, packet.properties, SUBACK, packet.reason_codes))
    if isinstance(packet, Unsubscribe):
        parts = [_packet_identifier(packet.packet_id)]
        if version == 5:
            parts.append(encode_properties(packet.properties, UNSUBSCRIBE))
        if not packet.topic_filters:
            raise LocalMisuse("an UNSUBSCRIBE needs a Topic Filter")
        for topic_filter in packet.topic_filters:
            parts.append(put_utf8_string(topic_filter))
        return _packet(UNSUBSCRIBE << 4 | 2, b"".join(parts))
    if isinstance(packet, Unsuback):
        if version < 5:
            return _packet(UNSUBACK << 4, _packet_identifier(packet.packet_id))
        return _packet(UNSUBACK << 4, _codes(packet.packet_id, packet.properties, UNSUBACK, packet.reason_codes))
    if isinstance(packet, Disconnect):
        if version < 5:
            return b"\xe0\x00"
        return _packet(DISCONNECT << 4, _reason(packet.reason_code, packet.properties, DISCONNECT))
    if isinstance(packet, Auth):
        if version < 5:
            raise LocalMisuse("AUTH exists in MQTT 5.0 only")
        encoded = encode_properties(packet.properties, AUTH)
        # 3.15.2.1: only both together can be left out.
        if packet.reason_code == 0 and encoded == b"\x00":
            return b"\xf0\x00"
        return _packet(AUTH << 4, _octet(packet.reason_code) + encoded)
    if packet.packet_type == PINGREQ:
        return b"\xc0\x00"
    if packet.packet_type == PINGRESP:
        return b"\xd0\x00"
    raise LocalMisuse(f"no packet type {packet.packet_type} can be encoded")


def _packet(first: i64, body: bytes) -> bytes:
    return b"%b%b%b" % (u8(first), put_variable_byte_integer(len(body)), body)


def _octet(value: i64) -> bytes:
    if not 0 <= value <= 255:
        raise LocalMisuse(f"an octet cannot be {value}")
    return u8(value)


def _octets(values: list[int]) -> bytes:
    """The payload of SUBACK and UNSUBACK."""
    if not values or min(values) < 0 or max(values) > 255:
        raise LocalMisuse(f"{values} cannot be Reason Codes")
    return bytes(values)


def _packet_identifier(packet_id: i64) -> bytes:
    # [MQTT-2.2.1-3]
    if not 1 <= packet_id <= 65_535:
        raise LocalMisuse(f"a Packet Identifier cannot be {packet_id}")
    return u16(packet_id)


def _reason(reason_code: i64, properties: Properties, packet_type: i64) -> bytes:
    """Reason Code and properties in their shortest form (3.4.2.1, 3.14.2.1)."""
    encoded = encode_properties(properties, packet_type)
    if encoded == b"\x00":
        return b"" if reason_code == 0 else _octet(reason_code)
    return _octet(reason_code) + encoded


def _codes(packet_id: i64, properties: Properties, packet_type: i64, reason_codes: list[int]) -> bytes:
    return b"%b%b%b" % (
        _packet_identifier(packet_id),
        encode_properties(properties, packet_type),
        _octets(reason_codes),
    )


def _publish(packet: Publish, version: i64) -> bytes:
    topic = packet.topic
    if not topic and (version < 5 or packet.properties.topic_alias is None):
        raise LocalMisuse("a PUBLISH needs a Topic Name")
    if "+" in topic or "#" in topic:
        raise LocalMisuse(f"{topic!r} cannot be a Topic Name")
    put_utf8_string(topic)
    if not 0 <= packet.qos <= 2 or (packet.dup and packet.qos == 0):
        raise LocalMisuse(f"a PUBLISH cannot have QoS {packet.qos}{' and DUP' if packet.dup else ''}")
    if packet.qos:
        _packet_identifier(packet.packet_id)
    form = publish_form(version, topic, packet.payload, packet.qos, packet.retain, packet.properties)
    if packet.qos == 0:
        return form.head
    return form.packet(packet.packet_id, packet.dup)


def _acknowledgement(packet: Acknowledgement, version: i64) -> bytes:
    body = _packet_identifier(packet.packet_id)
    if version == 5:
        body += _reason(packet.reason_code, packet.properties, packet.packet_type)
    return _packet(packet.packet_type << 4 | (2 if packet.packet_type == PUBREL else 0), body)


def _subscribe(packet: Subscribe, version: i64) -> bytes:
    if not packet.subscriptions:
        raise LocalMisuse("a SUBSCRIBE needs a Topic Filter")
    parts = [_packet_identifier(packet.packet_id)]
    if version == 5:
        parts.append(encode_properties(packet.properties, SUBSCRIBE))
    for subscription in packet.subscriptions:
        parts.append(put_utf8_string(subscription.topic_filter))
        parts.append(_octet(subscription.options() if version == 5 else subscription.qos))
    return _packet(SUBSCRIBE << 4 | 2, b"".join(parts))


def _connect(packet: Connect) -> bytes:
    version = packet.protocol_version
    will = packet.will
    flags: i64 = 2 if packet.clean_start else 0
    if not 0 <= packet.keep_alive <= 65_535:
        raise LocalMisuse(f"Keep Alive cannot be {packet.keep_alive} s")
    if will is not None:
        if not 0 <= will.qos <= 2:
            raise LocalMisuse(f"Will QoS cannot be {will.qos}")
        flags |= 4 | will.qos << 3
        if will.retain:
            flags |= 0x20
    if packet.user_name is not None:
        flags |= 0x80
    if packet.password is not None:
        if packet.user_name is None and version < 5:
            raise LocalMisuse("MQTT 3 has no Password without a User Name")
        flags |= 0x40
    parts = [
        b"\x00\x06MQIsdp" if version == 3 else b"\x00\x04MQTT",
        _octet(version),
        _octet(flags),
        u16(packet.keep_alive),
    ]
    if version == 5:
        parts.append(encode_properties(packet.properties, CONNECT))
    parts.append(put_utf8_string(packet.client_id))
    if will is not None:
        if version == 5:
            parts.append(encode_properties(will.properties, WILL))
        parts.append(put_utf8_string(will.topic))
        parts.append(put_binary_data(will.payload))
    if packet.user_name is not None:
        parts.append(put_utf8_string(packet.user_name))
    if packet.password is not None:
        parts.append(put_binary_data(packet.password))
    return _packet(CONNECT << 4, b"".join(parts))
