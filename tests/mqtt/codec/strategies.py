"""Packets and properties as hypothesis makes them, each valid in the version that it is made for."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from bridgehead.protocols.mqtt.codec.packets import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    SubscriptionRequest,
    Unsuback,
    Unsubscribe,
    Will,
)
from bridgehead.protocols.mqtt.codec.properties import (
    BINARY_DATA,
    BYTE,
    FOUR_BYTE_INTEGER,
    NO_PROPERTIES,
    PROPERTIES,
    TWO_BYTE_INTEGER,
    UTF8_STRING,
    WILL,
    Properties,
)
from bridgehead.protocols.mqtt.codec.reason_codes import REASON_CODES

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
topics = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00+#"), min_size=1, max_size=12)
octets = st.binary(max_size=12)
packet_ids = st.integers(1, 65_535)
pairs = st.lists(st.tuples(texts, texts), min_size=1, max_size=3)
variable = st.integers(1, 268_435_455)


def _attribute(name: str) -> str:
    attribute = name.lower().replace(" ", "_")
    return {"subscription_identifier": "subscription_identifiers", "user_property": "user_properties"}.get(
        attribute, attribute
    )


def _values(identifier: int, packet_type: int) -> st.SearchStrategy[Any]:
    data_type = PROPERTIES[identifier].data_type
    name = PROPERTIES[identifier].name
    least = 1 if name in ("Receive Maximum", "Topic Alias", "Maximum Packet Size") else 0
    if name == "Response Topic":
        return topics
    if data_type == BYTE:
        return st.integers(0, 1)
    if data_type == TWO_BYTE_INTEGER:
        return st.integers(least, 0xFFFF)
    if data_type == FOUR_BYTE_INTEGER:
        return st.integers(least, 0xFFFFFFFF)
    if data_type == UTF8_STRING:
        return texts
    if data_type == BINARY_DATA:
        return octets
    if name == "User Property":
        return pairs
    return st.lists(variable, min_size=1, max_size=3 if packet_type == 3 else 1)


@st.composite
def properties(draw: st.DrawFn, packet_type: int, from_server: bool = False) -> Properties:
    """What `packet_type` may carry (0: the Will Properties), sent by a Server or a Client."""
    made: dict[str, Any] = {}
    for identifier, info in PROPERTIES.items():
        if not info.packets >> packet_type & 1 or not draw(st.booleans()):
            continue
        if packet_type == 3 and info.name == "Subscription Identifier" and not from_server:
            continue
        if packet_type == 14 and info.name == "Session Expiry Interval" and from_server:
            continue
        made[_attribute(info.name)] = draw(_values(identifier, packet_type))
    if "authentication_data" in made:
        made.setdefault("authentication_method", "K")
    return Properties(**made) if made else NO_PROPERTIES


def _properties(version: int, packet_type: int, from_server: bool = False) -> st.SearchStrategy[Properties]:
    return properties(packet_type, from_server) if version == 5 else st.just(NO_PROPERTIES)


def _reason_codes(packet_type: int) -> st.SearchStrategy[int]:
    return st.sampled_from([code for code, (_, packets) in REASON_CODES.items() if packets >> packet_type & 1])


@st.composite
def connects(draw: st.DrawFn, version: int) -> Connect:
    clean_start = draw(st.booleans())
    if version == 3 or (version == 4 and not clean_start):
        client_id = draw(texts.filter(bool))
    else:
        client_id = draw(texts)
    will = None
    if draw(st.booleans()):
        will = Will(
            draw(topics), draw(octets), draw(st.integers(0, 2)), draw(st.booleans()), draw(_properties(version, WILL))
        )
    user_name = draw(st.none() | texts)
    password = draw(st.none() | octets) if version == 5 or user_name is not None else None
    keep_alive = draw(st.integers(0, 65_535))
    return Connect(
        version, clean_start, keep_alive, client_id, will, user_name, password, draw(_properties(version, 1))
    )


@st.composite
def publishes(draw: st.DrawFn, version: int, from_server: bool) -> Publish:
    qos = draw(st.integers(0, 2))
    made = draw(_properties(version, 3, from_server))
    topic = draw(topics if made.topic_alias is None else st.just("") | topics)
    packet_id = draw(packet_ids) if qos else 0
    dup = draw(st.booleans()) if qos else False
    payload = draw(st.binary(max_size=200))
    return Publish(topic, payload, qos, draw(st.booleans()), dup, packet_id, made)


@st.composite
def acknowledgements(draw: st.DrawFn, version: int, from_server: bool) -> Packet:
    kind = draw(st.sampled_from([Puback, Pubrec, Pubrel, Pubcomp]))
    packet_type = {Puback: 4, Pubrec: 5, Pubrel: 6, Pubcomp: 7}[kind]
    if version < 5:
        return kind(draw(packet_ids))
    return kind(draw(packet_ids), draw(_reason_codes(packet_type)), draw(properties(packet_type, from_server)))


@st.composite
def subscribes(draw: st.DrawFn, version: int) -> Subscribe:
    requests = []
    for topic_filter in draw(st.lists(texts, min_size=1, max_size=4)):
        qos = draw(st.integers(0, 2))
        if version < 5:
            requests.append(SubscriptionRequest(topic_filter, qos))
            continue
        no_local = draw(st.booleans()) and not topic_filter.startswith("$share/")
        retain_as_published, retain_handling = draw(st.booleans()), draw(st.integers(0, 2))
        requests.append(SubscriptionRequest(topic_filter, qos, no_local, retain_as_published, retain_handling))
    return Subscribe(draw(packet_ids), requests, draw(_properties(version, 8)))


def from_client(version: int) -> st.SearchStrategy[Packet]:
    """Any packet but CONNECT that a Client of `version` sends."""
    unsubscribes = st.builds(Unsubscribe, packet_ids, st.lists(texts, min_size=1, max_size=4), _properties(version, 10))
    kinds: list[st.SearchStrategy[Any]] = [
        publishes(version, False),
        acknowledgements(version, False),
        subscribes(version),
        unsubscribes,
        st.just(Pingreq()),
    ]
    if version == 5:
        kinds.append(st.builds(Disconnect, _reason_codes(14), properties(14)))
        kinds.append(st.builds(Auth, _reason_codes(15), properties(15)))
    else:
        kinds.append(st.just(Disconnect()))
    return st.one_of(kinds)


def from_server(version: int) -> st.SearchStrategy[Packet]:
    """Any packet that a Server of `version` sends."""
    kinds: list[st.SearchStrategy[Any]] = [
        publishes(version, True),
        acknowledgements(version, True),
        st.just(Pingresp()),
    ]
    if version == 5:
        kinds.append(st.builds(Connack, st.just(False), _reason_codes(2), properties(2)))
        kinds.append(st.builds(Connack, st.just(True), st.just(0), properties(2)))
        codes = st.lists(_reason_codes(9), min_size=1, max_size=4)
        kinds.append(st.builds(Suback, packet_ids, codes, properties(9)))
        codes = st.lists(_reason_codes(11), min_size=1, max_size=4)
        kinds.append(st.builds(Unsuback, packet_ids, codes, properties(11)))
        kinds.append(st.builds(Disconnect, _reason_codes(14), properties(14, True)))
        kinds.append(st.builds(Auth, _reason_codes(15), properties(15)))
    else:
        kinds.append(st.builds(Connack, st.just(False), st.integers(0, 5)))
        kinds.append(st.builds(Suback, packet_ids, st.lists(st.sampled_from([0, 1, 2, 0x80]), min_size=1, max_size=4)))
        kinds.append(st.builds(Unsuback, packet_ids, st.just([])))
    return st.one_of(kinds)
