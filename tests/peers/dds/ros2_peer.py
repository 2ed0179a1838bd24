"""ROS 2 as somebody else's hands: a line of JSON is a message to publish, a line of JSON what came of it.

    ros2_peer.py talk|listen TOPIC TYPE     (as `/chatter std_msgs/String`; the domain is in the environment)

Told: {"ready": true}, {"matched": COUNT}, {"written": COUNT}, {"sample": FIELDS}. Ends where its input does.
"""

from __future__ import annotations

import importlib
import json
import sys
import threading
from typing import Any

import rclpy
from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks

NODE = "robot"
DEPTH = 100
TELLING = threading.Lock()


def tell(what: dict[str, Any]) -> None:
    with TELLING:  # two threads tell
        print(json.dumps(what), flush=True)


def matched(status: Any) -> None:
    tell({"matched": status.current_count})


def fields(value: Any) -> Any:
    """A message as JSON has it."""
    if hasattr(value, "get_fields_and_field_types"):
        return {name: fields(getattr(value, name)) for name in value.get_fields_and_field_types()}
    if hasattr(value, "tolist"):  # an array of numbers
        return value.tolist()
    if isinstance(value, list | tuple):
        return [fields(each) for each in value]
    return list(value) if isinstance(value, bytes) else value


def fill(message: Any, values: dict[str, Any]) -> Any:
    """`message` with the values; what isn't named stays as it is."""
    for name, value in values.items():
        old = getattr(message, name)
        setattr(message, name, fill(old, value) if hasattr(old, "get_fields_and_field_types") else value)
    return message


def talk(node: Any, kind: Any, topic: str) -> None:
    publisher = node.create_publisher(kind, topic, DEPTH, event_callbacks=PublisherEventCallbacks(matched=matched))
    tell({"ready": True})
    for count, line in enumerate(sys.stdin, 1):
        publisher.publish(fill(kind(), json.loads(line)))
        tell({"written": count})


def listen(node: Any, kind: Any, topic: str) -> None:
    callbacks = SubscriptionEventCallbacks(matched=matched)
    node.create_subscription(kind, topic, lambda got: tell({"sample": fields(got)}), DEPTH, event_callbacks=callbacks)
    tell({"ready": True})
    for _ in sys.stdin:
        continue


def main() -> None:
    does, topic, name = sys.argv[1:4]
    package, _, short = name.partition("/")
    kind = getattr(importlib.import_module(f"{package}.msg"), short)
    rclpy.init(signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    node = rclpy.create_node(NODE)
    hands = threading.Thread(target=talk if does == "talk" else listen, args=(node, kind, topic), daemon=True)
    hands.start()
    while hands.is_alive():
        rclpy.spin_once(node, timeout_sec=0.05)
    node.destroy_node()
    rclpy.shutdown()


if __name__ == "__main__":
    main()
