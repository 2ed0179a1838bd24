"""Reason codes of MQTT 5.0 (section 2.4), which packet may carry which, and their MQTT 3 forms."""

from __future__ import annotations

from typing import Final

SUCCESS: Final = 0x00
NORMAL_DISCONNECTION: Final = 0x00
GRANTED_QOS_0: Final = 0x00
GRANTED_QOS_1: Final = 0x01
GRANTED_QOS_2: Final = 0x02
DISCONNECT_WITH_WILL: Final = 0x04
NO_MATCHING_SUBSCRIBERS: Final = 0x10
NO_SUBSCRIPTION_EXISTED: Final = 0x11
CONTINUE_AUTHENTICATION: Final = 0x18
RE_AUTHENTICATE: Final = 0x19
UNSPECIFIED_ERROR: Final = 0x80
MALFORMED_PACKET: Final = 0x81
PROTOCOL_ERROR: Final = 0x82
IMPLEMENTATION_SPECIFIC_ERROR: Final = 0x83
UNSUPPORTED_PROTOCOL_VERSION: Final = 0x84
CLIENT_IDENTIFIER_NOT_VALID: Final = 0x85
BAD_USER_NAME_OR_PASSWORD: Final = 0x86
NOT_AUTHORIZED: Final = 0x87
SERVER_UNAVAILABLE: Final = 0x88
SERVER_BUSY: Final = 0x89
BANNED: Final = 0x8A
SERVER_SHUTTING_DOWN: Final = 0x8B
BAD_AUTHENTICATION_METHOD: Final = 0x8C
KEEP_ALIVE_TIMEOUT: Final = 0x8D
SESSION_TAKEN_OVER: Final = 0x8E
TOPIC_FILTER_INVALID: Final = 0x8F
TOPIC_NAME_INVALID: Final = 0x90
PACKET_IDENTIFIER_IN_USE: Final = 0x91
PACKET_IDENTIFIER_NOT_FOUND: Final = 0x92
RECEIVE_MAXIMUM_EXCEEDED: Final = 0x93
TOPIC_ALIAS_INVALID: Final = 0x94
PACKET_TOO_LARGE: Final = 0x95
MESSAGE_RATE_TOO_HIGH: Final = 0x96
QUOTA_EXCEEDED: Final = 0x97
ADMINISTRATIVE_ACTION: Final = 0x98
PAYLOAD_FORMAT_INVALID: Final = 0x99
RETAIN_NOT_SUPPORTED: Final = 0x9A
QOS_NOT_SUPPORTED: Final = 0x9B
USE_ANOTHER_SERVER: Final = 0x9C
SERVER_MOVED: Final = 0x9D
SHARED_SUBSCRIPTIONS_NOT_SUPPORTED: Final = 0x9E
CONNECTION_RATE_EXCEEDED: Final = 0x9F
MAXIMUM_CONNECT_TIME: Final = 0xA0
SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED: Final = 0xA1
WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED: Final = 0xA2

# Packet types (section 2.1.2), here because the table below is per packet type.
CONNECT: Final = 1
CONNACK: Final = 2
PUBLISH: Final = 3
PUBACK: Final = 4
PUBREC: Final = 5
PUBREL: Final = 6
PUBCOMP: Final = 7
SUBSCRIBE: Final = 8
SUBACK: Final = 9
UNSUBSCRIBE: Final = 10
UNSUBACK: Final = 11
PINGREQ: Final = 12
PINGRESP: Final = 13
DISCONNECT: Final = 14
AUTH: Final = 15

PACKET_NAMES: Final[list[str]] = [
    "Reserved", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP",
    "SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH",
]  # fmt: skip

# MQTT 5.0 Table 2-6: name and the packets in which the code may stand.
_ACK: Final = (1 << PUBACK) | (1 << PUBREC)
_REL: Final = (1 << PUBREL) | (1 << PUBCOMP)
_SUB: Final = 1 << SUBACK
_UNSUB: Final = 1 << UNSUBACK
_CON: Final = 1 << CONNACK
_DIS: Final = 1 << DISCONNECT
_AUTH: Final = 1 << AUTH

