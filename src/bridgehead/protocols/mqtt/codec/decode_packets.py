"""Decodes the packets other than CONNECT and PUBLISH (MQTT 5.0 and 3.1.1 sections 3.2 and 3.4 to 3.15)."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from bridgehead.protocols.mqtt.codec.fields import FieldReader
from bridgehead.protocols.mqtt.codec.packets import (
    Acknowledgement,
    Auth,
    Connack,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    SubscriptionRequest,
    Unsuback,
    Unsubscribe,
)
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES, Properties
from bridgehead.protocols.mqtt.codec.property_codec import decode_properties
from bridgehead.protocols.mqtt.codec.reason_codes import (
    AUTH,
    CONNACK,
    CONNECT_RETURN_CODES,
    DISCONNECT,
    MALFORMED_PACKET,
    PACKET_NAMES,
    PINGREQ,
    PINGRESP,
    PROTOCOL_ERROR,
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    QUOTA_EXCEEDED,
    SUBACK,
    SUBSCRIBE,
    UNSUBACK,
    UNSUBSCRIBE,
    is_allowed,
)
from bridgehead.wire.errors import Malformed, Violation


def decode_packet(reader: FieldReader, packet_type: i64, version: i64) -> Packet:
    """The packet whose body the reader stands at; it must fill the reader's stretch to its end."""
    packet: Packet
    if PUBACK <= packet_type <= PUBCOMP:
        packet = _acknowledgement(reader, packet_type, version)
    elif packet_type == SUBSCRIBE:
        packet = _subscribe(reader, version)
    elif packet_type == UNSUBSCRIBE:
        packet = _unsubscribe(reader, version)
    elif packet_type == PINGREQ:
        packet = Pingreq()
    elif packet_type == PINGRESP:
        packet = Pingresp()
    elif packet_type == DISCONNECT:
        packet = _disconnect(reader, version)
    elif packet_type == AUTH:
        packet = _auth(reader)
    elif packet_type == CONNACK:
        packet = _connack(reader, version)
    elif packet_type == SUBACK:
        packet = _suback(reader, version)
    else:
        packet = _unsuback(reader, version)
    if reader.remaining:
        raise Malformed(
            f"{reader.remaining} octets follow the last field of the {PACKET_NAMES[packet_type]}",
            MALFORMED_PACKET,
            reader.at,
            "MQTT 5.0 2.1.4",
        )
    return packet


def _packet_identifier(reader: FieldReader, clause: str) -> i64:
    packet_id = reader.u16("Packet Identifier")
    if packet_id == 0:
        raise Violation("the Packet Identifier is 0", PROTOCOL_ERROR, reader.at - 2, clause)
    return packet_id


def _reason_code(reader: FieldReader, packet_type: i64, clause: str) -> i64:
    reason_code = reader.u8("Reason Code")
    if not is_allowed(reason_code, packet_type):
        raise Violation(
            f"0x{reason_code:02X} is no Reason Code of {PACKET_NAMES[packet_type]}",
            PROTOCOL_ERROR,
            reader.at - 1,
            clause,
        )
    return reason_code


_ACK_CLAUSES: Final[list[str]] = ["MQTT-3.4.2-1", "MQTT-3.5.2-1", "MQTT-3.6.2-1", "MQTT-3.7.2-1"]


def _acknowledgement(reader: FieldReader, packet_type: i64, version: i64) -> Acknowledgement:
    packet_id = _packet_identifier(reader, "MQTT-2.2.1-5")
    reason_code: i64 = 0
    properties = NO_PROPERTIES
    # 3.4.2.1: Reason Code and Property Length can be left out.
    if version == 5 and reader.remaining:
        reason_code = _reason_code(reader, packet_type, _ACK_CLAUSES[packet_type - PUBACK])
        if reader.remaining:
            properties = decode_properties(reader, packet_type)
    if packet_type == PUBACK:
        return Puback(packet_id, reason_code, properties)
    if packet_type == PUBREC:
        return Pubrec(packet_id, reason_code, properties)
    if packet_type == PUBREL:
        return Pubrel(packet_id, reason_code, properties)
    return Pubcomp(packet_id, reason_code, properties)


def _subscribe(reader: FieldReader, version: i64) -> Subscribe:
    maximum = reader.limits.topic_filters
    packet_id = _packet_identifier(reader, "MQTT-2.2.1-3")
    properties = decode_properties(reader, SUBSCRIBE) if version == 5 else NO_PROPERTIES
    subscriptions: list[SubscriptionRequest] = []
    while reader.remaining:
        if len(subscriptions) >= maximum:
            raise Violation(f"more than {maximum} Topic Filters in one packet", QUOTA_EXCEEDED, reader.at)
        topic_filter = reader.utf8_string("Topic Filter")
        at = reader.at
        options = reader.u8("Subscription Options")
        if options & (0xC0 if version == 5 else 0xFC):
            raise Malformed("reserved bits of the Subscription Options are set", MALFORMED_PACKET, at, "MQTT-3.8.3-5")
        qos = options & 3
        if qos == 3:
            text = "the Maximum QoS of a subscription is 3"
            if version < 5:
                raise Malformed(text, MALFORMED_PACKET, at, "MQTT3-3.8.3-4")
            raise Violation(text, PROTOCOL_ERROR, at, "MQTT 5.0 3.8.3.1")
        retain_handling = options >> 4
        if retain_handling == 3:
            raise Violation("Retain Handling is 3", PROTOCOL_ERROR, at, "MQTT 5.0 3.8.3.1")
        no_local = options & 0x04 != 0
        if no_local and topic_filter.startswith("$share/"):
            raise Violation("No Local is set on a Shared Subscription", PROTOCOL_ERROR, at, "MQTT-3.8.3-4")
        subscriptions.append(SubscriptionRequest(topic_filter, qos, no_local, options & 0x08 != 0, retain_handling))
    if not subscriptions:
        raise Violation("a SUBSCRIBE without a Topic Filter", PROTOCOL_ERROR, reader.at, "MQTT-3.8.3-2")
    return Subscribe(packet_id, subscriptions, properties)


