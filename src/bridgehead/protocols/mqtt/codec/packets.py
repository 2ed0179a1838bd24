"""The control packets of MQTT 3.1, 3.1.1 and 5.0 as values. No field of a packet changes after it was made."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64, mypyc_attr

from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES, Properties
from bridgehead.protocols.mqtt.codec.reason_codes import (
    AUTH,
    CONNACK,
    CONNECT,
    DISCONNECT,
    PACKET_NAMES,
    PINGREQ,
    PINGRESP,
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


@mypyc_attr(acyclic=True)
class Packet:
    """What all control packets share. `packet_type` is one of the packet type constants of reason_codes.py."""

    def __init__(self, packet_type: i64) -> None:
        self.packet_type: Final = packet_type

    def content(self) -> dict[str, object]:
        """The fields that the wire carries, by name. Two packets are equal when their content is."""
        return {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Packet) and self.packet_type == other.packet_type and self.content() == other.content()

    def __repr__(self) -> str:
        content = self.content()
        if content.get("properties") == NO_PROPERTIES:
            del content["properties"]
        shown: list[str] = []
        for name, value in content.items():
            # A password is never shown, a payload may be large: only their lengths.
            if isinstance(value, bytes):
                shown.append(f"{name}=<{len(value)} octets>")
            else:
                shown.append(f"{name}={value!r}")
        return f"{PACKET_NAMES[self.packet_type].capitalize()}({', '.join(shown)})"


@mypyc_attr(acyclic=True)
class Will:
    """The Will Message of a CONNECT (MQTT 5.0 3.1.2.5)."""

    def __init__(
        self,
        topic: str,
        payload: bytes,
        qos: int = 0,
        retain: bool = False,
        properties: Properties = NO_PROPERTIES,
    ) -> None:
        self.topic: Final = topic
        self.payload: Final = payload
        self.qos: Final = qos
        self.retain: Final = retain
        self.properties: Final = properties

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Will)
            and self.topic == other.topic
            and self.payload == other.payload
            and self.qos == other.qos
            and self.retain == other.retain
            and self.properties == other.properties
        )

    def __repr__(self) -> str:
        return f"Will({self.topic!r}, <{len(self.payload)} octets>, qos={self.qos}, retain={self.retain})"


@mypyc_attr(acyclic=True)
class Connect(Packet):
    """CONNECT (3.1). `protocol_version` is 3 (MQTT 3.1), 4 (3.1.1) or 5; `keep_alive` is in seconds, 0 for none.

    `clean_start` is the Clean Session flag of MQTT 3.
    """

    def __init__(
        self,
        protocol_version: int,
        clean_start: bool,
        keep_alive: int,
        client_id: str,
        will: Will | None = None,
        user_name: str | None = None,
        password: bytes | None = None,
        properties: Properties = NO_PROPERTIES,
    ) -> None:
        super().__init__(CONNECT)
        self.protocol_version: Final = protocol_version
        self.clean_start: Final = clean_start
        self.keep_alive: Final = keep_alive
        self.client_id: Final = client_id
        self.will: Final = will
        self.user_name: Final = user_name
        self.password: Final = password
        self.properties: Final = properties

    def content(self) -> dict[str, object]:
        return {
            "protocol_version": self.protocol_version,
            "clean_start": self.clean_start,
            "keep_alive": self.keep_alive,
            "client_id": self.client_id,
            "will": self.will,
            "user_name": self.user_name,
            "password": self.password,
            "properties": self.properties,
        }


@mypyc_attr(acyclic=True)
class Connack(Packet):
    """CONNACK (3.2). From an MQTT 3 server `reason_code` is a return code, 0 to 5."""

    def __init__(self, session_present: bool, reason_code: int, properties: Properties = NO_PROPERTIES) -> None:
        super().__init__(CONNACK)
        self.session_present: Final = session_present
        self.reason_code: Final = reason_code
        self.properties: Final = properties

    def content(self) -> dict[str, object]:
        return {
            "session_present": self.session_present,
            "reason_code": self.reason_code,
            "properties": self.properties,
        }


@mypyc_attr(acyclic=True)
class Publish(Packet):
    """PUBLISH (3.3).

    One that was decoded keeps the packet's octets in `frame` and gives out slices of them:

    - `payload` is cut from `frame` at each use: keep the result when it is needed twice.
    - `topic` is "" when only a Topic Alias names the topic (MQTT 5.0); `properties.topic_alias` then says which.
    - `topic_end` is the offset behind the Topic Name, where the Packet Identifier stands when there is one, and
      `payload_offset` that of the payload.
    - `v5` says which grammar `frame` has: MQTT 5.0's, or that of 3.1 and 3.1.1, which are the same.
    - `has_properties` is False when the Property Length is 0 or the version has no properties: then, with equal
      `v5`, `qos` and `retain` and `dup` False, `frame` can go out to a receiver as it came in.

    One that was made by hand has an empty `frame`.
    """

    def __init__(
        self,
        topic: str,
        payload: bytes,
        qos: i64 = 0,
        retain: bool = False,
        dup: bool = False,
        packet_id: i64 = 0,
        properties: Properties = NO_PROPERTIES,
        frame: bytes = b"",
        topic_end: i64 = 0,
        payload_offset: i64 = 0,
        v5: bool = False,
    ) -> None:
        super().__init__(PUBLISH)
        self.topic: Final = topic
        self._payload: Final = payload
        self.qos: Final = qos
        self.retain: Final = retain
        self.dup: Final = dup
        self.packet_id: Final = packet_id
        self.properties: Final = properties
        self.frame: Final = frame
        self.topic_end: Final = topic_end
        self.payload_offset: Final = payload_offset
        self.v5: Final = v5

    @property
    def payload(self) -> bytes:
        return self.frame[self.payload_offset :] if self.payload_offset else self._payload

    @property
    def payload_length(self) -> i64:
        """The payload's length in octets, without cutting it out."""
        return len(self.frame) - self.payload_offset if self.payload_offset else len(self._payload)

    @property
    def has_properties(self) -> bool:
        return self.properties is not NO_PROPERTIES

    def content(self) -> dict[str, object]:
        return {
            "topic": self.topic,
            "payload": self.payload,
            "qos": self.qos,
            "retain": self.retain,
            "dup": self.dup,
            "packet_id": self.packet_id,
            "properties": self.properties,
        }


