"""Reads and writes the Property Length and Properties of MQTT 5.0 (section 2.2.2)."""

from __future__ import annotations

from mypy_extensions import i64

from bridgehead.core.errors import LocalMisuse
from bridgehead.protocols.mqtt.codec.fields import (
    FieldReader,
    put_binary_data,
    put_utf8_string,
    put_variable_byte_integer,
)
from bridgehead.protocols.mqtt.codec.properties import (
    ASSIGNED_CLIENT_IDENTIFIER,
    AUTHENTICATION_DATA,
    AUTHENTICATION_METHOD,
    BYTE,
    CONTENT_TYPE,
    CORRELATION_DATA,
    FOUR_BYTE_INTEGER,
    MAXIMUM_PACKET_SIZE,
    MAXIMUM_QOS,
    MESSAGE_EXPIRY_INTERVAL,
    NO_PROPERTIES,
    PAYLOAD_FORMAT_INDICATOR,
    PROPERTIES,
    REASON_STRING,
    RECEIVE_MAXIMUM,
    REQUEST_PROBLEM_INFORMATION,
    REQUEST_RESPONSE_INFORMATION,
    RESPONSE_INFORMATION,
    RESPONSE_TOPIC,
    RETAIN_AVAILABLE,
    SERVER_KEEP_ALIVE,
    SERVER_REFERENCE,
    SESSION_EXPIRY_INTERVAL,
    SHARED_SUBSCRIPTION_AVAILABLE,
    SUBSCRIPTION_IDENTIFIER,
    SUBSCRIPTION_IDENTIFIER_AVAILABLE,
    TOPIC_ALIAS,
    TOPIC_ALIAS_MAXIMUM,
    TWO_BYTE_INTEGER,
    USER_PROPERTY,
    UTF8_STRING,
    VARIABLE_BYTE_INTEGER,
    WILDCARD_SUBSCRIPTION_AVAILABLE,
    WILL,
    WILL_DELAY_INTERVAL,
    Properties,
)
from bridgehead.protocols.mqtt.codec.reason_codes import (
    MALFORMED_PACKET,
    PACKET_NAMES,
    PROTOCOL_ERROR,
    PUBLISH,
    QUOTA_EXCEEDED,
    TOPIC_ALIAS_INVALID,
)
from bridgehead.wire.errors import Malformed, Violation
from bridgehead.wire.writer import u8


def decode_properties(reader: FieldReader, packet_type: int) -> Properties:
    """The properties at the reader's position, Property Length first; NO_PROPERTIES when the length is 0.

    `packet_type` is WILL for the Will Properties.
    """
    length = reader.variable_byte_integer("Property Length")
    if length == 0:
        return NO_PROPERTIES
    if length > reader.remaining:
        raise reader.cut_short("Properties")
    packet_end = reader.end
    maximum = reader.limits.user_properties
    reader.end = reader.pos + length
    properties = Properties()
    seen: i64 = 0
    while reader.pos < reader.end:
        at = reader.at
        identifier = reader.variable_byte_integer("Property Identifier")
        info = PROPERTIES.get(identifier)
        if info is None:
            raise Malformed(
                f"there is no property with the identifier 0x{identifier:02X}", MALFORMED_PACKET, at, "MQTT 5.0 2.2.2.2"
            )
        if (info.packets >> packet_type) & 1 == 0:
            where = "the Will Properties" if packet_type == WILL else PACKET_NAMES[packet_type]
            raise Malformed(f"{info.name} may not stand in {where}", MALFORMED_PACKET, at, "MQTT 5.0 2.2.2.2")
        bit: i64 = 1
        bit <<= identifier  # mypyc makes `1 << identifier` a shift of C's 32-bit int
        if identifier == USER_PROPERTY:
            if len(properties.user_properties) >= maximum:
                raise Violation(f"more than {maximum} User Properties in one packet", QUOTA_EXCEEDED, at)
            name = reader.utf8_string("User Property name")
            properties.user_properties.append((name, reader.utf8_string("User Property value")))
            continue
        # A Server adds the identifier of each subscription that matched [MQTT-3.3.4-4]; all else stands once.
        if seen & bit and (identifier != SUBSCRIPTION_IDENTIFIER or packet_type != PUBLISH):
            raise Violation(f"{info.name} stands twice", PROTOCOL_ERROR, at, info.clause(packet_type))
        seen |= bit
        data_type = info.data_type
        if data_type == BYTE:
            number = reader.u8(info.name)
            if number > 1:
                raise Violation(
                    f"{info.name} is {number}, neither 0 nor 1", PROTOCOL_ERROR, at, info.clause(packet_type)
                )
            _set_number(properties, identifier, number)
        elif data_type == TWO_BYTE_INTEGER:
            number = reader.u16(info.name)
            if number == 0 and identifier == TOPIC_ALIAS:
                raise Violation("Topic Alias is 0", TOPIC_ALIAS_INVALID, at, "MQTT-3.3.2-8")
            if number == 0 and identifier == RECEIVE_MAXIMUM:
                raise Violation("Receive Maximum is 0", PROTOCOL_ERROR, at, info.clause(packet_type))
            _set_number(properties, identifier, number)
        elif data_type == FOUR_BYTE_INTEGER:
            number = reader.u32(info.name)
            if number == 0 and identifier == MAXIMUM_PACKET_SIZE:
                raise Violation("Maximum Packet Size is 0", PROTOCOL_ERROR, at, info.clause(packet_type))
            _set_number(properties, identifier, number)
        elif data_type == VARIABLE_BYTE_INTEGER:
            number = reader.variable_byte_integer(info.name)
            if number == 0:
                raise Violation("Subscription Identifier is 0", PROTOCOL_ERROR, at, info.clause(packet_type))
            if len(properties.subscription_identifiers) >= maximum:
                raise Violation(f"more than {maximum} Subscription Identifiers in one packet", QUOTA_EXCEEDED, at)
            properties.subscription_identifiers.append(number)
        elif data_type == UTF8_STRING:
            _set_text(properties, identifier, reader.utf8_string(info.name), at)
        else:
            octets = reader.binary_data(info.name)
            if identifier == CORRELATION_DATA:
                properties.correlation_data = octets
            else:
                properties.authentication_data = octets
    if properties.authentication_data is not None and properties.authentication_method is None:
        raise Violation(
            "Authentication Data without an Authentication Method",
            PROTOCOL_ERROR,
            reader.at,
            PROPERTIES[AUTHENTICATION_DATA].clause(packet_type),
        )
    reader.end = packet_end
    return properties


