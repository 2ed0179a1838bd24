"""Decodes CONNECT (MQTT 5.0 and 3.1.1 section 3.1; MQTT 3.1 section 3.1)."""

from __future__ import annotations

from mypy_extensions import i64

from bridgehead.protocols.mqtt.codec.fields import FieldReader
from bridgehead.protocols.mqtt.codec.packets import Connect, Will
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES, WILL
from bridgehead.protocols.mqtt.codec.property_codec import decode_properties
from bridgehead.protocols.mqtt.codec.reason_codes import (
    CLIENT_IDENTIFIER_NOT_VALID,
    CONNECT,
    MALFORMED_PACKET,
    TOPIC_NAME_INVALID,
    UNSUPPORTED_PROTOCOL_VERSION,
)
from bridgehead.wire.errors import Malformed, Violation


class UnsupportedProtocolVersion(Violation):
    """The CONNECT asks for a protocol that is none of MQTT 3.1, 3.1.1 and 5.0.

    `answer_version` says how the peer can be told: 4 for levels below 5, which understand return code 0x01
    [MQTT3-3.1.2-2], 5 above, and 0 (not at all) where the Protocol Name is not MQTT's.
    """

    def __init__(self, text: str, at: int, clause: str, answer_version: int) -> None:
        super().__init__(text, UNSUPPORTED_PROTOCOL_VERSION, at, clause)
        self.answer_version = answer_version


def decode_protocol_version(reader: FieldReader) -> int:
    """Protocol Name and Protocol Version: 3 for MQTT 3.1, 4 for 3.1.1, 5 for 5.0."""
    at = reader.at
    name = reader.binary_data("Protocol Name")
    if name != b"MQTT" and name != b"MQIsdp":
        raise UnsupportedProtocolVersion("the Protocol Name is not MQTT", at, "MQTT-3.1.2-1", 0)
    at = reader.at
    level = reader.u8("Protocol Version")
    if name == b"MQIsdp":
        if level == 3:
            return 3
    elif level == 4 or level == 5:
        return 4 if level == 4 else 5
    raise UnsupportedProtocolVersion(
        f"Protocol Version {level} with the name {name.decode('ascii')} is not supported",
        at,
        "MQTT-3.1.2-2",
        # A bridge of Mosquitto sets the highest bit of the level.
        4 if level & 0x7F < 5 else 5,
    )


def decode_connect(reader: FieldReader, version: int) -> Connect:
    """What follows the Protocol Version."""
    at = reader.at
    flags = reader.u8("Connect Flags")
    has_will = flags & 0x04 != 0
    will_qos = flags >> 3 & 3
    has_password = flags & 0x40 != 0
    has_user_name = flags & 0x80 != 0
    if flags & 0x01:
        raise Malformed("the reserved Connect Flag is set", MALFORMED_PACKET, at, "MQTT-3.1.2-3")
    if not has_will and flags & 0x38:
        clause = "MQTT-3.1.2-11" if will_qos else "MQTT-3.1.2-13"
        raise Malformed("Will QoS or Will Retain is set without the Will Flag", MALFORMED_PACKET, at, clause)
    if will_qos == 3:
        raise Malformed("Will QoS is 3", MALFORMED_PACKET, at, "MQTT-3.1.2-12")
    if has_password and not has_user_name and version < 5:
        raise Malformed("the Password Flag is set without the User Name Flag", MALFORMED_PACKET, at, "MQTT3-3.1.2-22")
    clean_start = flags & 0x02 != 0
    keep_alive = reader.u16("Keep Alive")
    properties = decode_properties(reader, CONNECT) if version == 5 else NO_PROPERTIES
    client_id = _client_identifier(reader, version, clean_start)
    will: Will | None = None
    if has_will:
        will = _will(reader, version, will_qos, flags & 0x20 != 0)
    user_name: str | None = None
    password: bytes | None = None
    # MQTT 3.1, 3.1: the Remaining Length takes precedence over the flags, the strings may be missing.
    if has_user_name and (version > 3 or reader.remaining > 0):
        user_name = reader.utf8_string("User Name")
    if has_password and (version > 3 or reader.remaining > 0):
        password = reader.binary_data("Password")
    if reader.remaining:
        raise Malformed("octets follow the last field of the CONNECT", MALFORMED_PACKET, reader.at, "MQTT-3.1.3-1")
    return Connect(version, clean_start, keep_alive, client_id, will, user_name, password, properties)


def _client_identifier(reader: FieldReader, version: int, clean_start: bool) -> str:
    at = reader.at
    client_id = reader.utf8_string("Client Identifier")
    if version == 3 and not 1 <= len(client_id) <= 23:
        raise Violation(
            f"the Client Identifier has {len(client_id)} characters, MQTT 3.1 wants 1 to 23",
            CLIENT_IDENTIFIER_NOT_VALID,
            at,
            "MQTT 3.1 3.1",
        )
    if version == 4 and not client_id and not clean_start:
        raise Violation(
            "a Client Identifier of zero length needs Clean Session",
            CLIENT_IDENTIFIER_NOT_VALID,
            at,
            "MQTT3-3.1.3-8",
        )
    return client_id


def _will(reader: FieldReader, version: int, qos: i64, retain: bool) -> Will:
    properties = decode_properties(reader, WILL) if version == 5 else NO_PROPERTIES
    at = reader.at
    topic = reader.utf8_string("Will Topic")
    if not topic:
        raise Violation("the Will Topic is empty", TOPIC_NAME_INVALID, at, "MQTT-4.7.3-1")
    if "+" in topic or "#" in topic:
        raise Violation("the Will Topic contains a wildcard", TOPIC_NAME_INVALID, at, "MQTT-4.7.0-1")
    return Will(topic, reader.binary_data("Will Payload"), qos, retain, properties)
