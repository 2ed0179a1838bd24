"""`[dds]`, checked, and in the words of DDS' own rooms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from bridgehead.node.dds_settings import Dds, DdsDomain, DdsRoute
from bridgehead.node.toml_lines import KeyPath
from bridgehead.protocols.dds.config import DdsConfig, DomainConfig
from bridgehead.protocols.dds.mapping.settings import RouteConfig, RouteQos
from bridgehead.security.records import is_name

Fault = Callable[[KeyPath, str, str], Exception]
_DOMAIN: Final[KeyPath] = ("dds", "domain")
_ROUTE: Final[KeyPath] = ("dds", "route")
_RESERVED: Final = "DCPS"  # built-in topics begin so (DDS 1.4 section 2.2.5)


def checked(dds: Dds, fault: Fault, absolute: Callable[[str], Path]) -> Dds:
    """With whole paths. `fault(key, problem, remedy)` makes the error that is raised."""
    domains: dict[int, DdsDomain] = {}
    for index, domain in enumerate(dds.domains):
        _check_domain((*_DOMAIN, index), domain, domains, fault)
        domains[domain.id] = domain
    routes: list[DdsRoute] = []
    seen: set[tuple[int, str, str]] = set()
    for index, route in enumerate(dds.routes):
        at = (*_ROUTE, index)
        _check_route(at, route, domains, fault)
        name = (route.domain, route.partition, route.topic)
        if name in seen:
            raise fault((*at, "topic"), f'"{route.topic}" of domain {route.domain} has a route already', "join the two")
        seen.add(name)
        routes.append(replace(route, idl=_file(at, route.idl, fault, absolute)) if route.idl else route)
    return replace(dds, routes=routes)


def _check_domain(at: KeyPath, domain: DdsDomain, others: dict[int, DdsDomain], fault: Fault) -> None:
    if domain.id in others:
        raise fault((*at, "id"), f"domain {domain.id} stands there twice", "join the two")
    if domain.security == "required":
        if domain.guest:
            raise fault(
                (*at, "guest"), 'is for security = "none" only: here everybody proves who they are', "remove it"
            )
    elif domain.guest and not is_name(domain.guest):
        raise fault((*at, "guest"), f'"{domain.guest}" is no device\'s name', "name a device of this hub")


def _check_route(at: KeyPath, route: DdsRoute, domains: dict[int, DdsDomain], fault: Fault) -> None:
    domain = domains.get(route.domain)
    if domain is None:
        remedy = f"add [[dds.domain]] with id = {route.domain}"
        raise fault((*at, "domain"), f"the hub takes no part in domain {route.domain}", remedy)
    if route.topic.startswith(_RESERVED):
        raise fault((*at, "topic"), f'"{route.topic}" is one of DDS\' own topics', "name another topic")
    if route.preset:
        if not route.type or route.idl:
            problem = 'preset = "ros2" brings its types by their names in ROS 2'
            raise fault((*at, "idl" if route.idl else "type"), problem, 'write type = "std_msgs/String", and no idl')
    elif not route.idl and not domain.discover_types:
        problem = f'"{route.topic}" has no idl, and domain {route.domain} does not discover types'
        remedy = "name the IDL file of its type (discover_types = true would ask for it in clear)"
        raise fault((*at, "topic"), problem, remedy)
    if route.idl and not route.type:
        raise fault((*at, "type"), '"type" is missing', "name the type in the IDL file, with its modules")
    for name, value in route.tags.items():
        if any(each in name + value for each in "=;/+#") or not name or not value:
            raise fault((*at, "tags", name), f'"{name} = {value}" is no tag', "use letters, digits, - . and _ only")


def _file(at: KeyPath, name: str, fault: Fault, absolute: Callable[[str], Path]) -> str:
    path = absolute(name)
    if not path.is_file():
        raise fault((*at, "idl"), f"{path} is no file", "check the path: it starts at the configuration's folder")
    return str(path)


def dds_config(dds: Dds) -> DdsConfig:
    """For DDS' server."""
    config = DdsConfig()
    config.domains = tuple(
        DomainConfig(
            each.id,
            each.security,
            each.guest,
            tuple(each.interfaces),
            tuple(each.peers),
            each.multicast,
            each.discover_types,
            each.metadata,
        )
        for each in dds.domains
    )
    config.routes = tuple(_route(each) for each in dds.routes)
    config.sample_octets = dds.sample_size
    config.batch = dds.batch
    config.waiting = dds.waiting
    config.participants = dds.participants
    config.endpoints = dds.endpoints
    config.permissions_lifetime = dds.permissions_lifetime
    config.log_topic = dds.log_topic
    return config


def _route(route: DdsRoute) -> RouteConfig:
    qos = route.qos
    key = (route.key,) if isinstance(route.key, str) else tuple(route.key)
    return RouteConfig(
        route.domain,
        route.topic,
        route.type,
        route.idl,
        route.preset,
        route.partition,
        route.hub,
        tuple(each for each in key if each),
        route.direction,
        route.payload,
        RouteQos(
            qos.reliability,
            qos.durability,
            qos.depth,
            qos.deadline,
            qos.lifespan,
            qos.liveliness,
            qos.lease,
            qos.ownership,
            qos.strength,
            qos.latency_budget,
        ),
        tuple(f"{name}={value}" for name, value in sorted(route.tags.items())),
        route.instances,
        route.timestamps,
    )