@mypyc_attr(acyclic=True)
class Acknowledgement(Packet):
    """PUBACK, PUBREC, PUBREL and PUBCOMP (3.4 to 3.7). MQTT 3 has neither Reason Code nor properties."""

    def __init__(self, packet_type: i64, packet_id: i64, reason_code: i64, properties: Properties) -> None:
        super().__init__(packet_type)
        self.packet_id: Final = packet_id
        self.reason_code: Final = reason_code
        self.properties: Final = properties

    def content(self) -> dict[str, object]:
        return {"packet_id": self.packet_id, "reason_code": self.reason_code, "properties": self.properties}


@mypyc_attr(acyclic=True)
class Puback(Acknowledgement):
    def __init__(self, packet_id: i64, reason_code: i64 = 0, properties: Properties = NO_PROPERTIES) -> None:
        super().__init__(PUBACK, packet_id, reason_code, properties)


@mypyc_attr(acyclic=True)
class Pubrec(Acknowledgement):
    def __init__(self, packet_id: i64, reason_code: i64 = 0, properties: Properties = NO_PROPERTIES) -> None:
        super().__init__(PUBREC, packet_id, reason_code, properties)


@mypyc_attr(acyclic=True)
class Pubrel(Acknowledgement):
    def __init__(self, packet_id: i64, reason_code: i64 = 0, properties: Properties = NO_PROPERTIES) -> None:
        super().__init__(PUBREL, packet_id, reason_code, properties)


@mypyc_attr(acyclic=True)
class Pubcomp(Acknowledgement):
    def __init__(self, packet_id: i64, reason_code: i64 = 0, properties: Properties = NO_PROPERTIES) -> None:
        super().__init__(PUBCOMP, packet_id, reason_code, properties)