def _unsubscribe(reader: FieldReader, version: i64) -> Unsubscribe:
    maximum = reader.limits.topic_filters
    packet_id = _packet_identifier(reader, "MQTT-2.2.1-3")
    properties = decode_properties(reader, UNSUBSCRIBE) if version == 5 else NO_PROPERTIES
    topic_filters: list[str] = []
    while reader.remaining:
        if len(topic_filters) >= maximum:
            raise Violation(f"more than {maximum} Topic Filters in one packet", QUOTA_EXCEEDED, reader.at)
        topic_filters.append(reader.utf8_string("Topic Filter"))
    if not topic_filters:
        raise Violation("an UNSUBSCRIBE without a Topic Filter", PROTOCOL_ERROR, reader.at, "MQTT-3.10.3-2")
    return Unsubscribe(packet_id, topic_filters, properties)


def _disconnect(reader: FieldReader, version: i64) -> Disconnect:
    reason_code: i64 = 0
    properties: Properties = NO_PROPERTIES
    # 3.14.2.1: Reason Code and Property Length can be left out.
    if version == 5 and reader.remaining:
        reason_code = _reason_code(reader, DISCONNECT, "MQTT-3.14.2-1")
        if reader.remaining:
            at = reader.at
            properties = decode_properties(reader, DISCONNECT)
            if reader.from_server and properties.session_expiry_interval is not None:
                raise Violation(
                    "a Server does not send a Session Expiry Interval in DISCONNECT",
                    PROTOCOL_ERROR,
                    at,
                    "MQTT-3.14.2-2",
                )
    return Disconnect(reason_code, properties)


def _auth(reader: FieldReader) -> Auth:
    # 3.15.2.1: only Reason Code and Property Length together can be left out.
    if reader.remaining == 0:
        return Auth()
    reason_code = _reason_code(reader, AUTH, "MQTT-3.15.2-1")
    return Auth(reason_code, decode_properties(reader, AUTH))


def _connack(reader: FieldReader, version: i64) -> Connack:
    flags = reader.u8("Connect Acknowledge Flags")
    if version == 3:
        flags = 0  # MQTT 3.1, 3.2: the octet is reserved and not used.
    if flags > 1:
        raise Malformed(
            "reserved bits of the Connect Acknowledge Flags are set", MALFORMED_PACKET, reader.at - 1, "MQTT-3.2.2-1"
        )
    if version < 5:
        reason_code = reader.u8("Connect Return code")
        if reason_code >= len(CONNECT_RETURN_CODES):
            raise Violation(
                f"{reason_code} is no Connect Return code", PROTOCOL_ERROR, reader.at - 1, "MQTT 3.1.1 3.2.2.3"
            )
        properties = NO_PROPERTIES
    else:
        reason_code = _reason_code(reader, CONNACK, "MQTT-3.2.2-8")
        properties = decode_properties(reader, CONNACK)
    if flags and reason_code:
        raise Violation("Session Present is set in a CONNACK that refuses", PROTOCOL_ERROR, 2, "MQTT-3.2.2-6")
    return Connack(flags == 1, reason_code, properties)


def _suback(reader: FieldReader, version: i64) -> Suback:
    packet_id = _packet_identifier(reader, "MQTT-2.2.1-6")
    if version == 5:
        properties = decode_properties(reader, SUBACK)
        return Suback(packet_id, _reason_codes(reader, SUBACK, "MQTT-3.9.3-2"), properties)
    reason_codes = _reason_codes(reader, SUBACK, "MQTT3-3.9.3-2")
    for reason_code in reason_codes:
        if reason_code > 2 and reason_code != 0x80:
            raise Violation(
                f"0x{reason_code:02X} is no return code of an MQTT 3 SUBACK",
                PROTOCOL_ERROR,
                reader.at,
                "MQTT3-3.9.3-2",
            )
    return Suback(packet_id, reason_codes, NO_PROPERTIES)


def _unsuback(reader: FieldReader, version: i64) -> Unsuback:
    packet_id = _packet_identifier(reader, "MQTT-2.2.1-6")
    if version < 5:
        return Unsuback(packet_id, [], NO_PROPERTIES)
    properties = decode_properties(reader, UNSUBACK)
    return Unsuback(packet_id, _reason_codes(reader, UNSUBACK, "MQTT-3.11.3-2"), properties)


def _reason_codes(reader: FieldReader, packet_type: i64, clause: str) -> list[int]:
    """The payload of SUBACK and UNSUBACK: one Reason Code per Topic Filter."""
    if not reader.remaining:
        raise Malformed(
            f"{PACKET_NAMES[packet_type]} without a Reason Code",
            MALFORMED_PACKET,
            reader.at,
            f"MQTT 5.0 3.{packet_type}.3",
        )
    maximum = reader.limits.topic_filters
    if reader.remaining > maximum:
        raise Violation(f"more than {maximum} Reason Codes in one packet", QUOTA_EXCEEDED, reader.at)
    reason_codes: list[int] = []
    while reader.remaining:
        reason_codes.append(_reason_code(reader, packet_type, clause))
    return reason_codes
