"""Packets and their octets, written by hand from the standard: one table for decoding, encoding and seed corpora."""

from __future__ import annotations

from dataclasses import dataclass

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
from bridgehead.protocols.mqtt.codec.properties import Properties

CLIENT = False
SERVER = True
ALL = (3, 4, 5)
MQTT_3 = (3, 4)


@dataclass(frozen=True)
class Vector:
    """`octets` is what `packet` looks like in each of `versions`, sent by a Client or a Server.

    `canonical` is False for a form that is decoded but that our encoder writes shorter.
    """

    name: str
    versions: tuple[int, ...]
    from_server: bool
    octets: bytes
    packet: Packet
    canonical: bool = True
    clauses: tuple[str, ...] = ()


V = Vector
request = SubscriptionRequest

CONNECTS = [
    V("connect 3.1", (3,), CLIENT, b"\x10\x12\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x04dev1", Connect(3, True, 60, "dev1")),
    V(
        "connect 3.1 of 23 characters",
        (3,),
        CLIENT,
        b"\x10\x25\x00\x06MQIsdp\x03\x00\x00\x00\x00\x17abcdefghijklmnopqrstuvw",
        Connect(3, False, 0, "abcdefghijklmnopqrstuvw"),
    ),
    V(
        "connect 3.1 with flags for strings that are missing",  # MQTT 3.1, 3.1: the Remaining Length takes precedence
        (3,),
        CLIENT,
        b"\x10\x12\x00\x06MQIsdp\x03\xc2\x00\x3c\x00\x04dev1",
        Connect(3, True, 60, "dev1"),
        canonical=False,
    ),
    V(
        "connect 3.1.1",
        (4,),
        CLIENT,
        b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04dev1",
        Connect(4, True, 60, "dev1"),
        clauses=("MQTT3-3.1.2-1", "MQTT3-3.1.3-3", "MQTT3-3.1.2-18", "MQTT3-3.1.2-20"),
    ),
    V(
        "connect 3.1.1 without client identifier",
        (4,),
        CLIENT,
        b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00",
        Connect(4, True, 0, ""),
        clauses=("MQTT3-3.1.3-6",),
    ),
    V(
        "connect 3.1.1 with everything",
        (4,),
        CLIENT,
        b"\x10\x27\x00\x04MQTT\x04\xee\xff\xff\x00\x04dev1\x00\x03w/t\x00\x04gone\x00\x04user\x00\x04\x00\xffpw",
        Connect(4, True, 65535, "dev1", Will("w/t", b"gone", 1, True), "user", b"\x00\xffpw"),
        clauses=("MQTT3-3.1.3-1", "MQTT3-3.1.2-9", "MQTT3-3.1.2-19", "MQTT3-3.1.2-21"),
    ),
    V(
        "connect 3.1.1 with an empty will message of QoS 2",
        (4,),
        CLIENT,
        b"\x10\x17\x00\x04MQTT\x04\x16\x00\x3c\x00\x04dev1\x00\x03w/t\x00\x00",
        Connect(4, True, 60, "dev1", Will("w/t", b"", 2, False)),
    ),
    V(
        "connect 5.0",
        (5,),
        CLIENT,
        b"\x10\x11\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x04dev1",
        Connect(5, True, 60, "dev1"),
        clauses=("MQTT-3.1.2-1", "MQTT-3.1.3-3", "MQTT-2.2.2-1", "MQTT-3.1.2-16", "MQTT-3.1.2-18"),
    ),
    V(
        "connect 5.0 without client identifier to resume with",
        (5,),
        CLIENT,
        b"\x10\x0d\x00\x04MQTT\x05\x00\x00\x00\x00\x00\x00",
        Connect(5, False, 0, ""),
        clauses=("MQTT-3.1.3-6",),
    ),
    V(
        "connect 5.0 with a password and no user name",
        (5,),
        CLIENT,
        b"\x10\x12\x00\x04MQTT\x05\x42\x00\x3c\x00\x00\x01a\x00\x02pw",
        Connect(5, True, 60, "a", None, None, b"pw"),
        clauses=("MQTT-3.1.2-19",),
    ),
    V(
        "connect 5.0 with everything",
        (5,),
        CLIENT,
        b"\x10\x71\x00\x04MQTT\x05\xf6\x00\x3c"
        b"\x24\x11\x00\x00\x0e\x10\x15\x00\x01K\x16\x00\x02\x00\xff\x17\x00\x19\x01\x21\x00\x0a\x22\x00\x05"
        b"\x26\x00\x01a\x00\x01b\x27\x00\x01\x00\x00"
        b"\x00\x04dev1"
        b"\x26\x01\x01\x02\x00\x00\x00\x3c\x03\x00\x01t\x08\x00\x01r\x09\x00\x01c\x18\x00\x00\x00\x05"
        b"\x26\x00\x01a\x00\x01b\x26\x00\x01a\x00\x01c"
        b"\x00\x03w/t\x00\x02\xc3\xa9\x00\x04user\x00\x04pass",
        Connect(
            5,
            True,
            60,
            "dev1",
            Will(
                "w/t",
                b"\xc3\xa9",
                2,
                True,
                Properties(
                    payload_format_indicator=1,
                    message_expiry_interval=60,
                    content_type="t",
                    response_topic="r",
                    correlation_data=b"c",
                    will_delay_interval=5,
                    user_properties=[("a", "b"), ("a", "c")],
                ),
            ),
            "user",
            b"pass",
            Properties(
                session_expiry_interval=3600,
                authentication_method="K",
                authentication_data=b"\x00\xff",
                request_problem_information=0,
                request_response_information=1,
                receive_maximum=10,
                topic_alias_maximum=5,
                user_properties=[("a", "b")],
                maximum_packet_size=65536,
            ),
        ),
        clauses=("MQTT-3.1.3-1", "MQTT-3.1.2-9", "MQTT-3.1.2-17", "MQTT-3.1.2-19", "MQTT-3.1.3-10"),
    ),
]