def _set_number(properties: Properties, identifier: i64, number: i64) -> None:
    if identifier == PAYLOAD_FORMAT_INDICATOR:
        properties.payload_format_indicator = number
    elif identifier == MESSAGE_EXPIRY_INTERVAL:
        properties.message_expiry_interval = number
    elif identifier == TOPIC_ALIAS:
        properties.topic_alias = number
    elif identifier == SESSION_EXPIRY_INTERVAL:
        properties.session_expiry_interval = number
    elif identifier == SERVER_KEEP_ALIVE:
        properties.server_keep_alive = number
    elif identifier == REQUEST_PROBLEM_INFORMATION:
        properties.request_problem_information = number
    elif identifier == WILL_DELAY_INTERVAL:
        properties.will_delay_interval = number
    elif identifier == REQUEST_RESPONSE_INFORMATION:
        properties.request_response_information = number
    elif identifier == RECEIVE_MAXIMUM:
        properties.receive_maximum = number
    elif identifier == TOPIC_ALIAS_MAXIMUM:
        properties.topic_alias_maximum = number
    elif identifier == MAXIMUM_QOS:
        properties.maximum_qos = number
    elif identifier == RETAIN_AVAILABLE:
        properties.retain_available = number
    elif identifier == MAXIMUM_PACKET_SIZE:
        properties.maximum_packet_size = number
    elif identifier == WILDCARD_SUBSCRIPTION_AVAILABLE:
        properties.wildcard_subscription_available = number
    elif identifier == SUBSCRIPTION_IDENTIFIER_AVAILABLE:
        properties.subscription_identifier_available = number
    else:
        properties.shared_subscription_available = number


def _set_text(properties: Properties, identifier: i64, text: str, at: i64) -> None:
    if identifier == CONTENT_TYPE:
        properties.content_type = text
    elif identifier == RESPONSE_TOPIC:
        if "+" in text or "#" in text:
            raise Violation("Response Topic contains a wildcard", PROTOCOL_ERROR, at, "MQTT-3.3.2-14")
        properties.response_topic = text
    elif identifier == ASSIGNED_CLIENT_IDENTIFIER:
        properties.assigned_client_identifier = text
    elif identifier == AUTHENTICATION_METHOD:
        properties.authentication_method = text
    elif identifier == RESPONSE_INFORMATION:
        properties.response_information = text
    elif identifier == SERVER_REFERENCE:
        properties.server_reference = text
    else:
        properties.reason_string = text


