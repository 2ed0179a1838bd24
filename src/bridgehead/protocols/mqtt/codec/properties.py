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
_ACKNOWLEDGEMENTS: Final = [PUBACK, PUBREC, PUBREL, PUBCOMP]


@mypyc_attr(acyclic=True)
class PropertyInfo:
    """One row of Table 2-4. `clauses` has the section of MQTT 5.0 for each packet type that may carry the property;
    `packets` has the bit 1 << packet type set for each of them.
    """

    def __init__(self, identifier: int, name: str, data_type: int, clauses: dict[int, str]) -> None:
        packets = 0
        for packet_type in clauses:
            packets |= 1 << packet_type
        self.identifier: Final = identifier
        self.name: Final = name
        self.data_type: Final = data_type
        self.clauses: Final = clauses
        self.packets: Final = packets

    def clause(self, packet_type: int) -> str:
        """The clause in full: "MQTT 5.0 3.3.2.3.4"."""
        return f"MQTT 5.0 {self.clauses[packet_type]}"


def _message(in_publish: str, in_will: str) -> dict[int, str]:
    return {PUBLISH: in_publish, WILL: in_will}


def _reason_string() -> dict[int, str]:
    clauses = {packet_type: f"3.{packet_type}.2.2.2" for packet_type in _ACKNOWLEDGEMENTS}
    clauses.update({CONNACK: "3.2.2.3.9", SUBACK: "3.9.2.1.2", UNSUBACK: "3.11.2.1.2"})
    clauses.update({DISCONNECT: "3.14.2.2.3", AUTH: "3.15.2.2.4"})
    return clauses


def _user_property() -> dict[int, str]:
    clauses = {packet_type: f"3.{packet_type}.2.2.3" for packet_type in _ACKNOWLEDGEMENTS}
    clauses.update({CONNECT: "3.1.2.11.8", WILL: "3.1.3.2.8", CONNACK: "3.2.2.3.10", PUBLISH: "3.3.2.3.7"})
    clauses.update({SUBSCRIBE: "3.8.2.1.3", SUBACK: "3.9.2.1.3", UNSUBSCRIBE: "3.10.2.1.2", UNSUBACK: "3.11.2.1.3"})
    clauses.update({DISCONNECT: "3.14.2.2.4", AUTH: "3.15.2.2.5"})
    return clauses


def _rows() -> list[PropertyInfo]:
    row = PropertyInfo
    number2, number4, text = TWO_BYTE_INTEGER, FOUR_BYTE_INTEGER, UTF8_STRING
    method = {CONNECT: "3.1.2.11.9", CONNACK: "3.2.2.3.17", AUTH: "3.15.2.2.2"}
    data = {CONNECT: "3.1.2.11.10", CONNACK: "3.2.2.3.18", AUTH: "3.15.2.2.3"}
    expiry = {CONNECT: "3.1.2.11.2", CONNACK: "3.2.2.3.2", DISCONNECT: "3.14.2.2.2"}
    return [
        row(PAYLOAD_FORMAT_INDICATOR, "Payload Format Indicator", BYTE, _message("3.3.2.3.2", "3.1.3.2.3")),
        row(MESSAGE_EXPIRY_INTERVAL, "Message Expiry Interval", number4, _message("3.3.2.3.3", "3.1.3.2.4")),
        row(CONTENT_TYPE, "Content Type", text, _message("3.3.2.3.9", "3.1.3.2.5")),
        row(RESPONSE_TOPIC, "Response Topic", text, _message("3.3.2.3.5", "3.1.3.2.6")),
        row(CORRELATION_DATA, "Correlation Data", BINARY_DATA, _message("3.3.2.3.6", "3.1.3.2.7")),
        row(
            SUBSCRIPTION_IDENTIFIER,
            "Subscription Identifier",
            VARIABLE_BYTE_INTEGER,
            {PUBLISH: "3.3.2.3.8", SUBSCRIBE: "3.8.2.1.2"},
        ),
        row(SESSION_EXPIRY_INTERVAL, "Session Expiry Interval", number4, expiry),
        row(ASSIGNED_CLIENT_IDENTIFIER, "Assigned Client Identifier", text, {CONNACK: "3.2.2.3.7"}),
        row(SERVER_KEEP_ALIVE, "Server Keep Alive", number2, {CONNACK: "3.2.2.3.14"}),
        row(AUTHENTICATION_METHOD, "Authentication Method", text, method),
        row(AUTHENTICATION_DATA, "Authentication Data", BINARY_DATA, data),
        row(REQUEST_PROBLEM_INFORMATION, "Request Problem Information", BYTE, {CONNECT: "3.1.2.11.7"}),
        row(WILL_DELAY_INTERVAL, "Will Delay Interval", number4, {WILL: "3.1.3.2.2"}),
        row(REQUEST_RESPONSE_INFORMATION, "Request Response Information", BYTE, {CONNECT: "3.1.2.11.6"}),
        row(RESPONSE_INFORMATION, "Response Information", text, {CONNACK: "3.2.2.3.15"}),
        row(SERVER_REFERENCE, "Server Reference", text, {CONNACK: "3.2.2.3.16", DISCONNECT: "3.14.2.2.5"}),
        row(REASON_STRING, "Reason String", text, _reason_string()),
        row(RECEIVE_MAXIMUM, "Receive Maximum", number2, {CONNECT: "3.1.2.11.3", CONNACK: "3.2.2.3.3"}),
        row(TOPIC_ALIAS_MAXIMUM, "Topic Alias Maximum", number2, {CONNECT: "3.1.2.11.5", CONNACK: "3.2.2.3.8"}),
        row(TOPIC_ALIAS, "Topic Alias", number2, {PUBLISH: "3.3.2.3.4"}),
        row(MAXIMUM_QOS, "Maximum QoS", BYTE, {CONNACK: "3.2.2.3.4"}),
        row(RETAIN_AVAILABLE, "Retain Available", BYTE, {CONNACK: "3.2.2.3.5"}),
        row(USER_PROPERTY, "User Property", UTF8_STRING_PAIR, _user_property()),
        row(MAXIMUM_PACKET_SIZE, "Maximum Packet Size", number4, {CONNECT: "3.1.2.11.4", CONNACK: "3.2.2.3.6"}),
        row(WILDCARD_SUBSCRIPTION_AVAILABLE, "Wildcard Subscription Available", BYTE, {CONNACK: "3.2.2.3.11"}),
        row(SUBSCRIPTION_IDENTIFIER_AVAILABLE, "Subscription Identifier Available", BYTE, {CONNACK: "3.2.2.3.12"}),
        row(SHARED_SUBSCRIPTION_AVAILABLE, "Shared Subscription Available", BYTE, {CONNACK: "3.2.2.3.13"}),
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
