"""Packets that break the standard, with the Reason Code that MQTT 5.0 has for the fault and the broken clause."""

# A row a line, however long, is what makes this a table.
# ruff: noqa: E501
# fmt: off

from __future__ import annotations

from dataclasses import dataclass

from tests.mqtt.codec.vectors import ALL, CLIENT, MQTT_3, SERVER

MALFORMED = 0x81
PROTOCOL_ERROR = 0x82
UNSUPPORTED = 0x84
CLIENT_ID = 0x85
TOPIC_NAME = 0x90
TOPIC_ALIAS = 0x94
TOO_LARGE = 0x95


@dataclass(frozen=True)
class Fault:
    """`clause` is what the error cites; `proves` are further normative statements that the refusal shows."""

    name: str
    versions: tuple[int, ...]
    from_server: bool
    octets: bytes
    code: int
    clause: str
    proves: tuple[str, ...] = ()


F = Fault
V5 = (5,)
V4 = (4,)


def packet(first: int, body: bytes) -> bytes:
    """With a Remaining Length of one octet."""
    assert len(body) < 128
    return bytes([first, len(body)]) + body


def connect(flags: int, rest: bytes, level: int = 5) -> bytes:
    """A CONNECT with Keep Alive 60; `rest` begins behind the Keep Alive."""
    name = b"\x00\x06MQIsdp" if level == 3 else b"\x00\x04MQTT"
    return packet(0x10, name + bytes([level, flags]) + b"\x00\x3c" + rest)