def encode_properties(properties: Properties, packet_type: int) -> bytes:
    """Property Length and properties, in the order of their identifiers.

    Raises LocalMisuse for a property that `packet_type` may not carry, or a value that the wire cannot hold.
    """
    if properties is NO_PROPERTIES:
        return b"\x00"
    parts: list[bytes] = []
    allowed: i64 = 1 << packet_type
    p = properties
    _number(parts, PAYLOAD_FORMAT_INDICATOR, p.payload_format_indicator, allowed)
    _number(parts, MESSAGE_EXPIRY_INTERVAL, p.message_expiry_interval, allowed)
    _text(parts, CONTENT_TYPE, p.content_type, allowed)
    _text(parts, RESPONSE_TOPIC, p.response_topic, allowed)
    _binary(parts, CORRELATION_DATA, p.correlation_data, allowed)
    for subscription_identifier in p.subscription_identifiers:
        _number(parts, SUBSCRIPTION_IDENTIFIER, subscription_identifier, allowed)
    _number(parts, SESSION_EXPIRY_INTERVAL, p.session_expiry_interval, allowed)
    _text(parts, ASSIGNED_CLIENT_IDENTIFIER, p.assigned_client_identifier, allowed)
    _number(parts, SERVER_KEEP_ALIVE, p.server_keep_alive, allowed)
    _text(parts, AUTHENTICATION_METHOD, p.authentication_method, allowed)
    _binary(parts, AUTHENTICATION_DATA, p.authentication_data, allowed)
    _number(parts, REQUEST_PROBLEM_INFORMATION, p.request_problem_information, allowed)
    _number(parts, WILL_DELAY_INTERVAL, p.will_delay_interval, allowed)
    _number(parts, REQUEST_RESPONSE_INFORMATION, p.request_response_information, allowed)
    _text(parts, RESPONSE_INFORMATION, p.response_information, allowed)
    _text(parts, SERVER_REFERENCE, p.server_reference, allowed)
    _text(parts, REASON_STRING, p.reason_string, allowed)
    _number(parts, RECEIVE_MAXIMUM, p.receive_maximum, allowed)
    _number(parts, TOPIC_ALIAS_MAXIMUM, p.topic_alias_maximum, allowed)
    _number(parts, TOPIC_ALIAS, p.topic_alias, allowed)
    _number(parts, MAXIMUM_QOS, p.maximum_qos, allowed)
    _number(parts, RETAIN_AVAILABLE, p.retain_available, allowed)
    for name, value in p.user_properties:
        parts.append(b"\x26")
        parts.append(put_utf8_string(name))
        parts.append(put_utf8_string(value))
    _number(parts, MAXIMUM_PACKET_SIZE, p.maximum_packet_size, allowed)
    _number(parts, WILDCARD_SUBSCRIPTION_AVAILABLE, p.wildcard_subscription_available, allowed)
    _number(parts, SUBSCRIPTION_IDENTIFIER_AVAILABLE, p.subscription_identifier_available, allowed)
    _number(parts, SHARED_SUBSCRIPTION_AVAILABLE, p.shared_subscription_available, allowed)
    body = b"".join(parts)
    return put_variable_byte_integer(len(body)) + body


def _check(identifier: i64, allowed: i64) -> int:
    """The property's data type, after the check that the packet may carry it."""
    info = PROPERTIES[identifier]
    if info.packets & allowed == 0:
        raise LocalMisuse(f"{info.name} may not stand in this packet")
    return info.data_type


def _number(parts: list[bytes], identifier: i64, value: int | None, allowed: i64) -> None:
    if value is None:
        return
    data_type = _check(identifier, allowed)
    parts.append(u8(identifier))
    if data_type == VARIABLE_BYTE_INTEGER:
        parts.append(put_variable_byte_integer(value))
        return
    size = 1 if data_type == BYTE else 2 if data_type == TWO_BYTE_INTEGER else 4
    if value < 0 or value >> (8 * size):
        raise LocalMisuse(f"{PROPERTIES[identifier].name} cannot be {value}")
    parts.append(value.to_bytes(size, "big"))


def _text(parts: list[bytes], identifier: i64, value: str | None, allowed: i64) -> None:
    if value is None:
        return
    _check(identifier, allowed)
    parts.append(u8(identifier))
    parts.append(put_utf8_string(value))


def _binary(parts: list[bytes], identifier: i64, value: bytes | None, allowed: i64) -> None:
    if value is None:
        return
    _check(identifier, allowed)
    parts.append(u8(identifier))
    parts.append(put_binary_data(value))