CONNACKS = [
    V("connack accepted 3.1", (3,), SERVER, b"\x20\x02\x00\x00", Connack(False, 0)),
    V("connack 3.1 with its reserved octet used", (3,), SERVER, b"\x20\x02\x01\x00", Connack(False, 0), False),
    V("connack 3.1.1, session present", (4,), SERVER, b"\x20\x02\x01\x00", Connack(True, 0)),
    V("connack 3.1.1, not authorized", (4,), SERVER, b"\x20\x02\x00\x05", Connack(False, 5)),
    V("connack 5.0", (5,), SERVER, b"\x20\x03\x00\x00\x00", Connack(False, 0)),
    V("connack 5.0, session present", (5,), SERVER, b"\x20\x03\x01\x00\x00", Connack(True, 0)),
    V(
        "connack 5.0 with everything",
        (5,),
        SERVER,
        b"\x20\x48\x00\x00\x45\x11\xff\xff\xff\xff\x12\x00\x02id\x13\x00\x1e\x15\x00\x01K\x16\x00\x01d\x1a\x00\x02ri"
        b"\x1c\x00\x01s\x1f\x00\x01w\x21\x00\x01\x22\xff\xff\x24\x01\x25\x00\x26\x00\x01n\x00\x01v\x26\x00\x01n\x00\x01v"
        b"\x27\xff\xff\xff\xff\x28\x01\x29\x00\x2a\x01",
        Connack(
            False,
            0,
            Properties(
                session_expiry_interval=0xFFFFFFFF,
                assigned_client_identifier="id",
                server_keep_alive=30,
                authentication_method="K",
                authentication_data=b"d",
                response_information="ri",
                server_reference="s",
                reason_string="w",
                receive_maximum=1,
                topic_alias_maximum=65535,
                maximum_qos=1,
                retain_available=0,
                user_properties=[("n", "v"), ("n", "v")],
                maximum_packet_size=0xFFFFFFFF,
                wildcard_subscription_available=1,
                subscription_identifier_available=0,
                shared_subscription_available=1,
            ),
        ),
    ),
]

