"""DDS' routes in the words of the security room, which compiles them into signed permissions."""

from __future__ import annotations

import re
from typing import Final

from bridgehead.protocols.dds.config import DdsConfig
from bridgehead.protocols.dds.mapping.names import default_topic
from bridgehead.protocols.dds.mapping.settings import ROS2, RouteConfig
from bridgehead.security.dds.routes import OWNER, RouteGrant, Routing

_WILD: Final = re.compile(r"[*?\[]")


def routing(config: DdsConfig) -> Routing:
    """The secured domains, and their routes."""
    metadata = {each.domain: each.metadata for each in config.domains if each.is_secured}
    logged = tuple(metadata) if config.log_topic else ()
    return Routing(metadata, [_grant(each) for each in config.routes], logged)


def _grant(route: RouteConfig) -> RouteGrant:
    owner = OWNER + route.name if route.exclusive else ""
    return RouteGrant(
        route.domain, route.dds_topic, route.partition, topic_filter(route), owner, route.goes_out, route.comes_in
    )


def topic_filter(route: RouteConfig) -> str:
    """All topics of the hub that the route may stand for."""
    if route.hub:
        return "/".join("+" if "${" in level else level for level in route.hub.split("/"))
    topic = route.topic.lstrip("/") if route.preset == ROS2 else route.topic
    levels = default_topic(route.partition, topic).split("/")
    for at, level in enumerate(levels):
        if _WILD.search(level):
            return "/".join([*levels[:at], "#"])  # a wildcard of DDS crosses levels
    return "/".join(levels)
