"""The type of a route's topic: from its IDL file, or from the ROS 2 preset."""

from __future__ import annotations

from pathlib import Path

from bridgehead.protocols.dds import binding, policies, ros2
from bridgehead.protocols.dds.codec.stream import XCDR1
from bridgehead.protocols.dds.cyclone import DdsError
from bridgehead.protocols.dds.idl import Compiled, IdlError, compile_idl
from bridgehead.protocols.dds.mapping.settings import ROS2, RouteConfig
from bridgehead.protocols.dds.route_end import TypeOf


def described(route: RouteConfig) -> Compiled | None:
    """By the configuration; None: it names no type, and somebody must announce the topic first (discovered.py).
    Blocks while idlc runs. Errors: DdsError."""
    missing = binding.missing()
    if missing:  # the binding makes types too, and fails with errors of its own where it can't be imported
        raise DdsError(missing)
    try:
        if route.preset == ROS2:
            return ros2.preset(route.type_name)
        return compile_idl(Path(route.idl), route.type_name) if route.idl else None
    except IdlError as error:
        raise DdsError(str(error)) from error


def type_of(route: RouteConfig, compiled: Compiled) -> TypeOf:
    representation = policies.XCDR1 if compiled.codec.representation == XCDR1 else policies.XCDR2
    return TypeOf(route.dds_topic, compiled.type.name, compiled.python, representation, compiled.type.extensibility)
