"""For ROS 2's Python, in an environment of its own: messages as JSON, and as ROS 2 itself serialises them.

python ros2_serialise.py SEED package/Name...   # a line of JSON each: name, value, CDR in hexadecimal digits
"""

from __future__ import annotations

import json
import random
import sys
from importlib import import_module
from typing import Any

serialization: Any = import_module("rclpy.serialization")


def message_class(name: str) -> Any:
    package, message = name.split("/")
    return getattr(import_module(f"{package}.msg"), message)


def fields_of(name: str) -> dict[str, tuple[str, int]]:
    """Of each field: the type, or that of its elements, and how many: -1 for one, 0 for any number."""
    found = {}
    for field, kind in message_class(name).get_fields_and_field_types().items():
        if kind.startswith("sequence<"):
            found[field] = (kind.removeprefix("sequence<").removesuffix(">"), 0)
        else:
            element, bracket, length = kind.partition("[")
            found[field] = (element, int(length.removesuffix("]")) if bracket else -1)
    return found


def value_of(kind: str, chance: random.Random) -> Any:
    if "/" in kind:
        return message_of(kind, chance)
    if kind == "string":
        return chance.choice(["", "abc", "grün"])
    if kind == "boolean":
        return chance.random() < 0.5
    if kind in ("float", "double"):
        return chance.randint(-8, 8) / 4
    if kind == "octet":
        return chance.randint(0, 255)
    bits = int(kind.removeprefix("u").removeprefix("int"))
    return chance.randrange(2**bits) if kind.startswith("u") else chance.randrange(-(2 ** (bits - 1)), 2 ** (bits - 1))


def message_of(name: str, chance: random.Random) -> dict[str, Any]:
    found = {}
    for field, (kind, count) in fields_of(name).items():
        if count < 0:
            found[field] = value_of(kind, chance)
        else:
            found[field] = [value_of(kind, chance) for _ in range(count or chance.randint(0, 3))]
    return found


def built(name: str, value: dict[str, Any]) -> Any:
    message = message_class(name)()
    for field, (kind, count) in fields_of(name).items():
        each = value[field]
        if "/" in kind:
            each = built(kind, each) if count < 0 else [built(kind, inner) for inner in each]
        elif kind == "octet":
            each = bytes([each]) if count < 0 else [bytes([inner]) for inner in each]
        setattr(message, field, each)
    return message


if __name__ == "__main__":
    numbers = random.Random(int(sys.argv[1]))
    for message in sys.argv[2:]:
        value = message_of(message, numbers)
        octets = serialization.serialize_message(built(message, value))
        sys.stdout.write(json.dumps([message, value, octets.hex()]) + "\n")
