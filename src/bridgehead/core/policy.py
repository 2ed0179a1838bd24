"""Who may publish and receive what: the rights of a principal, and the decisions that follow from them.

Deny by default; a denying permission overrides every allowing one, in whichever of the principal's rights it stands.
A decision is made on the canonical Topic Name. What a principal may do with one topic is one number, and is remembered
per topic until its rights change.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from bridgehead.core.bucket import Bucket
from bridgehead.core.errors import NOT_AUTHORIZED, QUOTA_EXCEEDED, TOO_LARGE
from bridgehead.core.explain import Asked, line_of
from bridgehead.core.permission import (
    DENIES_PUBLISH,
    DENIES_RECEIVE,
    MAYBE,
    PLAIN,
    RECEIVE,
    Context,
    Decision,
    Permission,
)
from bridgehead.core.rights import UNLIMITED, Bindings, Rights
from bridgehead.core.topic import LONGEST_REMEMBERED

__all__ = ["Bindings", "Context", "Decision", "Permission", "Principal", "Rights"]

_NO_TOPIC: Final = "\0"  # no Topic Name holds it [MQTT-4.7.3-2]
_REMEMBERED: Final = 4096  # topics per view of a principal


class Principal:
    """An identity, once proven. One object per name while the hub runs, so that a change reaches everyone
    who holds it. `created`, in seconds since the epoch, tells it from a later one of the same name.

    `under(context)` is the view of it that a connection holds: the same identity, with what its permissions permit to
    a connection that came so. `root` is the principal without a context, of which nothing is known but its name.
    """

    def __init__(
        self, name: str, rights: list[Rights], bindings: Bindings, client_ids: list[str], created: float = 0.0
    ) -> None:
        self.name: Final = name
        self.created: Final = created
        self.context: Context | None = None
        self.root: Principal = self
        self.rights: list[Rights] = rights
        self.bindings: Bindings = bindings
        self.client_ids: list[str] = client_ids
        self._views: dict[tuple[str, tuple[str, ...]], Principal] | None = None
        self._remembered: dict[str, int] = {}
        self._last = _NO_TOPIC  # the topic that was asked about last, by identity: a publisher often stays with one
        self._last_mask: i64 = 0
        self._candidates: dict[str, list[tuple[Rights, Permission]]] = {}
        # Of the root alone: the device's, however many connections it has. What its sessions hold, in octets:
        self.queued_octets = 0
        self.subscription_octets = 0
        self._depth = 0
        self._bounded = False  # it has a quota
        self._messages: Bucket | None = None
        self._octets: Bucket | None = None
        self._rates: dict[Permission, tuple[Rights, Bucket]] = {}
        self.forget()

    @classmethod
    def of(cls, name: str, permissions: list[Permission], client_ids: list[str], created: float = 0.0) -> Principal:
        """With permissions of its own only."""
        return Principal(name, [Rights(f"device {name}", permissions)], {"device": (name,)}, client_ids, created)

    def under(self, context: Context) -> Principal:
        """The view that a connection holds which came so."""
        root = self.root
        if root._views is None:
            root._views = {}
        key = context.key()
        view = root._views.get(key)
        if view is None:
            view = Principal(root.name, root.rights, root.bindings, root.client_ids, root.created)
            view.context = context
            view.root = root
            view._depth = root._depth
            view._bounded = root._bounded
            root._views[key] = view  # there are not more than ways to prove an identity
        return view

    def amend(self, rights: list[Rights], bindings: Bindings, client_ids: list[str]) -> None:
        """Put other rights in force, in all views; every remembered decision is forgotten."""
        root = self.root
        root.rights = rights
        root.bindings = bindings
        root.client_ids = client_ids
        root.forget()

    def permit(self, permissions: list[Permission], client_ids: list[str]) -> None:
        """As `amend`, with permissions of its own only."""
        self.amend([Rights(f"device {self.name}", permissions)], {"device": (self.name,)}, client_ids)

    def forget(self) -> None:
        """One of its Rights was amended: decide anew. Buckets of permissions that are still there stay as they are."""
        root = self.root
        root._depth = 0
        messages = octets = UNLIMITED
        for rights in root.rights:
            root._depth = max(root._depth, rights.depth)
            messages = min(messages, rights.messages)
            octets = min(octets, rights.octets)
        root._bounded = messages != UNLIMITED or octets != UNLIMITED
        if root._messages is None or root._messages.rate != messages:
            root._messages = None if messages == UNLIMITED else Bucket(messages, 0.0)
        if root._octets is None or root._octets.rate != octets:
            root._octets = None if octets == UNLIMITED else Bucket(octets, 0.0)
        if root._rates:
            kept = {permission: held for permission, held in root._rates.items() if held[0] in root.rights}
            root._rates = {permission: held for permission, held in kept.items() if permission in held[0].permissions}
        root._remembered.clear()
        root._last = _NO_TOPIC
        root._candidates.clear()
        if root._views is not None:
            for view in root._views.values():
                view.rights = root.rights
                view.bindings = root.bindings
                view.client_ids = root.client_ids
                view._depth = root._depth
                view._bounded = root._bounded
                view._remembered.clear()
                view._last = _NO_TOPIC
                view._candidates.clear()

    def may_use_client_id(self, client_id: str) -> bool:
        """By default its own name, or that name followed by "-" and anything. Patterns in the record
        replace the default; "*" at a pattern's end stands for anything."""
        if not self.client_ids:
            return client_id == self.name or client_id.startswith(self.name + "-")
        for pattern in self.client_ids:
            if pattern.endswith("*"):
                if client_id.startswith(pattern[:-1]):
                    return True
            elif client_id == pattern:
                return True
        return False

    # Decisions. -------------------------------------------------------------------------------------

    def _mask(self, topic: str) -> int:
        known = self._remembered.get(topic)
        if known is not None:
            return known
        found: i64 = 0
        levels = topic.split("/", self._depth)
        for rights in self.rights:
            found |= rights.judge(levels, topic, self.bindings, self.context)
        if found & DENIES_PUBLISH:
            found &= ~0xFFFF
        elif self._bounded:
            found = (found & ~PLAIN) | ((found & PLAIN) << MAYBE)
        if found & DENIES_RECEIVE:
            found &= 0xFFFF
        found &= 0xFFFFFF
        if len(topic) <= LONGEST_REMEMBERED:
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            self._remembered[topic] = found
        return found

    def publish_mask(self, topic: str) -> i64:
        """Bit `qos + 3 * retain`: may publish to `topic` with this QoS and RETAIN. Eight bits higher: may as far as
        `take` permits the message."""
        if topic is not self._last:
            self._last_mask = self._mask(topic)
            self._last = topic
        return self._last_mask & 0xFFFF

    def may_publish(self, topic: str, qos: int, retain: bool) -> bool:
        """Whether some message may be published so."""
        mask = self._mask(topic)
        return ((mask | (mask >> MAYBE)) >> (qos + 3 if retain else qos)) & 1 == 1

    def receivable_qos(self, topic: str, verified: bool) -> int:
        """The highest QoS with which it may receive `topic` from a verified or another origin, -1 for not at all."""
        mask = self._mask(topic) >> RECEIVE
        return ((mask if verified else mask >> 3) & 0b111).bit_length() - 1

    def tells_origins_apart(self, topic: str) -> bool:
        """Whether it makes a difference to it who sends to `topic`."""
        mask = self._mask(topic) >> RECEIVE
        return mask & 0b111 != mask >> 3

    def subscribable_qos(self, topic_filter: str) -> int:
        """The highest QoS with which the principal may subscribe to the filter, -1 if not at all.

        One permission must cover the whole filter. A denial that covers only part of it does not refuse the
        subscription: it is applied to each delivery."""
        return self.receivable_qos(topic_filter, True)

    def take(
        self, topic: str, qos: int, retain: bool, payload: int, weight: int, verified: bool, now: float
    ) -> Decision | None:
        """Judge one message of `payload` octets, of `weight` octets in all, that `publish_mask` leaves to the details,
        and count it. None: it may be published; else the refusal."""
        found = self._bounds(topic, qos, retain, payload, verified, now)
        if not found.permit:
            return found
        root = self.root
        for bucket, cost, what in ((root._messages, 1.0, "messages"), (root._octets, float(weight), "octets")):
            if bucket is not None and not bucket.has(cost, now):
                because = f"{self.name!r} has published as much as it may: its quota is {bucket.rate:g} {what} a second"
                return Decision(False, because, None, "", QUOTA_EXCEEDED)
        if root._messages is not None:
            root._messages.take(1.0)
        if root._octets is not None:
            root._octets.take(float(weight))
        if found.permission is not None and found.permission.rate > 0:
            root._rates[found.permission][1].take(1.0)
        return None

    def _bounds(self, topic: str, qos: int, retain: bool, payload: int, verified: bool, now: float) -> Decision:
        """The first permission that permits the message, those without a rate first, or which is nearest to it."""
        unverified: tuple[Rights, Permission] | None = None
        too_large: tuple[Rights, Permission] | None = None
        too_fast: tuple[Rights, Permission] | None = None
        for candidate in self._details(topic):
            rights, permission = candidate
            if permission.max_qos < qos or (retain and not permission.retain):
                continue
            if permission.verified and not verified:
                unverified = candidate
            elif permission.max_payload >= 0 and payload > permission.max_payload:
                too_large = candidate
            elif permission.rate > 0 and not self._bucket(rights, permission, now).has(1.0, now):
                too_fast = candidate
            else:
                return Decision(True, "", permission, rights.name)
        who = repr(self.name)
        if too_fast is not None:
            return _bounded(f"{who} publishes faster than it may", too_fast, QUOTA_EXCEEDED)
        if too_large is not None:
            return _bounded(f"a payload of {payload} octets is larger than {who} may publish", too_large, TOO_LARGE)
        if unverified is not None:
            return _bounded(f"{who} may publish it over a verified connection only", unverified, NOT_AUTHORIZED)
        return Decision(False, f"{who} may not publish it", None)

    def _details(self, topic: str) -> list[tuple[Rights, Permission]]:
        """Those that allow to publish to the topic, those with a rate last. Asked after `publish_mask`."""
        known = self._candidates.get(topic)
        if known is not None:
            return known
        free: list[tuple[Rights, Permission]] = []
        paced: list[tuple[Rights, Permission]] = []
        levels = topic.split("/", self._depth)
        for rights in self.rights:
            for permission in rights.covering(levels, topic, self.bindings):
                if permission.publish and permission.allow and permission.holds(self.context):
                    (paced if permission.rate > 0 else free).append((rights, permission))
        free.extend(paced)
        if len(topic) <= LONGEST_REMEMBERED:
            if len(self._candidates) >= _REMEMBERED:
                self._candidates.clear()
            self._candidates[topic] = free
        return free

    def _bucket(self, rights: Rights, permission: Permission, now: float) -> Bucket:
        held = self.root._rates.get(permission)
        if held is None:
            held = (rights, Bucket(permission.rate, now))
            self.root._rates[permission] = held
        return held[1]

    # Reasons. ---------------------------------------------------------------------------------------

    def explain_publish(
        self, topic: str, qos: int, retain: bool, payload: int = -1, verified: bool = True, thorough: bool = False
    ) -> Decision:
        """The same decision as `may_publish` and, for a message of `payload` octets (-1: whatever), as `take` without
        rate and quota. `thorough`: where nothing covers the topic, look through all permissions for what is nearest;
        that takes time, and is for people."""
        return self._asked(thorough).publish(topic, qos, retain, payload, verified)

    def explain_subscribe(self, topic_filter: str, thorough: bool = False) -> Decision:
        """The same decision as `subscribable_qos`. A Topic Name asks for one topic."""
        return self._asked(thorough).subscribe(topic_filter)

    def explain_receive(self, topic: str, verified: bool = True, thorough: bool = False) -> Decision:
        """The same decision as `receivable_qos`, for a message of a verified or another origin."""
        return self._asked(thorough).receive(topic, verified)

    def _asked(self, thorough: bool) -> Asked:
        return Asked(self.name, self.rights, self.bindings, self.context, self._depth, thorough)


def _bounded(text: str, candidate: tuple[Rights, Permission], meaning: str) -> Decision:
    rights, permission = candidate
    return Decision(False, f"{text}: {line_of(rights, permission)}", None, rights.name, meaning, permission)
