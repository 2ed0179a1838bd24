"""Properties of MQTT 5.0 (section 2.2.2): the value class and the table of identifiers."""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from bridgehead.protocols.mqtt.codec.reason_codes import (
    AUTH,
    CONNACK,
    CONNECT,
    DISCONNECT,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBACK,
    SUBSCRIBE,
    UNSUBACK,
    UNSUBSCRIBE,
)

# Data types of Table 2-4.
BYTE: Final = 1
TWO_BYTE_INTEGER: Final = 2
FOUR_BYTE_INTEGER: Final = 3
VARIABLE_BYTE_INTEGER: Final = 4
UTF8_STRING: Final = 5
BINARY_DATA: Final = 6
UTF8_STRING_PAIR: Final = 7

TYPE_NAMES: Final[list[str]] = [
    "", "Byte", "Two Byte Integer", "Four Byte Integer", "Variable Byte Integer",
    "UTF-8 Encoded String", "Binary Data", "UTF-8 String Pair",
]  # fmt: skip

PAYLOAD_FORMAT_INDICATOR: Final = 0x01
MESSAGE_EXPIRY_INTERVAL: Final = 0x02
CONTENT_TYPE: Final = 0x03
RESPONSE_TOPIC: Final = 0x08
CORRELATION_DATA: Final = 0x09
SUBSCRIPTION_IDENTIFIER: Final = 0x0B
SESSION_EXPIRY_INTERVAL: Final = 0x11
ASSIGNED_CLIENT_IDENTIFIER: Final = 0x12
SERVER_KEEP_ALIVE: Final = 0x13
AUTHENTICATION_METHOD: Final = 0x15
AUTHENTICATION_DATA: Final = 0x16
REQUEST_PROBLEM_INFORMATION: Final = 0x17
WILL_DELAY_INTERVAL: Final = 0x18
REQUEST_RESPONSE_INFORMATION: Final = 0x19
RESPONSE_INFORMATION: Final = 0x1A
SERVER_REFERENCE: Final = 0x1C
REASON_STRING: Final = 0x1F
RECEIVE_MAXIMUM: Final = 0x21
TOPIC_ALIAS_MAXIMUM: Final = 0x22
TOPIC_ALIAS: Final = 0x23
MAXIMUM_QOS: Final = 0x24
RETAIN_AVAILABLE: Final = 0x25
USER_PROPERTY: Final = 0x26
MAXIMUM_PACKET_SIZE: Final = 0x27
WILDCARD_SUBSCRIPTION_AVAILABLE: Final = 0x28
SUBSCRIPTION_IDENTIFIER_AVAILABLE: Final = 0x29
SHARED_SUBSCRIPTION_AVAILABLE: Final = 0x2A

# Where a property may stand: one bit per packet type; bit 0, a reserved packet type, means the Will Properties.
WILL: Final = 0
_WILL: Final = 1 << WILL
_CONNECT: Final = 1 << CONNECT
_CONNACK: Final = 1 << CONNACK
_PUBLISH: Final = 1 << PUBLISH
_SUBSCRIBE: Final = 1 << SUBSCRIBE
_DISCONNECT: Final = 1 << DISCONNECT
_AUTH: Final = 1 << AUTH
_MESSAGE: Final = _PUBLISH | _WILL
_ACKS: Final = (1 << PUBACK) | (1 << PUBREC) | (1 << PUBREL) | (1 << PUBCOMP) | (1 << SUBACK) | (1 << UNSUBACK)


@mypyc_attr(acyclic=True)
class PropertyInfo:
    """One row of Table 2-4. `packets` has bit 1 << packet type set for each packet that may carry the property."""

    def __init__(self, identifier: int, name: str, data_type: int, packets: int, clause: str) -> None:
        self.identifier: Final = identifier
        self.name: Final = name
        self.data_type: Final = data_type
        self.packets: Final = packets
        self.clause: Final = clause

    def is_allowed_in(self, packet_type: int) -> bool:
        return (self.packets >> packet_type) & 1 == 1


