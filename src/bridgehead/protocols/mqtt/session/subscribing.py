"""SUBSCRIBE and UNSUBSCRIBE (MQTT 5.0 sections 3.8 to 3.11) with shared subscriptions (4.8.2)."""

from __future__ import annotations

from typing import Final

from bridgehead.broker.door import Door
from bridgehead.core.errors import FILTER_INVALID, Refusal
from bridgehead.core.session import Session, Subscription
from bridgehead.core.topic import check_topic_filter
from bridgehead.protocols.mqtt.codec import reason_codes as codes
from bridgehead.protocols.mqtt.codec.encode import encode
from bridgehead.protocols.mqtt.codec.packets import (
    Connect,
    Suback,
    Subscribe,
    SubscriptionRequest,
    Unsuback,
    Unsubscribe,
)
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES
from bridgehead.protocols.mqtt.codec.reason_codes import SUBACK
from bridgehead.protocols.mqtt.mapping import REASON_CODES
from bridgehead.protocols.mqtt.session.greeting import client_packet_size, reason, tells_why
from bridgehead.wire.errors import Violation

_FAILURE_V3: Final = 0x80
_SHARE: Final = "$share/"


def share_of(topic_filter: str) -> tuple[str, str]:
    """(ShareName, Topic Filter) of a filter as it is written in SUBSCRIBE; ShareName "" when not shared.

    Refusal(FILTER_INVALID) when it begins as a shared one and is none ([MQTT-4.8.2-1], [MQTT-4.8.2-2])."""
    if not topic_filter.startswith(_SHARE):
        return "", topic_filter
    name, slash, rest = topic_filter[len(_SHARE) :].partition("/")
    if not name or "+" in name or "#" in name:
        raise Refusal(FILTER_INVALID, "a ShareName needs at least one character and none of / + #")
    if not slash or not rest:
        raise Refusal(FILTER_INVALID, "a shared subscription is $share/ShareName/Topic Filter")
    return name, rest


def subscribe(packet: Subscribe, session: Session, door: Door, connect: Connect | None) -> tuple[bytes, bytes]:
    """Returns the SUBACK, and the SUBACK to send instead when what it grants cannot be made durable.

    Raises PeerError, before anything is done, when the client would not take the SUBACK."""
    v5 = connect is not None and connect.protocol_version == 5
    maximum_packet_size = client_packet_size(connect)
    _check_room(len(packet.subscriptions), "SUBACK", maximum_packet_size)
    identifiers = packet.properties.subscription_identifiers
    identifier = identifiers[0] if identifiers else 0
    answers: list[int] = []
    because: list[str] = []
    for request in packet.subscriptions:
        try:
            answers.append(_subscribe_one(request, session, door, identifier))
        except Refusal as refusal:
            because.append(refusal.because)
            code = REASON_CODES[refusal.meaning]
            if not v5:
                code = _FAILURE_V3
            elif not codes.is_allowed(code, SUBACK):
                code = codes.UNSPECIFIED_ERROR
            answers.append(code)
    version = 5 if v5 else 4
    properties = NO_PROPERTIES
    if because and tells_why(connect):
        properties = reason("; ".join(because[:8]))
    granted = encode(Suback(packet.packet_id, answers, properties), version)
    if maximum_packet_size and len(granted) > maximum_packet_size:
        granted = encode(Suback(packet.packet_id, answers), version)  # [MQTT-3.9.2-1]
    failure = codes.QUOTA_EXCEEDED if v5 else _FAILURE_V3
    refused = encode(
        Suback(packet.packet_id, [code if code >= codes.UNSPECIFIED_ERROR else failure for code in answers]), version
    )
    return granted, refused


def _subscribe_one(request: SubscriptionRequest, session: Session, door: Door, identifier: int) -> int:
    share, topic_filter = share_of(request.topic_filter)
    if share and request.no_local:
        raise Violation("No Local must not be set on a shared subscription", codes.PROTOCOL_ERROR)  # [MQTT-3.8.3-4]
    return door.subscribe(
        Subscription(
            session,
            topic_filter,
            request.qos,
            request.no_local,
            request.retain_as_published,
            request.retain_handling,
            identifier,
            share,
        )
    )


def _check_room(codes_to_send: int, name: str, maximum_packet_size: int) -> None:
    """[MQTT-3.1.2-24]: an answer of one octet for each filter cannot be made shorter. Fixed header, Packet
    Identifier and Property Length take 8 octets at most."""
    if maximum_packet_size and codes_to_send + 8 > maximum_packet_size:
        raise Violation(
            f"the {name} would be larger than the client's Maximum Packet Size of {maximum_packet_size} octets",
            codes.PACKET_TOO_LARGE,
        )


def unsubscribe(packet: Unsubscribe, session: Session, door: Door, connect: Connect | None) -> bytes:
    """Returns the UNSUBACK. Raises PeerError, before anything is done, when the client would not take it."""
    _check_room(len(packet.topic_filters), "UNSUBACK", client_packet_size(connect))
    answers: list[int] = []
    for topic_filter in packet.topic_filters:
        code = codes.SUCCESS
        try:
            _, plain = share_of(topic_filter)
            check_topic_filter(plain)
            if not door.unsubscribe(session, topic_filter):
                code = codes.NO_SUBSCRIPTION_EXISTED
        except Refusal as refusal:
            code = REASON_CODES[refusal.meaning]
        answers.append(code)
    return encode(Unsuback(packet.packet_id, answers), 4 if connect is None else connect.protocol_version)
