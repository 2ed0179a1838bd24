"""From a topic to its receivers: subscriptions, joined per session, and shared groups, cached per topic."""

from __future__ import annotations

from typing import Final

from bridgehead.core.clearance import is_cleared
from bridgehead.core.filter_tree import FilterTree
from bridgehead.core.message import Message, Origin
from bridgehead.core.session import Session, Subscription, Target
from bridgehead.core.topic import LONGEST_REMEMBERED

_CACHED_ROUTES: Final = 65536
_CACHED_TAGS: Final = 64  # sets of data tags of one topic


class SharedGroup:
    """The members of one shared subscription: `$share/name/filter` (MQTT 5.0 section 4.8.2)."""

    def __init__(self, name: str, topic_filter: str) -> None:
        self.name: Final = name
        self.topic_filter: Final = topic_filter
        self.key: Final = f"$share/{name}/{topic_filter}"
        self.members: dict[Session, Subscription] = {}
        self.turn = 0  # whose turn it is
        # Members that are away and hold what another could be sent.
        self.holders: dict[Session, None] = {}


class GroupRoute:
    """A group's members that may receive one topic."""

    def __init__(self, group: SharedGroup, targets: list[Target]) -> None:
        self.group: Final = group
        self.targets: Final = targets


class Route:
    """The receivers of one topic, as long as `generation` is the router's. `unverified`: those of messages whose
    origin is not verified, None when they are the same. `tagged`: those of messages with data tags, by these."""

    def __init__(self, targets: list[Target], groups: list[GroupRoute], generation: int) -> None:
        self.targets: Final = targets
        self.groups: Final = groups
        self.generation: Final = generation
        self.unverified: Route | None = None
        self.tagged: dict[tuple[str, ...], Route] | None = None


class Router:
    """All subscriptions. Who may receive is asked of the principal's permissions when a route is made; a
    change of subscriptions or permissions starts a new generation, and no older route is used."""

    def __init__(self) -> None:
        self._tree: Final = FilterTree()
        self._groups: dict[str, SharedGroup] = {}
        self._routes: dict[str, Route] = {}
        self.generation = 0
        self.subscriptions = 0
        self.octets = 0  # as Subscription.weight

    def add(self, subscription: Subscription) -> Subscription | None:
        """Add or replace; returns the subscription that was there."""
        self._forget()
        session = subscription.session
        key = subscription.key
        old = session.subscriptions.get(key)
        session.subscriptions[key] = subscription
        if old is None:
            self.subscriptions += 1
            self.octets += subscription.weight
            session.principal.root.subscription_octets += subscription.weight
        if not subscription.share:
            self._tree.put(subscription.topic_filter, session, subscription)
            return old
        group = self._groups.get(key)
        if group is None:
            group = SharedGroup(subscription.share, subscription.topic_filter)
            self._groups[key] = group
            self._tree.put(group.topic_filter, group.key, group)
        group.members[session] = subscription
        return old

    def remove(self, session: Session, key: str) -> Subscription | None:
        """Remove by `Subscription.key`; returns the subscription that was there."""
        subscription = session.subscriptions.pop(key, None)
        if subscription is None:
            return None
        if session.replay is not None:
            session.replay.pop(key, None)
        self._forget()
        self.subscriptions -= 1
        self.octets -= subscription.weight
        session.principal.root.subscription_octets -= subscription.weight
        if not subscription.share:
            self._tree.discard(subscription.topic_filter, session)
            return subscription
        group = self._groups[key]
        del group.members[session]
        if not group.members:
            del self._groups[key]
            self._tree.discard(group.topic_filter, group.key)
        return subscription

    def _forget(self) -> None:
        self.generation += 1
        if self._routes:
            self._routes.clear()

    def permissions_changed(self) -> None:
        """Every route is to be judged anew."""
        self._forget()

    def group(self, key: str) -> SharedGroup | None:
        return self._groups.get(key)

    def group_route(self, key: str, topic: str, origin: Origin) -> GroupRoute | None:
        """The members of the group `key` ("$share/name/filter") that may receive `topic` from such an origin."""
        route = self.route(topic)
        if route.unverified is not None and not origin.verified:
            route = route.unverified
        if origin.tags:
            route = self.cleared(route, origin.tags)
        for found in route.groups:
            if found.group.key == key:
                return found
        return None

    def known_route(self, topic: str) -> Route | None:
        """The topic's receivers if they have been asked for in this generation."""
        return self._routes.get(topic)

    def route(self, topic: str) -> Route:
        """The topic's receivers."""
        known = self._routes.get(topic)
        if known is not None:
            return known
        by_session: dict[Session, list[Subscription]] = {}
        shared: list[SharedGroup] = []
        apart = False
        for value in self._tree.match(topic):
            if isinstance(value, Subscription):
                held = by_session.get(value.session)
                if held is None:
                    by_session[value.session] = [value]
                    apart = apart or value.session.principal.tells_origins_apart(topic)
                else:
                    held.append(value)
            elif isinstance(value, SharedGroup):
                shared.append(value)
                for member in value.members:
                    apart = apart or member.principal.tells_origins_apart(topic)
        route = self._made(topic, list(by_session.values()), shared, True)
        if apart:
            route.unverified = self._made(topic, list(by_session.values()), shared, False)
        if len(topic) <= LONGEST_REMEMBERED:
            if len(self._routes) >= _CACHED_ROUTES:
                self._routes.clear()
            self._routes[topic] = route
        return route

    def cleared(self, route: Route, tags: tuple[str, ...]) -> Route:
        """Of the route's receivers those that have clearance for the tags."""
        if route.tagged is None:
            route.tagged = {}
        found = route.tagged.get(tags)
        if found is None:
            targets = [target for target in route.targets if is_cleared(target.session.principal, tags)]
            groups = [
                GroupRoute(each.group, [to for to in each.targets if is_cleared(to.session.principal, tags)])
                for each in route.groups
            ]
            found = Route(targets, groups, route.generation)
            if len(route.tagged) >= _CACHED_TAGS:
                route.tagged.clear()
            route.tagged[tags] = found
        return found

    def _made(
        self, topic: str, subscriptions: list[list[Subscription]], shared: list[SharedGroup], verified: bool
    ) -> Route:
        targets: list[Target] = []
        for held in subscriptions:
            target = join(held, topic, verified)
            if target is not None:
                targets.append(target)
        groups: list[GroupRoute] = []
        for group in shared:
            members = [member_target(member, topic, verified) for member in group.members.values()]
            groups.append(GroupRoute(group, [member for member in members if member is not None]))
        return Route(targets, groups, self.generation)