FIXED_HEADER = [
    F("packet type 0", ALL, CLIENT, b"\x00\x00", MALFORMED, "MQTT 5.0 2.1.2"),
    F("AUTH before 5.0", MQTT_3, CLIENT, b"\xf0\x00", MALFORMED, "MQTT 5.0 2.1.2"),
    F("AUTH before 5.0, from a server", MQTT_3, SERVER, b"\xf0\x00", MALFORMED, "MQTT 5.0 2.1.2"),
    F("flags of CONNECT", ALL, CLIENT, b"\x12\x00", MALFORMED, "MQTT-2.1.3-1", ("MQTT-2.1.3-1", "MQTT3-2.2.2-1", "MQTT3-2.2.2-2")),
    F("flags of CONNACK", ALL, SERVER, b"\x21\x02\x00\x00", MALFORMED, "MQTT-2.1.3-1"),
    F("flags of PUBACK", ALL, CLIENT, b"\x42\x02\x00\x01", MALFORMED, "MQTT-2.1.3-1"),
    F("flags of PUBREC", ALL, CLIENT, b"\x51\x02\x00\x01", MALFORMED, "MQTT-2.1.3-1"),
    F("flags of PUBREL", ALL, CLIENT, b"\x60\x02\x00\x01", MALFORMED, "MQTT-3.6.1-1", ("MQTT-3.6.1-1", "MQTT3-3.6.1-1")),
    F("flags of PUBREL, DUP too", (4, 5), CLIENT, b"\x6a\x02\x00\x01", MALFORMED, "MQTT-3.6.1-1"),
    F("flags of PUBCOMP", ALL, SERVER, b"\x78\x02\x00\x01", MALFORMED, "MQTT-2.1.3-1"),
    F("flags of SUBSCRIBE", ALL, CLIENT, b"\x80\x06\x00\x01\x00\x01a\x00", MALFORMED, "MQTT-3.8.1-1", ("MQTT-3.8.1-1", "MQTT3-3.8.1-1")),
    F("flags of SUBACK", ALL, SERVER, b"\x92\x03\x00\x01\x00", MALFORMED, "MQTT-2.1.3-1"),
    F("flags of UNSUBSCRIBE", ALL, CLIENT, b"\xa3\x05\x00\x01\x00\x01a", MALFORMED, "MQTT-3.10.1-1", ("MQTT-3.10.1-1", "MQTT3-3.10.1-1")),
    F("flags of UNSUBACK", ALL, SERVER, b"\xb2\x02\x00\x01", MALFORMED, "MQTT-2.1.3-1"),
    F("flags of PINGREQ", ALL, CLIENT, b"\xc1\x00", MALFORMED, "MQTT-2.1.3-1"),
    F("flags of PINGRESP", ALL, SERVER, b"\xd8\x00", MALFORMED, "MQTT-2.1.3-1"),
    F("flags of DISCONNECT", ALL, CLIENT, b"\xe1\x00", MALFORMED, "MQTT-3.14.1-1", ("MQTT-3.14.1-1", "MQTT3-3.14.1-1")),
    F("flags of AUTH", V5, CLIENT, b"\xf2\x00", MALFORMED, "MQTT-3.15.1-1", ("MQTT-3.15.1-1",)),
    F("Remaining Length not in its shortest form", ALL, CLIENT, b"\xc0\x80\x00", MALFORMED, "MQTT-1.5.5-1", ("MQTT-1.5.5-1",)),
    F("Remaining Length of PUBLISH not in its shortest form", ALL, CLIENT, b"\x30\x85\x80\x00\x00\x03a/b", MALFORMED, "MQTT-1.5.5-1", ("MQTT-1.5.5-1",)),
    F("Remaining Length of five octets", ALL, CLIENT, b"\x30\x80\x80\x80\x80\x01", MALFORMED, "MQTT 5.0 2.1.4"),
    F("a CONNACK of a Client", ALL, CLIENT, b"\x20\x02\x00\x00", PROTOCOL_ERROR, "MQTT 5.0 2.1.2"),
    F("a SUBACK of a Client", ALL, CLIENT, b"\x90\x03\x00\x01\x00", PROTOCOL_ERROR, "MQTT 5.0 2.1.2"),
    F("an UNSUBACK of a Client", ALL, CLIENT, b"\xb0\x02\x00\x01", PROTOCOL_ERROR, "MQTT 5.0 2.1.2"),
    F("a PINGRESP of a Client", ALL, CLIENT, b"\xd0\x00", PROTOCOL_ERROR, "MQTT 5.0 2.1.2"),
    F("a CONNECT of a Server", ALL, SERVER, b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04dev1", PROTOCOL_ERROR, "MQTT 5.0 2.1.2"),
    F("a SUBSCRIBE of a Server", ALL, SERVER, b"\x82\x06\x00\x01\x00\x01a\x00", PROTOCOL_ERROR, "MQTT 5.0 2.1.2"),
    F("an UNSUBSCRIBE of a Server", ALL, SERVER, b"\xa2\x05\x00\x01\x00\x01a", PROTOCOL_ERROR, "MQTT 5.0 2.1.2"),
    F("a PINGREQ of a Server", ALL, SERVER, b"\xc0\x00", PROTOCOL_ERROR, "MQTT 5.0 2.1.2"),
    F("a DISCONNECT of an MQTT 3 Server", MQTT_3, SERVER, b"\xe0\x00", PROTOCOL_ERROR, "MQTT 5.0 2.1.2"),
    F("a PINGREQ with a body", ALL, CLIENT, b"\xc0\x01\x00", MALFORMED, "MQTT 5.0 2.1.4"),
    F("a DISCONNECT of MQTT 3 with a body", MQTT_3, CLIENT, b"\xe0\x01\x00", MALFORMED, "MQTT 5.0 2.1.4"),
    F("a PUBACK of MQTT 3 with a third octet", MQTT_3, CLIENT, b"\x40\x03\x00\x01\x00", MALFORMED, "MQTT 5.0 2.1.4"),
    F("a PUBACK of one octet", ALL, CLIENT, b"\x40\x01\x01", MALFORMED, ""),
]

# The Decoder of these has seen no CONNECT yet.
CONNECT = [
    F("another protocol's name", ALL, CLIENT, b"\x10\x0e\x00\x04COAP\x05\x02\x00\x3c\x00\x00\x01a", UNSUPPORTED, "MQTT-3.1.2-1", ("MQTT-3.1.2-1", "MQTT3-3.1.2-1")),
    F("the protocol name in small letters", ALL, CLIENT, b"\x10\x0d\x00\x04mqtt\x04\x02\x00\x3c\x00\x01a", UNSUPPORTED, "MQTT-3.1.2-1"),
    F("level 6", V5, CLIENT, connect(0x02, b"\x00\x00\x01a", 6), UNSUPPORTED, "MQTT-3.1.2-2", ("MQTT-3.1.2-2",)),
    F("level 2", V4, CLIENT, b"\x10\x0d\x00\x04MQTT\x02\x02\x00\x3c\x00\x01a", UNSUPPORTED, "MQTT-3.1.2-2", ("MQTT3-3.1.2-2",)),
    F("level 3 with the name MQTT", V4, CLIENT, b"\x10\x0d\x00\x04MQTT\x03\x02\x00\x3c\x00\x01a", UNSUPPORTED, "MQTT-3.1.2-2"),
    F("level 4 with the name MQIsdp", V4, CLIENT, b"\x10\x0f\x00\x06MQIsdp\x04\x02\x00\x3c\x00\x01a", UNSUPPORTED, "MQTT-3.1.2-2"),
    F("reserved connect flag", V5, CLIENT, connect(0x03, b"\x00\x00\x01a"), MALFORMED, "MQTT-3.1.2-3", ("MQTT-3.1.2-3",)),
    F("reserved connect flag, 3.1.1", V4, CLIENT, connect(0x03, b"\x00\x01a", 4), MALFORMED, "MQTT-3.1.2-3", ("MQTT3-3.1.2-3",)),
    F("will QoS without will", V5, CLIENT, connect(0x0A, b"\x00\x00\x01a"), MALFORMED, "MQTT-3.1.2-11", ("MQTT-3.1.2-11",)),
    F("will QoS without will, 3.1.1", V4, CLIENT, connect(0x0A, b"\x00\x01a", 4), MALFORMED, "MQTT-3.1.2-11", ("MQTT3-3.1.2-11", "MQTT3-3.1.2-13")),
    F("will retain without will", V5, CLIENT, connect(0x22, b"\x00\x00\x01a"), MALFORMED, "MQTT-3.1.2-13", ("MQTT-3.1.2-13",)),
    F("will retain without will, 3.1.1", V4, CLIENT, connect(0x22, b"\x00\x01a", 4), MALFORMED, "MQTT-3.1.2-13", ("MQTT3-3.1.2-15",)),
    F("will QoS 3", V5, CLIENT, connect(0x1E, b"\x00\x00\x01a\x00\x00\x01t\x00\x00"), MALFORMED, "MQTT-3.1.2-12", ("MQTT-3.1.2-12",)),
    F("will QoS 3, 3.1.1", V4, CLIENT, connect(0x1E, b"\x00\x01a\x00\x01t\x00\x00", 4), MALFORMED, "MQTT-3.1.2-12", ("MQTT3-3.1.2-14",)),
    F("password without user name, 3.1.1", V4, CLIENT, connect(0x42, b"\x00\x01a\x00\x01p", 4), MALFORMED, "MQTT3-3.1.2-22", ("MQTT3-3.1.2-22",)),
    F("password without user name, 3.1", (3,), CLIENT, connect(0x42, b"\x00\x01a\x00\x01p", 3), MALFORMED, "MQTT3-3.1.2-22"),
    F("no client identifier at all", V5, CLIENT, connect(0x02, b"\x00"), MALFORMED, "", ("MQTT-3.1.3-3", "MQTT-3.1.4-1")),
    F("no client identifier at all, 3.1.1", V4, CLIENT, connect(0x02, b"", 4), MALFORMED, "", ("MQTT3-3.1.3-3", "MQTT3-3.1.4-1")),
    F("empty client identifier to resume with, 3.1.1", V4, CLIENT, connect(0x00, b"\x00\x00", 4), CLIENT_ID, "MQTT3-3.1.3-8", ("MQTT3-3.1.3-7", "MQTT3-3.1.3-8")),
    F("empty client identifier, 3.1", (3,), CLIENT, connect(0x02, b"\x00\x00", 3), CLIENT_ID, "MQTT 3.1 3.1"),
    F("client identifier of 24 characters, 3.1", (3,), CLIENT, connect(0x02, b"\x00\x18" + b"a" * 24, 3), CLIENT_ID, "MQTT 3.1 3.1"),
    F("client identifier is not UTF-8", V5, CLIENT, connect(0x02, b"\x00\x00\x01\xff"), MALFORMED, "MQTT-1.5.4-1", ("MQTT-3.1.3-4",)),
    F("client identifier is not UTF-8, 3.1.1", V4, CLIENT, connect(0x02, b"\x00\x01\xff", 4), MALFORMED, "MQTT-1.5.4-1", ("MQTT3-3.1.3-4",)),
    F("will topic is not UTF-8", V5, CLIENT, connect(0x06, b"\x00\x00\x01a\x00\x00\x01\x80\x00\x00"), MALFORMED, "MQTT-1.5.4-1", ("MQTT-3.1.3-11",)),
    F("will topic is not UTF-8, 3.1.1", V4, CLIENT, connect(0x06, b"\x00\x01a\x00\x01\x80\x00\x00", 4), MALFORMED, "MQTT-1.5.4-1", ("MQTT3-3.1.3-10",)),
    F("user name is not UTF-8", V5, CLIENT, connect(0x82, b"\x00\x00\x01a\x00\x02\xc0\x80"), MALFORMED, "MQTT-1.5.4-1", ("MQTT-3.1.3-12",)),
    F("user name is not UTF-8, 3.1.1", V4, CLIENT, connect(0x82, b"\x00\x01a\x00\x02\xc0\x80", 4), MALFORMED, "MQTT-1.5.4-1", ("MQTT3-3.1.3-11",)),
    F("empty will topic", V5, CLIENT, connect(0x06, b"\x00\x00\x01a\x00\x00\x00\x00\x00"), TOPIC_NAME, "MQTT-4.7.3-1"),
    F("wildcard in the will topic", V5, CLIENT, connect(0x06, b"\x00\x00\x01a\x00\x00\x03a/#\x00\x00"), TOPIC_NAME, "MQTT-4.7.0-1", ("MQTT-4.7.0-1",)),
    F("will flag, no will", V5, CLIENT, connect(0x06, b"\x00\x00\x01a"), MALFORMED, "", ("MQTT-3.1.2-9",)),
    F("will flag, no will, 3.1.1", V4, CLIENT, connect(0x06, b"\x00\x01a", 4), MALFORMED, "", ("MQTT3-3.1.2-9",)),
    F("user name flag, no user name", V5, CLIENT, connect(0x82, b"\x00\x00\x01a"), MALFORMED, "", ("MQTT-3.1.2-17",)),
    F("user name flag, no user name, 3.1.1", V4, CLIENT, connect(0x82, b"\x00\x01a", 4), MALFORMED, "", ("MQTT3-3.1.2-19",)),
    F("password flag, no password", V5, CLIENT, connect(0x42, b"\x00\x00\x01a"), MALFORMED, "", ("MQTT-3.1.2-19",)),
    F("password flag, no password, 3.1.1", V4, CLIENT, connect(0xC2, b"\x00\x01a\x00\x01u", 4), MALFORMED, "", ("MQTT3-3.1.2-21",)),
    F("a user name without its flag", V5, CLIENT, connect(0x02, b"\x00\x00\x01a\x00\x01u"), MALFORMED, "MQTT-3.1.3-1", ("MQTT-3.1.2-16", "MQTT-3.1.3-1")),
    F("a user name without its flag, 3.1.1", V4, CLIENT, connect(0x02, b"\x00\x01a\x00\x01u", 4), MALFORMED, "MQTT-3.1.3-1", ("MQTT3-3.1.2-18", "MQTT3-3.1.3-1")),
    F("a password without its flag", V5, CLIENT, connect(0x82, b"\x00\x00\x01a\x00\x01u\x00\x01p"), MALFORMED, "MQTT-3.1.3-1", ("MQTT-3.1.2-18",)),
    F("a password without its flag, 3.1.1", V4, CLIENT, connect(0x82, b"\x00\x01a\x00\x01u\x00\x01p", 4), MALFORMED, "MQTT-3.1.3-1", ("MQTT3-3.1.2-20",)),
    F("authentication data without a method", V5, CLIENT, connect(0x02, b"\x04\x16\x00\x01d\x00\x01a"), PROTOCOL_ERROR, "MQTT 5.0 3.1.2.11.10"),
    F("nothing but a fixed header", V5, CLIENT, b"\x10\x00", MALFORMED, ""),
]

CONNACK = [
    F("reserved flags", (4, 5), SERVER, b"\x20\x03\x02\x00\x00", MALFORMED, "MQTT-3.2.2-1", ("MQTT-3.2.2-1",)),
    F("session present in a refusal", V5, SERVER, b"\x20\x03\x01\x87\x00", PROTOCOL_ERROR, "MQTT-3.2.2-6", ("MQTT-3.2.2-6",)),
    F("session present in a refusal, 3.1.1", V4, SERVER, b"\x20\x02\x01\x05", PROTOCOL_ERROR, "MQTT-3.2.2-6", ("MQTT3-3.2.2-4",)),
    F("return code 6", MQTT_3, SERVER, b"\x20\x02\x00\x06", PROTOCOL_ERROR, "MQTT 3.1.1 3.2.2.3"),
    F("a reason code of another packet", V5, SERVER, b"\x20\x03\x00\x10\x00", PROTOCOL_ERROR, "MQTT-3.2.2-8", ("MQTT-3.2.2-8",)),
    F("no property length", V5, SERVER, b"\x20\x02\x00\x00", MALFORMED, ""),
]

PUBLISH = [
    F("QoS 3", ALL, CLIENT, b"\x36\x07\x00\x03a/b\x00\x01", MALFORMED, "MQTT-3.3.1-4", ("MQTT-3.3.1-4", "MQTT3-3.3.1-4")),
    F("DUP with QoS 0", ALL, CLIENT, b"\x38\x06\x00\x03a/b\x00", MALFORMED, "MQTT-3.3.1-2", ("MQTT-3.3.1-2", "MQTT3-3.3.1-2")),
    F("packet identifier 0", ALL, CLIENT, b"\x32\x08\x00\x03a/b\x00\x00\x00", PROTOCOL_ERROR, "MQTT-2.2.1-3", ("MQTT-2.2.1-3", "MQTT3-2.3.1-1")),
    F("packet identifier 0 of a server", ALL, SERVER, b"\x32\x08\x00\x03a/b\x00\x00\x00", PROTOCOL_ERROR, "MQTT-2.2.1-4", ("MQTT-2.2.1-4", "MQTT3-2.3.1-4")),
    F("no packet identifier", ALL, CLIENT, b"\x32\x06\x00\x03a/b\x01", MALFORMED, "MQTT-2.2.1-3"),
    F("a topic name with +", ALL, CLIENT, b"\x30\x06\x00\x03a/+\x00", TOPIC_NAME, "MQTT-3.3.2-2", ("MQTT-3.3.2-2", "MQTT3-3.3.2-2", "MQTT3-4.7.1-1")),
    F("a topic name with #", ALL, SERVER, b"\x30\x05\x00\x02a#\x00", TOPIC_NAME, "MQTT-3.3.2-2", ("MQTT-3.3.2-2", "MQTT3-3.3.2-2")),
    F("an empty topic name", MQTT_3, CLIENT, b"\x30\x03\x00\x00!", TOPIC_NAME, "MQTT-4.7.3-1", ("MQTT3-4.7.3-1",)),
    F("an empty topic name and no topic alias", V5, CLIENT, b"\x30\x04\x00\x00\x00!", PROTOCOL_ERROR, "MQTT 5.0 3.3.2.1", ("MQTT-4.7.3-1",)),
    F("a topic name beyond the packet", ALL, CLIENT, b"\x30\x04\x00\x03ab", MALFORMED, "MQTT-3.3.2-1", ("MQTT-3.3.2-1", "MQTT3-3.3.2-1")),
    F("half a topic name's length", ALL, CLIENT, b"\x30\x01\x00", MALFORMED, "MQTT-3.3.2-1"),
    F("nothing", ALL, CLIENT, b"\x30\x00", MALFORMED, "MQTT-3.3.2-1"),
    F("an over-long form of /", ALL, CLIENT, b"\x30\x05\x00\x02\xc0\xaf\x00", MALFORMED, "MQTT-1.5.4-1", ("MQTT-1.5.4-1", "MQTT3-1.5.3-1")),
    F("a surrogate", ALL, CLIENT, b"\x30\x06\x00\x03\xed\xa0\x80\x00", MALFORMED, "MQTT-1.5.4-1", ("MQTT-1.5.4-1", "MQTT3-1.5.3-1")),
    F("a surrogate pair", ALL, CLIENT, b"\x30\x09\x00\x06\xed\xa0\xbd\xed\xb8\x80\x00", MALFORMED, "MQTT-1.5.4-1"),
    F("half a character", ALL, CLIENT, b"\x30\x05\x00\x02a\xc3\x00", MALFORMED, "MQTT-1.5.4-1"),
    F("beyond U+10FFFF", ALL, CLIENT, b"\x30\x07\x00\x04\xf4\x90\x80\x80\x00", MALFORMED, "MQTT-1.5.4-1"),
    F("U+0000 in the topic name", ALL, CLIENT, b"\x30\x06\x00\x03a\x00b\x00", MALFORMED, "MQTT-1.5.4-2", ("MQTT-1.5.4-2", "MQTT-4.7.3-2", "MQTT3-1.5.3-2", "MQTT3-4.7.3-2")),
    F("no property length", V5, CLIENT, b"\x30\x05\x00\x03a/b", MALFORMED, "", ("MQTT-2.2.2-1",)),
    F("properties beyond the packet", V5, CLIENT, b"\x30\x07\x00\x03a/b\x02\x01", MALFORMED, ""),
    F("a property length not in its shortest form", V5, CLIENT, b"\x30\x07\x00\x03a/b\x80\x00", MALFORMED, "MQTT-1.5.5-1", ("MQTT-1.5.5-1",)),
    F("topic alias 0", V5, CLIENT, b"\x30\x09\x00\x03a/b\x03\x23\x00\x00", TOPIC_ALIAS, "MQTT-3.3.2-8", ("MQTT-3.3.2-8",)),
    F("a subscription identifier of a client", V5, CLIENT, b"\x30\x08\x00\x03a/b\x02\x0b\x01", PROTOCOL_ERROR, "MQTT-3.3.4-6", ("MQTT-3.3.4-6",)),
    F("subscription identifier 0", V5, SERVER, b"\x30\x08\x00\x03a/b\x02\x0b\x00", PROTOCOL_ERROR, "MQTT 5.0 3.3.2.3.8"),
    F("a wildcard in the response topic", V5, CLIENT, b"\x30\x0a\x00\x03a/b\x04\x08\x00\x01#", PROTOCOL_ERROR, "MQTT-3.3.2-14", ("MQTT-3.3.2-14",)),
    F("a response topic that is not UTF-8", V5, CLIENT, b"\x30\x0a\x00\x03a/b\x04\x08\x00\x01\xfe", MALFORMED, "MQTT-1.5.4-1", ("MQTT-3.3.2-13",)),
    F("a content type that is not UTF-8", V5, CLIENT, b"\x30\x0a\x00\x03a/b\x04\x03\x00\x01\xfe", MALFORMED, "MQTT-1.5.4-1", ("MQTT-3.3.2-19",)),
    F("U+0000 in a user property's name", V5, CLIENT, b"\x30\x0d\x00\x03a/b\x07\x26\x00\x01\x00\x00\x01b", MALFORMED, "MQTT-1.5.4-2", ("MQTT-1.5.7-1",)),
    F("half a character in a user property's value", V5, CLIENT, b"\x30\x0d\x00\x03a/b\x07\x26\x00\x01a\x00\x01\xc3", MALFORMED, "MQTT-1.5.4-1", ("MQTT-1.5.7-1",)),
    F("a property that does not exist", V5, CLIENT, b"\x30\x08\x00\x03a/b\x02\x7e\x01", MALFORMED, "MQTT 5.0 2.2.2.2"),
    F("a property of two octets that does not exist", V5, CLIENT, b"\x30\x09\x00\x03a/b\x03\x81\x01\x01", MALFORMED, "MQTT 5.0 2.2.2.2"),
    F("a property that is cut short by the property length", V5, CLIENT, b"\x30\x0b\x00\x03a/b\x03\x02\x00\x00\x00\x3c", MALFORMED, ""),
    F("a property twice", V5, CLIENT, b"\x30\x0a\x00\x03a/b\x04\x01\x01\x01\x01", PROTOCOL_ERROR, "MQTT 5.0 3.3.2.3.2"),
    F("payload format 2", V5, CLIENT, b"\x30\x08\x00\x03a/b\x02\x01\x02", PROTOCOL_ERROR, "MQTT 5.0 3.3.2.3.2"),
]

ACKNOWLEDGEMENTS = [
    F("packet identifier 0 in PUBACK", ALL, CLIENT, b"\x40\x02\x00\x00", PROTOCOL_ERROR, "MQTT-2.2.1-5"),
    F("packet identifier 0 in PUBREL with a reason code", V5, CLIENT, b"\x62\x03\x00\x00\x00", PROTOCOL_ERROR, "MQTT-2.2.1-5"),
    F("a reason code of another packet in PUBACK", V5, CLIENT, b"\x40\x03\x00\x01\x92", PROTOCOL_ERROR, "MQTT-3.4.2-1", ("MQTT-3.4.2-1",)),
    F("a reason code of another packet in PUBREC", V5, CLIENT, b"\x50\x03\x00\x01\x92", PROTOCOL_ERROR, "MQTT-3.5.2-1", ("MQTT-3.5.2-1",)),
    F("a reason code of another packet in PUBREL", V5, CLIENT, b"\x62\x03\x00\x01\x10", PROTOCOL_ERROR, "MQTT-3.6.2-1", ("MQTT-3.6.2-1",)),
    F("a reason code of another packet in PUBCOMP", V5, CLIENT, b"\x70\x03\x00\x01\x80", PROTOCOL_ERROR, "MQTT-3.7.2-1", ("MQTT-3.7.2-1",)),
    F("octets behind the properties of PUBACK", V5, CLIENT, b"\x40\x05\x00\x01\x00\x00\x00", MALFORMED, "MQTT 5.0 2.1.4"),
    F("a reason string twice", V5, CLIENT, b"\x40\x0c\x00\x01\x00\x08\x1f\x00\x01a\x1f\x00\x01b", PROTOCOL_ERROR, "MQTT 5.0 3.4.2.2.2"),
]

SUBSCRIPTIONS = [
    F("SUBSCRIBE without a filter", V5, CLIENT, b"\x82\x03\x00\x01\x00", PROTOCOL_ERROR, "MQTT-3.8.3-2", ("MQTT-3.8.3-2",)),
    F("SUBSCRIBE without a filter, 3.1.1", V4, CLIENT, b"\x82\x02\x00\x01", PROTOCOL_ERROR, "MQTT-3.8.3-2", ("MQTT3-3.8.3-3",)),
    F("SUBSCRIBE without options", V5, CLIENT, b"\x82\x06\x00\x01\x00\x00\x01a", MALFORMED, "", ("MQTT-3.8.3-2",)),
    F("SUBSCRIBE without a QoS, 3.1.1", V4, CLIENT, b"\x82\x05\x00\x01\x00\x01a", MALFORMED, "", ("MQTT3-3.8.3-3",)),
    F("SUBSCRIBE with packet identifier 0", V5, CLIENT, b"\x82\x07\x00\x00\x00\x00\x01a\x00", PROTOCOL_ERROR, "MQTT-2.2.1-3", ("MQTT-2.2.1-3",)),
    F("SUBSCRIBE with packet identifier 0, 3.1.1", V4, CLIENT, b"\x82\x06\x00\x00\x00\x01a\x00", PROTOCOL_ERROR, "MQTT-2.2.1-3", ("MQTT3-2.3.1-1",)),
    F("a filter that is not UTF-8", V5, CLIENT, b"\x82\x07\x00\x01\x00\x00\x01\x80\x00", MALFORMED, "MQTT-1.5.4-1", ("MQTT-3.8.3-1",)),
    F("a filter that is not UTF-8, 3.1.1", V4, CLIENT, b"\x82\x06\x00\x01\x00\x01\x80\x00", MALFORMED, "MQTT-1.5.4-1", ("MQTT3-3.8.3-1",)),
    F("reserved options", V5, CLIENT, b"\x82\x07\x00\x01\x00\x00\x01a\x40", MALFORMED, "MQTT-3.8.3-5", ("MQTT-3.8.3-5",)),
    F("options of 5.0 in 3.1.1", V4, CLIENT, b"\x82\x06\x00\x01\x00\x01a\x04", MALFORMED, "MQTT-3.8.3-5", ("MQTT3-3.8.3-4",)),
    F("a subscription with QoS 3", V5, CLIENT, b"\x82\x07\x00\x01\x00\x00\x01a\x03", PROTOCOL_ERROR, "MQTT 5.0 3.8.3.1"),
    F("a subscription with QoS 3, 3.1.1", V4, CLIENT, b"\x82\x06\x00\x01\x00\x01a\x03", MALFORMED, "MQTT3-3.8.3-4", ("MQTT3-3.8.3-4",)),
    F("Retain Handling 3", V5, CLIENT, b"\x82\x07\x00\x01\x00\x00\x01a\x30", PROTOCOL_ERROR, "MQTT 5.0 3.8.3.1"),
    F("No Local on a shared subscription", V5, CLIENT, b"\x82\x0f\x00\x01\x00\x00\x09$share/gx\x04", PROTOCOL_ERROR, "MQTT-3.8.3-4", ("MQTT-3.8.3-4",)),
    F("subscription identifier 0", V5, CLIENT, b"\x82\x09\x00\x01\x02\x0b\x00\x00\x01a\x00", PROTOCOL_ERROR, "MQTT 5.0 3.8.2.1.2"),
    F("two subscription identifiers", V5, CLIENT, b"\x82\x0b\x00\x01\x04\x0b\x01\x0b\x02\x00\x01a\x00", PROTOCOL_ERROR, "MQTT 5.0 3.8.2.1.2"),
    F("a subscription identifier of five octets", V5, CLIENT, b"\x82\x0d\x00\x01\x06\x0b\xff\xff\xff\xff\x01\x00\x01a\x00", MALFORMED, "MQTT 5.0 1.5.5"),
    F("UNSUBSCRIBE without a filter", V5, CLIENT, b"\xa2\x03\x00\x01\x00", PROTOCOL_ERROR, "MQTT-3.10.3-2", ("MQTT-3.10.3-2",)),
    F("UNSUBSCRIBE without a filter, 3.1.1", V4, CLIENT, b"\xa2\x02\x00\x01", PROTOCOL_ERROR, "MQTT-3.10.3-2", ("MQTT3-3.10.3-2",)),
    F("UNSUBSCRIBE with packet identifier 0", V5, CLIENT, b"\xa2\x06\x00\x00\x00\x00\x01a", PROTOCOL_ERROR, "MQTT-2.2.1-3", ("MQTT-2.2.1-3",)),
    F("UNSUBSCRIBE with a filter that is not UTF-8", V5, CLIENT, b"\xa2\x06\x00\x01\x00\x00\x01\xff", MALFORMED, "MQTT-1.5.4-1", ("MQTT-3.10.3-1",)),
    F("UNSUBSCRIBE with a filter that is not UTF-8, 3.1.1", V4, CLIENT, b"\xa2\x05\x00\x01\x00\x01\xff", MALFORMED, "MQTT-1.5.4-1", ("MQTT3-3.10.3-1",)),
    F("SUBACK without a reason code", V5, SERVER, b"\x90\x03\x00\x01\x00", MALFORMED, "MQTT 5.0 3.9.3"),
    F("SUBACK with packet identifier 0", V5, SERVER, b"\x90\x04\x00\x00\x00\x00", PROTOCOL_ERROR, "MQTT-2.2.1-6"),
    F("SUBACK with a reason code of another packet", V5, SERVER, b"\x90\x04\x00\x01\x00\x11", PROTOCOL_ERROR, "MQTT-3.9.3-2", ("MQTT-3.9.3-2",)),
    F("SUBACK with a reason code of 5.0, 3.1.1", V4, SERVER, b"\x90\x03\x00\x01\x87", PROTOCOL_ERROR, "MQTT3-3.9.3-2", ("MQTT3-3.9.3-2",)),
    F("SUBACK with QoS 3, 3.1.1", V4, SERVER, b"\x90\x03\x00\x01\x03", PROTOCOL_ERROR, "MQTT3-3.9.3-2", ("MQTT3-3.9.3-2",)),
    F("UNSUBACK without a reason code", V5, SERVER, b"\xb0\x03\x00\x01\x00", MALFORMED, "MQTT 5.0 3.11.3"),
    F("UNSUBACK with a reason code of another packet", V5, SERVER, b"\xb0\x04\x00\x01\x00\x01", PROTOCOL_ERROR, "MQTT-3.11.3-2", ("MQTT-3.11.3-2",)),
    F("UNSUBACK of 3.1.1 with a payload", V4, SERVER, b"\xb0\x03\x00\x01\x00", MALFORMED, "MQTT 5.0 2.1.4"),
]

OTHERS = [
    F("DISCONNECT with a reason code of another packet", V5, CLIENT, b"\xe0\x01\x84", PROTOCOL_ERROR, "MQTT-3.14.2-1", ("MQTT-3.14.2-1",)),
    F("DISCONNECT of a server with a session expiry interval", V5, SERVER, b"\xe0\x07\x00\x05\x11\x00\x00\x00\x00", PROTOCOL_ERROR, "MQTT-3.14.2-2", ("MQTT-3.14.2-2",)),
    F("AUTH with a reason code of another packet", V5, CLIENT, b"\xf0\x02\x01\x00", PROTOCOL_ERROR, "MQTT-3.15.2-1", ("MQTT-3.15.2-1",)),
    F("AUTH without its property length", V5, CLIENT, b"\xf0\x01\x18", MALFORMED, ""),
    F("AUTH with data and no method", V5, CLIENT, b"\xf0\x06\x18\x04\x16\x00\x01d", PROTOCOL_ERROR, "MQTT 5.0 3.15.2.2.3"),
]

FAULTS: list[Fault] = [*FIXED_HEADER, *CONNECT, *CONNACK, *PUBLISH, *ACKNOWLEDGEMENTS, *SUBSCRIPTIONS, *OTHERS]
