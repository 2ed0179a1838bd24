"""DDS' routes in the words of the security room, which compiles them into signed permissions."""

from __future__ import annotations

import re
from typing import Final

from bridgehead.protocols.dds.config import DdsConfig
from bridgehead.protocols.dds.mapping.settings import RouteConfig
from bridgehead.security.dds.routes import OWNER, RouteGrant, Routing

_WILD: Final = re.compile(r"[*?\[]")


def routing(config: DdsConfig) -> Routing:
    """The secured domains, and their routes."""
    metadata = {each.domain: each.metadata for each in config.domains if each.is_secured}
    logged = tuple(metadata) if config.log_topic else ()
    return Routing(metadata, [_grant(each) for each in config.routes], logged)


def _grant(route: RouteConfig) -> RouteGrant:
    owner = OWNER + route.name if route.exclusive else ""
    topic = dds_topic(route)
    return RouteGrant(route.domain, topic, route.partition, topic_filter(route), owner, route.goes_out, route.comes_in)


def dds_topic(route: RouteConfig) -> str:
    """The name in DDS: ROS 2 puts rt/ before that of a topic."""
    return "rt/" + route.topic.lstrip("/") if route.preset == "ros2" else route.topic


def topic_filter(route: RouteConfig) -> str:
    """All topics of the hub that the route may stand for."""
    if route.hub:
        return "/".join("+" if "${" in level else level for level in route.hub.split("/"))
    path = route.topic.lstrip("/") if route.preset == "ros2" else route.topic
    levels = [*(route.partition.split("/") if route.partition else ()), *path.split("/")]
    for at, level in enumerate(levels):
        if _WILD.search(level):
            return "/".join([*levels[:at], "#"])  # a wildcard of DDS crosses levels
    return "/".join(levels)
