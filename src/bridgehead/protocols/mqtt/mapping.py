"""Between MQTT's packets and the canonical message, and from refusals to reason codes.

What becomes of a PUBLISH on its way; tests/mqtt/test_mapping.py holds each line:

    of the packet              in the message      to a 5.0 receiver                to an MQTT 3 receiver
    Topic Name, payload        kept                kept                             kept
    QoS, RETAIN                kept                as its subscription says         as its subscription says
    DUP, Packet Identifier     lost                its own delivery's               its own delivery's
    Payload Format 1           kept                kept                             lost
    Payload Format 0           lost                lost: no Payload Format says it  lost
    Message Expiry Interval    as a time           less the seconds waited          lost; the hub observes it
    Content Type, Response
    Topic, Correlation Data    kept                kept                             lost
    User Properties            kept, with their order and repetitions               lost
    Topic Alias                resolved            its own connection's             lost
    Subscription Identifiers   not allowed         its own subscriptions'           lost

A Will is the same, but that its Message Expiry Interval begins with its publication. An MQTT 3 packet has nothing
that a message could not hold.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64, mypyc_attr

from bridgehead.core import errors
from bridgehead.core.message import NEVER, NO_PROPERTIES, NOT_DURABLE, Message, MessageProperties, Origin
from bridgehead.core.session import Will
from bridgehead.protocols.mqtt.codec import reason_codes as codes
from bridgehead.protocols.mqtt.codec.encode import PublishForm, cut_form, publish_form
from bridgehead.protocols.mqtt.codec.packets import Publish
from bridgehead.protocols.mqtt.codec.packets import Will as WillPacket
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES as NO_PACKET_PROPERTIES
from bridgehead.protocols.mqtt.codec.properties import Properties

# The one table from what a refusal means to MQTT 5.0's reason codes (section 2.4).
REASON_CODES: Final[dict[str, int]] = {
    errors.NOT_AUTHORIZED: codes.NOT_AUTHORIZED,
    errors.BAD_CREDENTIALS: codes.BAD_USER_NAME_OR_PASSWORD,
    errors.NAME_INVALID: codes.TOPIC_NAME_INVALID,
    errors.FILTER_INVALID: codes.TOPIC_FILTER_INVALID,
    errors.CLIENT_ID_INVALID: codes.CLIENT_IDENTIFIER_NOT_VALID,
    errors.QUOTA_EXCEEDED: codes.QUOTA_EXCEEDED,
    errors.STORE_UNAVAILABLE: codes.QUOTA_EXCEEDED,
    errors.TOO_LARGE: codes.PACKET_TOO_LARGE,
    errors.BUSY: codes.SERVER_BUSY,
    errors.PAYLOAD_FORMAT_INVALID: codes.PAYLOAD_FORMAT_INVALID,
    errors.UNAVAILABLE: codes.SERVER_UNAVAILABLE,
    # Of queues, which MQTT cannot name: a client hears of them by what feeds one.
    errors.NOT_FOUND: codes.TOPIC_NAME_INVALID,
    errors.CONFLICT: codes.IMPLEMENTATION_SPECIFIC_ERROR,
    errors.IN_USE: codes.IMPLEMENTATION_SPECIFIC_ERROR,
    errors.LOCKED: codes.IMPLEMENTATION_SPECIFIC_ERROR,
    errors.DELETED: codes.ADMINISTRATIVE_ACTION,
    errors.QUEUE_FULL: codes.QUOTA_EXCEEDED,
}

_NO_FRAME: Final = 0
_FRAME_3: Final = 3
_FRAME_5: Final = 5


@mypyc_attr(acyclic=True)
class MqttMessage(Message):
    """A message that came in as a PUBLISH, with the packet's octets.

    `grammar` is 5 (MQTT 5.0) or 3 (3.1 and 3.1.1) when what stands in `frame` may be said to each receiver alike,
    else 0. `passes` is the same when, moreover, `frame` can go out as QoS 0 unchanged.
    """

    def __init__(
        self,
        packet: Publish,
        topic: str,
        origin: Origin,
        properties: MessageProperties,
        expires_at: float,
        grammar: i64,
    ) -> None:
        super().__init__(topic, b"", packet.qos, packet.retain, origin, properties, expires_at)
        self.frame: Final = packet.frame
        self.topic_end: Final = packet.topic_end
        self.payload_offset: Final = packet.payload_offset
        self.grammar: Final = grammar
        self.passes: Final[i64] = grammar if packet.qos == 0 and not packet.retain else _NO_FRAME
        self._cut: PublishForm | None = None

    def cut_for(self, qos: i64, retain: bool) -> PublishForm | None:
        """The form for receivers of the same grammar, cut from the frame once; None when it would not be the
        same for another QoS or RETAIN. Not where `grammar` is 0."""
        if self.qos != qos or self.retain != retain or qos == 0:
            return None
        cut = self._cut
        if cut is None:
            cut = cut_form(self.frame, self.topic_end)
            self._cut = cut
        return cut

    @property
    def payload(self) -> bytes:
        return self.frame[self.payload_offset :]

    @property
    def payload_length(self) -> int:
        return len(self.frame) - self.payload_offset

    @property
    def weight(self) -> int:
        if self.properties is NO_PROPERTIES:
            return len(self.frame)
        return len(self.frame) + len(self.topic) + self.properties.weight()


@mypyc_attr(acyclic=True)
class Forms:
    """The encoded forms of one message, one per (grammar, QoS, RETAIN), kept in `Message.encoded`."""

    def __init__(self) -> None:
        self.forms: list[PublishForm | None] = [None] * 12


def message_properties(properties: Properties) -> MessageProperties:
    """What of a packet's properties belongs to the message."""
    return MessageProperties(
        properties.content_type,
        properties.payload_format_indicator == 1,
        properties.response_topic,
        properties.correlation_data,
        tuple(properties.user_properties),
    )


