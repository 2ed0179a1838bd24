"""Which routes a device may use, by its permissions on the hub's topics: the whole of a route, or nothing of it.

Participants judge each other by the name of a topic and not by the key of a sample, so whoever may write one instance
may write them all. A device is let onto a route's DDS topic only where its rights cover every topic of the hub that the
route stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from bridgehead.security.dds.documents import Rule
from bridgehead.security.dds.names import ANY, Expression

OWNER: Final = "$DDS/"  # the names of the right to be a route's owner or stand-by
TAG: Final = "$TAG/"  # the names of clearances
LOG_TOPIC: Final = "DDS/Security/LogTopic"
Covers = Callable[[str, bool], bool]


class RouteGrant:
    """A route in this room's words. `topic_filter` is what it stands for on the hub, `owner` the name on which a writer
    needs the right to publish besides, "" for none (ownership is shared). `publish`, `subscribe`: what the hub does."""

    def __init__(
        self, domain: int, topic: str, partition: str, topic_filter: str, owner: str, publish: bool, subscribe: bool
    ) -> None:
        self.domain: Final = domain
        self.topic: Final = topic
        self.partition: Final = partition
        self.topic_filter: Final = topic_filter
        self.owner: Final = owner
        self.publish: Final = publish
        self.subscribe: Final = subscribe

    @property
    def expression(self) -> Expression:
        return Expression(self.topic, self.partition)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RouteGrant) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((self.domain, self.topic, self.partition))

    def __repr__(self) -> str:
        return f"RouteGrant({self.domain}, {self.topic!r}, {self.partition!r}, {self.topic_filter!r})"


class Routing:
    """The secured domains of the hub, with governance's metadata_protection_kind ("encrypt" or "sign"), and routes."""

    def __init__(self, metadata: Mapping[int, str], routes: Sequence[RouteGrant], logged: Sequence[int] = ()) -> None:
        self.metadata: Final = dict(metadata)
        self.routes: Final = tuple(each for each in routes if each.domain in self.metadata)
        self.logged: Final = tuple(sorted(each for each in logged if each in self.metadata))

    @property
    def documented(self) -> tuple[dict[int, str], tuple[int, ...]]:
        """What the hub's own documents and participants are made by: routes are not in them."""
        return self.metadata, self.logged

    def stays(self, old: Routing) -> bool:
        """Whether the domains that both have are protected alike, so that the hub's participants there may go on."""
        both = self.metadata.keys() & old.metadata.keys()
        return all(
            self.metadata[each] == old.metadata[each] and (each in self.logged) == (each in old.logged) for each in both
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Routing) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((tuple(sorted(self.metadata)), self.routes))

    def __repr__(self) -> str:
        return f"Routing({self.metadata}, {self.routes})"


UNROUTED: Final = Routing({}, ())


def device_rules(routing: Routing, covers: Covers) -> list[Rule]:
    """What stands before the rules by names. `covers(topic_filter, publishes)` says whether the device's rights cover
    all of a filter.

    Where a route's topic is not allowed it is denied in every partition: a rule by names, which knows nothing of what
    the route stands for, could allow it else, and a reader may ask for many partitions at once.
    """
    rules: list[Rule] = []
    for domain in sorted(routing.metadata):
        routes = [each for each in routing.routes if each.domain == domain]
        log = _log(routing, domain)
        publish = [each.expression for each in routes if may_publish(each, covers)]
        subscribe = [each.expression for each in (*routes, *log) if covers(each.topic_filter, False)]
        rules.append(Rule(True, publish, subscribe, (domain, domain)))
        no_publish = [each.topic for each in (*routes, *log) if each.expression not in publish]
        no_subscribe = [each.topic for each in (*routes, *log) if each.expression not in subscribe]
        rules.append(Rule(False, _anywhere(no_publish), _anywhere(no_subscribe), (domain, domain)))
    return rules


def hub_rules(routing: Routing) -> list[Rule]:
    """Everything in its domains, without a name: permissions travel in clear in each handshake (DDS Security 1.1
    section 9.3.2.5). Who signs for all would not be held by what it signs for itself."""
    everything = [Expression(ANY), Expression(ANY, ANY)]
    return [Rule(True, everything, everything, (domain, domain)) for domain in sorted(routing.metadata)]


def may_publish(route: RouteGrant, covers: Covers) -> bool:
    return covers(route.topic_filter, True) and (not route.owner or covers(route.owner, True))


def _log(routing: Routing, domain: int) -> list[RouteGrant]:
    """Security's log: the hub writes it, and whoever may subscribe to its name reads it."""
    if domain not in routing.logged:
        return []
    return [RouteGrant(domain, LOG_TOPIC, "", f"{OWNER}{domain}/{LOG_TOPIC}", f"{OWNER}{domain}/log", True, False)]


def _anywhere(topics: Sequence[str]) -> list[Expression]:
    return [Expression(topic, partition) for topic in dict.fromkeys(topics) for partition in ("", ANY)]