def _rows() -> list[PropertyInfo]:
    row = PropertyInfo
    anywhere = _CONNECT | _CONNACK | _MESSAGE | _ACKS | _SUBSCRIBE | (1 << UNSUBSCRIBE) | _DISCONNECT | _AUTH
    authentication = _CONNECT | _CONNACK | _AUTH
    return [
        row(PAYLOAD_FORMAT_INDICATOR, "Payload Format Indicator", BYTE, _MESSAGE, "3.3.2.3.2"),
        row(MESSAGE_EXPIRY_INTERVAL, "Message Expiry Interval", FOUR_BYTE_INTEGER, _MESSAGE, "3.3.2.3.3"),
        row(CONTENT_TYPE, "Content Type", UTF8_STRING, _MESSAGE, "3.3.2.3.9"),
        row(RESPONSE_TOPIC, "Response Topic", UTF8_STRING, _MESSAGE, "3.3.2.3.5"),
        row(CORRELATION_DATA, "Correlation Data", BINARY_DATA, _MESSAGE, "3.3.2.3.6"),
        row(
            SUBSCRIPTION_IDENTIFIER,
            "Subscription Identifier",
            VARIABLE_BYTE_INTEGER,
            _PUBLISH | _SUBSCRIBE,
            "3.8.2.1.2",
        ),
        row(
            SESSION_EXPIRY_INTERVAL,
            "Session Expiry Interval",
            FOUR_BYTE_INTEGER,
            _CONNECT | _CONNACK | _DISCONNECT,
            "3.1.2.11.2",
        ),
        row(ASSIGNED_CLIENT_IDENTIFIER, "Assigned Client Identifier", UTF8_STRING, _CONNACK, "3.2.2.3.7"),
        row(SERVER_KEEP_ALIVE, "Server Keep Alive", TWO_BYTE_INTEGER, _CONNACK, "3.2.2.3.14"),
        row(AUTHENTICATION_METHOD, "Authentication Method", UTF8_STRING, authentication, "3.1.2.11.9"),
        row(AUTHENTICATION_DATA, "Authentication Data", BINARY_DATA, authentication, "3.1.2.11.10"),
        row(REQUEST_PROBLEM_INFORMATION, "Request Problem Information", BYTE, _CONNECT, "3.1.2.11.7"),
        row(WILL_DELAY_INTERVAL, "Will Delay Interval", FOUR_BYTE_INTEGER, _WILL, "3.1.3.2.2"),
        row(REQUEST_RESPONSE_INFORMATION, "Request Response Information", BYTE, _CONNECT, "3.1.2.11.6"),
        row(RESPONSE_INFORMATION, "Response Information", UTF8_STRING, _CONNACK, "3.2.2.3.15"),
        row(SERVER_REFERENCE, "Server Reference", UTF8_STRING, _CONNACK | _DISCONNECT, "3.2.2.3.16"),
        row(REASON_STRING, "Reason String", UTF8_STRING, _CONNACK | _ACKS | _DISCONNECT | _AUTH, "3.2.2.3.9"),
        row(RECEIVE_MAXIMUM, "Receive Maximum", TWO_BYTE_INTEGER, _CONNECT | _CONNACK, "3.1.2.11.3"),
        row(TOPIC_ALIAS_MAXIMUM, "Topic Alias Maximum", TWO_BYTE_INTEGER, _CONNECT | _CONNACK, "3.1.2.11.5"),
        row(TOPIC_ALIAS, "Topic Alias", TWO_BYTE_INTEGER, _PUBLISH, "3.3.2.3.4"),
        row(MAXIMUM_QOS, "Maximum QoS", BYTE, _CONNACK, "3.2.2.3.4"),
        row(RETAIN_AVAILABLE, "Retain Available", BYTE, _CONNACK, "3.2.2.3.5"),
        row(USER_PROPERTY, "User Property", UTF8_STRING_PAIR, anywhere, "3.1.2.11.8"),
        row(MAXIMUM_PACKET_SIZE, "Maximum Packet Size", FOUR_BYTE_INTEGER, _CONNECT | _CONNACK, "3.1.2.11.4"),
        row(WILDCARD_SUBSCRIPTION_AVAILABLE, "Wildcard Subscription Available", BYTE, _CONNACK, "3.2.2.3.11"),
        row(SUBSCRIPTION_IDENTIFIER_AVAILABLE, "Subscription Identifier Available", BYTE, _CONNACK, "3.2.2.3.12"),
        row(SHARED_SUBSCRIPTION_AVAILABLE, "Shared Subscription Available", BYTE, _CONNACK, "3.2.2.3.13"),
    ]


PROPERTIES: Final[dict[int, PropertyInfo]] = {info.identifier: info for info in _rows()}