@mypyc_attr(acyclic=True)
class SubscriptionRequest:
    """One Topic Filter of a SUBSCRIBE with its Subscription Options (3.8.3.1). MQTT 3 has the QoS alone."""

    def __init__(
        self,
        topic_filter: str,
        qos: int = 0,
        no_local: bool = False,
        retain_as_published: bool = False,
        retain_handling: int = 0,
    ) -> None:
        self.topic_filter: Final = topic_filter
        self.qos: Final = qos
        self.no_local: Final = no_local
        self.retain_as_published: Final = retain_as_published
        self.retain_handling: Final = retain_handling

    def options(self) -> int:
        """The Subscription Options octet."""
        return self.qos | self.no_local << 2 | self.retain_as_published << 3 | self.retain_handling << 4

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, SubscriptionRequest)
            and self.topic_filter == other.topic_filter
            and self.options() == other.options()
        )

    def __repr__(self) -> str:
        return f"SubscriptionRequest({self.topic_filter!r}, options=0x{self.options():02X})"


@mypyc_attr(acyclic=True)
class Subscribe(Packet):
    """SUBSCRIBE (3.8)."""

    def __init__(
        self, packet_id: int, subscriptions: list[SubscriptionRequest], properties: Properties = NO_PROPERTIES
    ) -> None:
        super().__init__(SUBSCRIBE)
        self.packet_id: Final = packet_id
        self.subscriptions: Final = subscriptions
        self.properties: Final = properties

    def content(self) -> dict[str, object]:
        return {"packet_id": self.packet_id, "subscriptions": self.subscriptions, "properties": self.properties}


@mypyc_attr(acyclic=True)
class Suback(Packet):
    """SUBACK (3.9): one Reason Code per Topic Filter, in the order of the SUBSCRIBE."""

    def __init__(self, packet_id: int, reason_codes: list[int], properties: Properties = NO_PROPERTIES) -> None:
        super().__init__(SUBACK)
        self.packet_id: Final = packet_id
        self.reason_codes: Final = reason_codes
        self.properties: Final = properties

    def content(self) -> dict[str, object]:
        return {"packet_id": self.packet_id, "reason_codes": self.reason_codes, "properties": self.properties}


@mypyc_attr(acyclic=True)
class Unsubscribe(Packet):
    """UNSUBSCRIBE (3.10)."""

    def __init__(self, packet_id: int, topic_filters: list[str], properties: Properties = NO_PROPERTIES) -> None:
        super().__init__(UNSUBSCRIBE)
        self.packet_id: Final = packet_id
        self.topic_filters: Final = topic_filters
        self.properties: Final = properties

    def content(self) -> dict[str, object]:
        return {"packet_id": self.packet_id, "topic_filters": self.topic_filters, "properties": self.properties}


@mypyc_attr(acyclic=True)
class Unsuback(Packet):
    """UNSUBACK (3.11): one Reason Code per Topic Filter; none in MQTT 3."""

    def __init__(self, packet_id: int, reason_codes: list[int], properties: Properties = NO_PROPERTIES) -> None:
        super().__init__(UNSUBACK)
        self.packet_id: Final = packet_id
        self.reason_codes: Final = reason_codes
        self.properties: Final = properties

    def content(self) -> dict[str, object]:
        return {"packet_id": self.packet_id, "reason_codes": self.reason_codes, "properties": self.properties}


@mypyc_attr(acyclic=True)
class Pingreq(Packet):
    """PINGREQ (3.12)."""

    def __init__(self) -> None:
        super().__init__(PINGREQ)


@mypyc_attr(acyclic=True)
class Pingresp(Packet):
    """PINGRESP (3.13)."""

    def __init__(self) -> None:
        super().__init__(PINGRESP)


@mypyc_attr(acyclic=True)
class Disconnect(Packet):
    """DISCONNECT (3.14). MQTT 3 has it from the Client only, with neither Reason Code nor properties."""

    def __init__(self, reason_code: int = 0, properties: Properties = NO_PROPERTIES) -> None:
        super().__init__(DISCONNECT)
        self.reason_code: Final = reason_code
        self.properties: Final = properties

    def content(self) -> dict[str, object]:
        return {"reason_code": self.reason_code, "properties": self.properties}


@mypyc_attr(acyclic=True)
class Auth(Packet):
    """AUTH (3.15), MQTT 5.0 only."""

    def __init__(self, reason_code: int = 0, properties: Properties = NO_PROPERTIES) -> None:
        super().__init__(AUTH)
        self.reason_code: Final = reason_code
        self.properties: Final = properties

    def content(self) -> dict[str, object]:
        return {"reason_code": self.reason_code, "properties": self.properties}