PUBLISHES = [
    V("publish QoS 0", MQTT_3, CLIENT, b"\x30\x0a\x00\x03a/bhello", Publish("a/b", b"hello")),
    V(
        "publish QoS 0, 5.0",
        (5,),
        CLIENT,
        b"\x30\x0b\x00\x03a/b\x00hello",
        Publish("a/b", b"hello"),
        clauses=("MQTT-2.2.1-2", "MQTT-2.2.2-1", "MQTT-3.3.2-1"),
    ),
    V("publish without payload", MQTT_3, SERVER, b"\x31\x05\x00\x03a/b", Publish("a/b", b"", 0, True)),
    V("publish without payload, 5.0", (5,), SERVER, b"\x31\x06\x00\x03a/b\x00", Publish("a/b", b"", 0, True)),
    V(
        "publish QoS 1",
        MQTT_3,
        CLIENT,
        b"\x32\x08\x00\x03a/b\x12\x34!",
        Publish("a/b", b"!", 1, False, False, 0x1234),
    ),
    V(
        "publish QoS 2, again, retained",
        MQTT_3,
        SERVER,
        b"\x3d\x08\x00\x03a/b\xff\xff!",
        Publish("a/b", b"!", 2, True, True, 65535),
    ),
    V(
        "publish QoS 2, 5.0",
        (5,),
        CLIENT,
        b"\x34\x09\x00\x03a/b\x00\x01\x00!",
        Publish("a/b", b"!", 2, False, False, 1),
    ),
    V(
        "publish with characters of two, three and four octets and a BOM",
        MQTT_3,
        CLIENT,
        b"\x30\x0e\x00\x0c\xef\xbb\xbf\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
        Publish("\ufeff\u00e9\u20ac\U0001f600", b""),
        clauses=("MQTT-1.5.4-3", "MQTT3-1.5.3-3"),
    ),
    V(
        "publish with noncharacters and control characters in the topic",  # allowed, though 1.5.4 advises against them
        MQTT_3,
        CLIENT,
        b"\x30\x0a\x00\x08\xef\xbf\xbf\xef\xb7\x90\x01\x7f",
        Publish("\uffff\ufdd0\x01\x7f", b""),
    ),
    V(
        "publish by topic alias alone",
        (5,),
        CLIENT,
        b"\x30\x07\x00\x00\x03\x23\x00\x07!",
        Publish("", b"!", properties=Properties(topic_alias=7)),
    ),
    V(
        "publish with everything a client may send",
        (5,),
        CLIENT,
        b"\x32\x26\x00\x01t\x00\x0a\x1e\x01\x01\x02\x00\x00\x00\x3c\x03\x00\x01c\x08\x00\x01r\x09\x00\x02\x00\xff"
        b"\x23\x00\x01\x26\x00\x01a\x00\x01bxy",
        Publish(
            "t",
            b"xy",
            1,
            False,
            False,
            10,
            Properties(
                payload_format_indicator=1,
                message_expiry_interval=60,
                content_type="c",
                response_topic="r",
                correlation_data=b"\x00\xff",
                topic_alias=1,
                user_properties=[("a", "b")],
            ),
        ),
        clauses=("MQTT-3.3.2-13", "MQTT-3.3.2-19"),
    ),
    V(
        "publish with the subscription identifiers that matched",
        (5,),
        SERVER,
        b"\x30\x0b\x00\x01t\x07\x0b\x01\x0b\xff\xff\xff\x7f",
        Publish("t", b"", properties=Properties(subscription_identifiers=[1, 268435455])),
    ),
    V(
        "publish of 200 octets: two octets of Remaining Length",
        MQTT_3,
        CLIENT,
        b"\x30\xcd\x01\x00\x03a/b" + b"x" * 200,
        Publish("a/b", b"x" * 200),
    ),
]

ACKNOWLEDGEMENTS = [
    V("puback", ALL, CLIENT, b"\x40\x02\x12\x34", Puback(0x1234)),
    V("pubrec", ALL, SERVER, b"\x50\x02\x00\x01", Pubrec(1)),
    V("pubrel", ALL, CLIENT, b"\x62\x02\x00\x01", Pubrel(1)),
    V("pubcomp", ALL, SERVER, b"\x70\x02\xff\xff", Pubcomp(65535)),
    V("pubrel of 3.1, sent again", (3,), CLIENT, b"\x6a\x02\x00\x01", Pubrel(1), False),
    V("puback with the reason code alone", (5,), SERVER, b"\x40\x03\x00\x01\x10", Puback(1, 0x10)),
    V("puback of success in full", (5,), SERVER, b"\x40\x04\x00\x01\x00\x00", Puback(1), False),
    V("pubrec that refuses", (5,), SERVER, b"\x50\x03\x00\x01\x97", Pubrec(1, 0x97)),
    V("pubrel of an unknown identifier", (5,), CLIENT, b"\x62\x03\x00\x01\x92", Pubrel(1, 0x92)),
    V(
        "puback with properties",
        (5,),
        SERVER,
        b"\x40\x0f\x00\x01\x87\x0b\x1f\x00\x01w\x26\x00\x01a\x00\x01b",
        Puback(1, 0x87, Properties(reason_string="w", user_properties=[("a", "b")])),
    ),
    V(
        "pubcomp with a reason string",
        (5,),
        SERVER,
        b"\x70\x08\x00\x01\x92\x04\x1f\x00\x01w",
        Pubcomp(1, 0x92, Properties(reason_string="w")),
    ),
]