REASON_CODES: Final[dict[int, tuple[str, int]]] = {
    0x00: ("Success", _CON | _ACK | _REL | _SUB | _UNSUB | _AUTH | _DIS),
    0x01: ("Granted QoS 1", _SUB),
    0x02: ("Granted QoS 2", _SUB),
    0x04: ("Disconnect with Will Message", _DIS),
    0x10: ("No matching subscribers", _ACK),
    0x11: ("No subscription existed", _UNSUB),
    0x18: ("Continue authentication", _AUTH),
    0x19: ("Re-authenticate", _AUTH),
    0x80: ("Unspecified error", _CON | _ACK | _SUB | _UNSUB | _DIS),
    0x81: ("Malformed Packet", _CON | _DIS),
    0x82: ("Protocol Error", _CON | _DIS),
    0x83: ("Implementation specific error", _CON | _ACK | _SUB | _UNSUB | _DIS),
    0x84: ("Unsupported Protocol Version", _CON),
    0x85: ("Client Identifier not valid", _CON),
    0x86: ("Bad User Name or Password", _CON),
    0x87: ("Not authorized", _CON | _ACK | _SUB | _UNSUB | _DIS),
    0x88: ("Server unavailable", _CON),
    0x89: ("Server busy", _CON | _DIS),
    0x8A: ("Banned", _CON),
    0x8B: ("Server shutting down", _DIS),
    0x8C: ("Bad authentication method", _CON | _DIS),
    0x8D: ("Keep Alive timeout", _DIS),
    0x8E: ("Session taken over", _DIS),
    0x8F: ("Topic Filter invalid", _SUB | _UNSUB | _DIS),
    0x90: ("Topic Name invalid", _CON | _ACK | _DIS),
    0x91: ("Packet Identifier in use", _ACK | _SUB | _UNSUB),
    0x92: ("Packet Identifier not found", _REL),
    0x93: ("Receive Maximum exceeded", _DIS),
    0x94: ("Topic Alias invalid", _DIS),
    0x95: ("Packet too large", _CON | _DIS),
    0x96: ("Message rate too high", _DIS),
    0x97: ("Quota exceeded", _CON | _ACK | _SUB | _DIS),
    0x98: ("Administrative action", _DIS),
    0x99: ("Payload format invalid", _CON | _ACK | _DIS),
    0x9A: ("Retain not supported", _CON | _DIS),
    0x9B: ("QoS not supported", _CON | _DIS),
    0x9C: ("Use another server", _CON | _DIS),
    0x9D: ("Server moved", _CON | _DIS),
    0x9E: ("Shared Subscriptions not supported", _SUB | _DIS),
    0x9F: ("Connection rate exceeded", _CON | _DIS),
    0xA0: ("Maximum connect time", _DIS),
    0xA1: ("Subscription Identifiers not supported", _SUB | _DIS),
    0xA2: ("Wildcard Subscriptions not supported", _SUB | _DIS),
}

# MQTT 3.1.1 Table 3.1.
CONNECT_RETURN_CODES: Final[list[str]] = [
    "Connection Accepted",
    "Connection Refused, unacceptable protocol version",
    "Connection Refused, identifier rejected",
    "Connection Refused, Server unavailable",
    "Connection Refused, bad user name or password",
    "Connection Refused, not authorized",
]


def is_allowed(reason_code: int, packet_type: int) -> bool:
    """Whether Table 2-6 of MQTT 5.0 lets this packet type carry this Reason Code."""
    entry = REASON_CODES.get(reason_code)
    return entry is not None and (entry[1] >> packet_type) & 1 == 1


def reason_name(reason_code: int, packet_type: int = 0) -> str:
    """The standard's name of a Reason Code; 0x00 is named after its packet."""
    if reason_code == 0:
        if packet_type == DISCONNECT:
            return "Normal disconnection"
        if packet_type == SUBACK:
            return "Granted QoS 0"
    entry = REASON_CODES.get(reason_code)
    return "unknown" if entry is None else entry[0]


def connect_return_code(reason_code: int) -> int:
    """The MQTT 3.1.1 CONNACK return code (0 to 5) for a Reason Code; a value up to 5 is taken as a return code."""
    if reason_code <= 5:
        return reason_code
    if reason_code == UNSUPPORTED_PROTOCOL_VERSION:
        return 1
    if reason_code == CLIENT_IDENTIFIER_NOT_VALID:
        return 2
    if reason_code in (BAD_USER_NAME_OR_PASSWORD, BAD_AUTHENTICATION_METHOD):
        return 4
    if reason_code in (NOT_AUTHORIZED, BANNED):
        return 5
    return 3
