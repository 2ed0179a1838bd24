"""The preset for ROS 2: its common messages as DDS types, under the names that its middleware gives them.

A message `package/Name` has the DDS type `package::msg::dds_::Name_` there, and is written as a final type in plain
CDR; fields keep their names. Fast DDS and Cyclone DDS match such types by name.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any, Final

from bridgehead.protocols.dds.idl import Compiled, IdlError, compiled
from bridgehead.protocols.dds.ros2_messages import MESSAGES

# A message without fields has this one, for a structure of IDL needs a member (rosidl_generator_dds_idl).
_STAND_IN: Final = (("uint8", "structure_needs_at_least_one_member"),)
# ROS 2's names of primitive types -> the binding's; its `char` is a number (design.ros2.org, interface definitions).
_NUMBERS: Final = {
    "byte": "uint8",  # an octet, which the binding has no other name for
    "char": "uint8",
    "int8": "int8",
    "uint8": "uint8",
    "int16": "int16",
    "uint16": "uint16",
    "int32": "int32",
    "uint32": "uint32",
    "int64": "int64",
    "uint64": "uint64",
    "float32": "float32",
    "float64": "float64",
}


def preset(type_name: str) -> Compiled:
    """Of a message: `std_msgs/String`, `std_msgs/msg/String` or `std_msgs::msg::dds_::String_`. Errors: IdlError."""
    package, name = _parts(type_name)
    if f"{package}/{name}" not in _messages():
        near = ", ".join(sorted(each for each in _messages() if each.startswith(f"{package}/"))[:8])
        there = f"of {package} there are {near}, ..." if near else f"the packages are {', '.join(packages())}"
        raise IdlError(f"the preset has no message {type_name}: {there}; for others name an IDL file (`idl`)")
    return compiled(_class(f"{package}/{name}"), type_name)


def dds_name(message: str) -> str:
    """`package/Name` as DDS names its type."""
    package, name = message.split("/")
    return f"{package}::msg::dds_::{name}_"


def names() -> list[str]:
    """Of all messages of the preset, as `package/Name`."""
    return sorted(_messages())


def packages() -> list[str]:
    return sorted({each.split("/")[0] for each in _messages()})


def _parts(type_name: str) -> tuple[str, str]:
    parts = [each for each in type_name.replace("::", "/").replace(".", "/").split("/") if each not in ("msg", "dds_")]
    if len(parts) != 2:
        raise IdlError(f"{type_name!r} is no name of a ROS 2 message: write it as std_msgs/String")
    return parts[0], parts[1].removesuffix("_")


@cache
def _messages() -> dict[str, tuple[tuple[str, str], ...]]:
    """Of each message its fields: type and name."""
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    for line in MESSAGES.strip().replace("\n ", " ").splitlines():
        message, _, told = line.partition(":")
        fields = [tuple(each.split()) for each in told.split(",") if each.strip()]
        found[message] = tuple((kind, name) for kind, name in fields) or _STAND_IN
    return found


@cache
def _class(message: str) -> Any:
    """The binding's class: one for each message, which others contain."""
    from cyclonedds.idl import annotations, make_idl_struct

    package = message.split("/")[0]
    fields = {name: _hint(kind, package) for kind, name in _messages()[message]}
    name = dds_name(message)
    return annotations.final(make_idl_struct(name.split("::")[-1], name.replace("::", "."), fields))


def _hint(kind: str, package: str) -> Any:
    types: Any = import_module("cyclonedds.idl.types")
    element, bracket, length = kind.partition("[")
    if bracket:
        inner = _hint(element, package)
        length = length.removesuffix("]")
        return types.array[inner, int(length)] if length else types.sequence[inner]
    if element == "bool":
        return bool
    if element == "string":
        return str
    if element in _NUMBERS:
        return getattr(types, _NUMBERS[element])
    return _class(element if "/" in element else f"{package}/{element}")