def message_from_publish(packet: Publish, topic: str, origin: Origin, now: float) -> MqttMessage:
    """The canonical message. `topic` is given apart because a Topic Alias may stand for it."""
    grammar: i64 = _FRAME_5 if packet.v5 else _FRAME_3
    if not packet.has_properties:
        return MqttMessage(packet, topic, origin, NO_PROPERTIES, NEVER, grammar)
    properties = packet.properties
    expiry = properties.message_expiry_interval
    if expiry is not None or properties.topic_alias is not None:
        grammar = _NO_FRAME
    expires_at = NEVER if expiry is None else now + expiry
    return MqttMessage(packet, topic, origin, message_properties(properties), expires_at, grammar)


def will_from_packet(will: WillPacket) -> Will:
    properties = will.properties
    return Will(
        will.topic,
        will.payload,
        will.qos,
        will.retain,
        message_properties(properties),
        properties.message_expiry_interval,
        properties.will_delay_interval or 0,
    )


def publish_properties(message: Message, now: float, identifiers: tuple[int, ...], topic_alias: int) -> Properties:
    """The properties of a PUBLISH to an MQTT 5.0 receiver. `topic_alias` is 0 for none."""
    carried = message.properties
    expiry: int | None = None
    if message.expires_at != NEVER:
        # [MQTT-3.3.2-6]: less the whole seconds that it has waited.
        expiry = max(0, int(message.expires_at - now + 0.999))
    elif (carried is NO_PROPERTIES or carried is NOT_DURABLE) and not identifiers and not topic_alias:
        return NO_PACKET_PROPERTIES
    return Properties(
        payload_format_indicator=1 if carried.is_text else None,
        message_expiry_interval=expiry,
        content_type=carried.content_type,
        response_topic=carried.response_topic,
        correlation_data=carried.correlation_data,
        user_properties=list(carried.user_properties) if carried.user_properties else None,
        subscription_identifiers=list(identifiers) if identifiers else None,
        topic_alias=topic_alias or None,
    )


def form(
    message: Message, v5: bool, qos: int, retain: bool, identifiers: tuple[int, ...], topic_alias: int, now: float
) -> PublishForm:
    """The message as a PUBLISH with DUP 0, made once for receivers that see it alike.

    `topic_alias` is 0 for none; a negative one is known to the receiver already and stands for the topic.
    """
    alike = not v5 or (not identifiers and topic_alias == 0 and message.expires_at == NEVER)
    if not alike:
        properties = publish_properties(message, now, identifiers, abs(topic_alias))
        topic = "" if topic_alias < 0 else message.topic
        return publish_form(5, topic, message.payload, qos, retain, properties)
    held = message.encoded
    if isinstance(held, Forms):
        forms = held.forms
    else:
        made = Forms()
        message.encoded = made
        forms = made.forms
    index = qos * 2 + (1 if retain else 0) + (6 if v5 else 0)
    known = forms[index]
    if known is None:
        properties = publish_properties(message, now, (), 0) if v5 else NO_PACKET_PROPERTIES
        known = publish_form(5 if v5 else 4, message.topic, message.payload, qos, retain, properties)
        forms[index] = known
    return known