@mypyc_attr(acyclic=True)
class Properties:
    """The properties of one packet. None, or an empty list, means that the packet does not carry the property.

    Intervals are in seconds. Single-octet properties are 0 or 1. A Properties that was decoded, and NO_PROPERTIES,
    are never changed; build a new one to send something else.
    """

    def __init__(
        self,
        *,
        payload_format_indicator: int | None = None,
        message_expiry_interval: int | None = None,
        content_type: str | None = None,
        response_topic: str | None = None,
        correlation_data: bytes | None = None,
        subscription_identifiers: list[int] | None = None,
        session_expiry_interval: int | None = None,
        assigned_client_identifier: str | None = None,
        server_keep_alive: int | None = None,
        authentication_method: str | None = None,
        authentication_data: bytes | None = None,
        request_problem_information: int | None = None,
        will_delay_interval: int | None = None,
        request_response_information: int | None = None,
        response_information: str | None = None,
        server_reference: str | None = None,
        reason_string: str | None = None,
        receive_maximum: int | None = None,
        topic_alias_maximum: int | None = None,
        topic_alias: int | None = None,
        maximum_qos: int | None = None,
        retain_available: int | None = None,
        user_properties: list[tuple[str, str]] | None = None,
        maximum_packet_size: int | None = None,
        wildcard_subscription_available: int | None = None,
        subscription_identifier_available: int | None = None,
        shared_subscription_available: int | None = None,
    ) -> None:
        self.payload_format_indicator = payload_format_indicator
        self.message_expiry_interval = message_expiry_interval
        self.content_type = content_type
        self.response_topic = response_topic
        self.correlation_data = correlation_data
        self.subscription_identifiers: list[int] = [] if subscription_identifiers is None else subscription_identifiers
        self.session_expiry_interval = session_expiry_interval
        self.assigned_client_identifier = assigned_client_identifier
        self.server_keep_alive = server_keep_alive
        self.authentication_method = authentication_method
        self.authentication_data = authentication_data
        self.request_problem_information = request_problem_information
        self.will_delay_interval = will_delay_interval
        self.request_response_information = request_response_information
        self.response_information = response_information
        self.server_reference = server_reference
        self.reason_string = reason_string
        self.receive_maximum = receive_maximum
        self.topic_alias_maximum = topic_alias_maximum
        self.topic_alias = topic_alias
        self.maximum_qos = maximum_qos
        self.retain_available = retain_available
        self.user_properties: list[tuple[str, str]] = [] if user_properties is None else user_properties
        self.maximum_packet_size = maximum_packet_size
        self.wildcard_subscription_available = wildcard_subscription_available
        self.subscription_identifier_available = subscription_identifier_available
        self.shared_subscription_available = shared_subscription_available

    def present(self) -> dict[str, object]:
        """The properties that are there, by attribute name, in the order of their identifiers."""
        values: dict[str, object] = {
            "payload_format_indicator": self.payload_format_indicator,
            "message_expiry_interval": self.message_expiry_interval,
            "content_type": self.content_type,
            "response_topic": self.response_topic,
            "correlation_data": self.correlation_data,
            "subscription_identifiers": self.subscription_identifiers or None,
            "session_expiry_interval": self.session_expiry_interval,
            "assigned_client_identifier": self.assigned_client_identifier,
            "server_keep_alive": self.server_keep_alive,
            "authentication_method": self.authentication_method,
            "authentication_data": self.authentication_data,
            "request_problem_information": self.request_problem_information,
            "will_delay_interval": self.will_delay_interval,
            "request_response_information": self.request_response_information,
            "response_information": self.response_information,
            "server_reference": self.server_reference,
            "reason_string": self.reason_string,
            "receive_maximum": self.receive_maximum,
            "topic_alias_maximum": self.topic_alias_maximum,
            "topic_alias": self.topic_alias,
            "maximum_qos": self.maximum_qos,
            "retain_available": self.retain_available,
            "user_properties": self.user_properties or None,
            "maximum_packet_size": self.maximum_packet_size,
            "wildcard_subscription_available": self.wildcard_subscription_available,
            "subscription_identifier_available": self.subscription_identifier_available,
            "shared_subscription_available": self.shared_subscription_available,
        }
        return {name: value for name, value in values.items() if value is not None}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Properties) and self.present() == other.present()

    def __repr__(self) -> str:
        # Authentication Data may be a credential: only its length is shown.
        shown = self.present()
        if self.authentication_data is not None:
            shown["authentication_data"] = f"<{len(self.authentication_data)} octets>"
        return "Properties(" + ", ".join([f"{name}={value!r}" for name, value in shown.items()]) + ")"


NO_PROPERTIES: Final = Properties()