SUBSCRIPTIONS = [
    V(
        "subscribe to two filters",
        MQTT_3,
        CLIENT,
        b"\x82\x0e\x00\x0a\x00\x03a/#\x01\x00\x03b/+\x02",
        Subscribe(10, [request("a/#", 1), request("b/+", 2)]),
    ),
    V(
        "subscribe of 3.1, sent again",
        (3,),
        CLIENT,
        b"\x8a\x06\x00\x0a\x00\x01a\x00",
        Subscribe(10, [request("a")]),
        False,
    ),
    V(
        "subscribe with all options",
        (5,),
        CLIENT,
        b"\x82\x0b\x00\x0a\x00\x00\x01a\x2e\x00\x01b\x10",
        Subscribe(10, [request("a", 2, True, True, 2), request("b", 0, False, False, 1)]),
    ),
    V(
        "subscribe with properties",
        (5,),
        CLIENT,
        b"\x82\x14\x00\x01\x0a\x0b\x80\x01\x26\x00\x01a\x00\x01b\x00\x04$s/x\x01",
        Subscribe(1, [request("$s/x", 1)], Properties(subscription_identifiers=[128], user_properties=[("a", "b")])),
    ),
    V("suback", (4,), SERVER, b"\x90\x06\x00\x0a\x00\x01\x02\x80", Suback(10, [0, 1, 2, 0x80])),
    V("suback 5.0", (5,), SERVER, b"\x90\x06\x00\x0a\x00\x00\x02\x9e", Suback(10, [0, 2, 0x9E])),
    V(
        "suback 5.0 with a reason string",
        (5,),
        SERVER,
        b"\x90\x08\x00\x0a\x04\x1f\x00\x01w\x87",
        Suback(10, [0x87], Properties(reason_string="w")),
    ),
    V("unsubscribe", MQTT_3, CLIENT, b"\xa2\x09\x00\x0b\x00\x01a\x00\x02#x", Unsubscribe(11, ["a", "#x"])),
    V("unsubscribe 5.0", (5,), CLIENT, b"\xa2\x06\x00\x0b\x00\x00\x01a", Unsubscribe(11, ["a"])),
    V(
        "unsubscribe 5.0 with a user property",
        (5,),
        CLIENT,
        b"\xa2\x0d\x00\x0b\x07\x26\x00\x01a\x00\x01b\x00\x01a",
        Unsubscribe(11, ["a"], Properties(user_properties=[("a", "b")])),
    ),
    V("unsuback", MQTT_3, SERVER, b"\xb0\x02\x00\x0b", Unsuback(11, [])),
    V("unsuback 5.0", (5,), SERVER, b"\xb0\x05\x00\x0b\x00\x00\x11", Unsuback(11, [0, 0x11])),
]

OTHERS = [
    V("pingreq", ALL, CLIENT, b"\xc0\x00", Pingreq()),
    V("pingresp", ALL, SERVER, b"\xd0\x00", Pingresp()),
    V("disconnect", ALL, CLIENT, b"\xe0\x00", Disconnect()),
    V("disconnect with will", (5,), CLIENT, b"\xe0\x01\x04", Disconnect(4)),
    V("disconnect in full", (5,), CLIENT, b"\xe0\x02\x00\x00", Disconnect(), False),
    V(
        "disconnect of a client with a session expiry interval",
        (5,),
        CLIENT,
        b"\xe0\x07\x00\x05\x11\x00\x00\x00\x00",
        Disconnect(0, Properties(session_expiry_interval=0)),
    ),
    V(
        "disconnect of a server that moved",
        (5,),
        SERVER,
        b"\xe0\x11\x9d\x0f\x1c\x00\x01s\x1f\x00\x01w\x26\x00\x01a\x00\x01b",
        Disconnect(0x9D, Properties(server_reference="s", reason_string="w", user_properties=[("a", "b")])),
    ),
    V("auth of success", (5,), SERVER, b"\xf0\x00", Auth()),
    V(
        "auth that goes on",
        (5,),
        CLIENT,
        b"\xf0\x0b\x18\x09\x15\x00\x01K\x16\x00\x02\x01\x02",
        Auth(0x18, Properties(authentication_method="K", authentication_data=b"\x01\x02")),
    ),
]

VECTORS: list[Vector] = [*CONNECTS, *CONNACKS, *PUBLISHES, *ACKNOWLEDGEMENTS, *SUBSCRIPTIONS, *OTHERS]