def permitted_qos(session: Session, message: Message) -> int:
    """The highest QoS at which the session may receive the message, -1 when it may not."""
    if message.origin.tags and not is_cleared(session.principal, message.origin.tags):
        return -1
    return session.principal.receivable_qos(message.topic, message.origin.verified)


def member_target(subscription: Subscription, topic: str, verified: bool) -> Target | None:
    permitted = subscription.session.principal.receivable_qos(topic, verified)
    if permitted < 0:
        return None
    identifiers = (subscription.identifier,) if subscription.identifier else ()
    return Target(
        subscription.session,
        min(permitted, subscription.qos),
        identifiers,
        subscription.retain_as_published,
        subscription.key,
    )


def join(subscriptions: list[Subscription], topic: str, verified: bool) -> Target | None:
    """One target for a session's overlapping subscriptions: one copy, the highest QoS, all identifiers
    ([MQTT-3.3.4-2], [MQTT-3.3.4-4])."""
    session = subscriptions[0].session
    permitted = session.principal.receivable_qos(topic, verified)
    if permitted < 0:
        return None
    target = _joined(session, subscriptions, permitted)
    others = [subscription for subscription in subscriptions if not subscription.no_local]
    if len(others) < len(subscriptions):
        target.skip_own = True  # [MQTT-3.8.3-3]
        if others:
            target.without_own = _joined(session, others, permitted)
    return target


def _joined(session: Session, subscriptions: list[Subscription], permitted: int) -> Target:
    qos = 0
    retain_as_published = False
    identifiers: list[int] = []
    for subscription in subscriptions:
        qos = max(qos, subscription.qos)
        retain_as_published = retain_as_published or subscription.retain_as_published
        if subscription.identifier:
            identifiers.append(subscription.identifier)
    return Target(session, min(qos, permitted), tuple(identifiers), retain_as_published)
