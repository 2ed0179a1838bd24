"""Measures the MQTT codec alone: CPU nanoseconds per packet, and says whether it ran compiled.

PYTHONPATH=src python bench/codec.py
PYTHONPATH=build/compiled python bench/codec.py [--json]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

from bridgehead.protocols.mqtt.codec import decode as decode_module
from bridgehead.protocols.mqtt.codec.decode import Decoder
from bridgehead.protocols.mqtt.codec.encode import ack, cut_form, encode, publish_form
from bridgehead.protocols.mqtt.codec.packets import Packet, Puback, Publish
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES, Properties
from bridgehead.protocols.mqtt.codec.reason_codes import PUBACK

READ = 65_536
TOPIC = "Office/Meetingroom/Temperature"
PAYLOAD = b"x" * 64


def nanoseconds(work: Callable[[], object], per_call: int, seconds: float) -> float:
    """The best of five rounds, in CPU nanoseconds per packet."""
    work()
    best = float("inf")
    for _ in range(5):
        calls = 0
        started = time.process_time_ns()
        while (spent := time.process_time_ns() - started) < seconds / 5 * 1e9:
            work()
            calls += 1
        best = min(best, spent / (calls * per_call))
    return best


def stream(packets: list[Packet], version: int) -> tuple[bytes, int]:
    """One read of 64 KB, of whole packets, and their number."""
    octets = b"".join([encode(packet, version) for packet in packets])
    times = max(1, READ // len(octets))
    return octets * times, times * len(packets)


def decoding(packets: list[Packet], version: int, one_by_one: bool = False) -> tuple[Callable[[], object], int]:
    decoder = Decoder(1_048_576, {})
    decoder.protocol_version = version
    octets, count = stream(packets, version)
    if one_by_one:
        packet = encode(packets[0], version)
        return repeated(lambda: decoder.feed(packet))
    return lambda: decoder.feed(octets), count


def repeated(function: Callable[[], object]) -> tuple[Callable[[], object], int]:
    def work() -> None:
        for _ in range(100):
            function()

    return work, 100


def scenarios() -> dict[str, tuple[Callable[[], object], int]]:
    one: list[Packet] = [Publish(TOPIC, PAYLOAD)]
    many: list[Packet] = [Publish(f"{TOPIC}/{number}", PAYLOAD) for number in range(50)]
    lengths: list[Packet] = [Publish(TOPIC, PAYLOAD[:number]) for number in range(40, 64)]
    qos_1: list[Packet] = [Publish(TOPIC, PAYLOAD, 1, packet_id=number) for number in range(1, 50)]
    rich: list[Packet] = [
        Publish(
            TOPIC,
            PAYLOAD,
            properties=Properties(
                message_expiry_interval=60, content_type="text/plain", user_properties=[("unit", "degree Celsius")]
            ),
        )
    ]
    acks: list[Packet] = [Puback(number) for number in range(1, 100)]
    five = Decoder(1_048_576)
    five.protocol_version = 5
    received = five.feed(encode(qos_1[0], 5))[0]
    assert isinstance(received, Publish)
    return {
        "decode PUBLISH QoS 0, 3.1.1, one topic": decoding(one, 4),
        "decode PUBLISH QoS 0, 5.0, one topic": decoding(one, 5),
        "decode PUBLISH QoS 0, 3.1.1, 50 topics in turn": decoding(many, 4),
        "decode PUBLISH QoS 0, 3.1.1, lengths in turn": decoding(lengths, 4),
        "decode PUBLISH QoS 1, 5.0, one topic": decoding(qos_1, 5),
        "decode PUBLISH QoS 0, 5.0, three properties": decoding(rich, 5),
        "decode PUBLISH QoS 0, 3.1.1, one packet a read": decoding(one, 4, one_by_one=True),
        "decode PUBACK": decoding(acks, 5),
        "publish_form QoS 0, 3.1.1 (from Python)": repeated(
            lambda: publish_form(4, TOPIC, PAYLOAD, 0, False, NO_PROPERTIES)
        ),
        "publish_form QoS 1, 5.0 (from Python)": repeated(
            lambda: publish_form(5, TOPIC, PAYLOAD, 1, False, NO_PROPERTIES)
        ),
        "cut_form QoS 1, 5.0 (from Python)": repeated(lambda: cut_form(received.frame, received.topic_end)),
        "ack (from Python)": repeated(lambda: ack(PUBACK, 4711)),
        "encode PUBLISH, three properties (from Python)": repeated(lambda: encode(rich[0], 5)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--seconds", type=float, default=1.0, help="CPU seconds per row")
    arguments = parser.parse_args()
    compiled = not decode_module.__file__.endswith(".py")
    figures = {name: nanoseconds(work, count, arguments.seconds) for name, (work, count) in scenarios().items()}
    if arguments.json:
        print(json.dumps({"compiled": compiled, "nanoseconds": figures}))
        return
    print("compiled" if compiled else "interpreted")
    for name, figure in figures.items():
        print(f"{figure:9.0f} ns  {name}")


if __name__ == "__main__":
    main()
