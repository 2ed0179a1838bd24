"""Who may publish and receive what: permissions, and the decisions that follow from them.

Deny by default; a denying permission overrides every allowing one. A decision is made on the canonical
Topic Name. What a principal may do with one topic is six bits, one for each (QoS, RETAIN), and is
remembered per topic until the principal's permissions change.
"""

from __future__ import annotations

from typing import Final

from bridgehead.core.filter_tree import FilterTree
from bridgehead.core.topic import LONGEST_REMEMBERED, covers, shown

_REMEMBERED: Final = 4096  # topics per principal and operation


class Permission:
    """`topic_filter` with `${device}` already replaced; `max_qos` and `retain` bound what it allows.

    A permission with `allow=False` denies the operation on what its filter matches, whatever the QoS.
    """

    def __init__(
        self,
        topic_filter: str,
        publish: bool,
        subscribe: bool,
        max_qos: int = 2,
        retain: bool = True,
        allow: bool = True,
    ) -> None:
        self.topic_filter: Final = topic_filter
        self.publish: Final = publish
        self.subscribe: Final = subscribe
        self.max_qos: Final = max_qos
        self.retain: Final = retain
        self.allow: Final = allow

    def __str__(self) -> str:
        verbs = (
            "publish and subscribe" if self.publish and self.subscribe else "publish" if self.publish else "subscribe"
        )
        text = f"{'allow' if self.allow else 'deny'} {verbs} {self.topic_filter}"
        if self.allow:
            text += f" up to QoS {self.max_qos}"
            if self.publish and not self.retain:
                text += ", not retained"
        return text


class Decision:
    """The answer, the sentence that says why, and the permission that decided (None when none covers)."""

    def __init__(self, permit: bool, because: str, permission: Permission | None) -> None:
        self.permit: Final = permit
        self.because: Final = because
        self.permission: Final = permission


def _bits(permission: Permission) -> int:
    """Bit `qos + 3 * retain` says that this QoS, retained or not, is allowed."""
    plain = (1 << (permission.max_qos + 1)) - 1
    return plain | (plain << 3) if permission.retain else plain


class _Operation:
    """The permissions of one principal for one operation, indexed by filter."""

    def __init__(self, permissions: list[Permission]) -> None:
        self.permissions: Final = permissions
        self._tree: Final = FilterTree()
        for i, permission in enumerate(permissions):
            self._tree.put(permission.topic_filter, i, permission)
        self._remembered: dict[str, int] = {}

    def mask(self, topic: str) -> int:
        known = self._remembered.get(topic)
        if known is not None:
            return known
        bits = 0
        for value in self._tree.match(topic):
            assert isinstance(value, Permission)
            if not value.allow:
                bits = 0
                break
            bits |= _bits(value)
        if len(topic) <= LONGEST_REMEMBERED:
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            self._remembered[topic] = bits
        return bits

    def matching(self, topic: str) -> list[Permission]:
        found: list[Permission] = []
        for value in self._tree.match(topic):
            assert isinstance(value, Permission)
            found.append(value)
        return found


class Principal:
    """An identity, once proven. One object per name while the hub runs, so that a change reaches everyone
    who holds it. `created`, in seconds since the epoch, tells it from a later one of the same name."""

    def __init__(self, name: str, permissions: list[Permission], client_ids: list[str], created: float = 0.0) -> None:
        self.name: Final = name
        self.created: Final = created
        self.permissions: list[Permission] = []
        self.client_ids: list[str] = []
        self._publish: _Operation = _Operation([])
        self._subscribe: _Operation = _Operation([])
        self.amend(permissions, client_ids)

    def amend(self, permissions: list[Permission], client_ids: list[str]) -> None:
        """Put other permissions in force; every remembered decision is forgotten."""
        self.permissions = permissions
        self.client_ids = client_ids
        self._publish = _Operation([p for p in permissions if p.publish])
        self._subscribe = _Operation([p for p in permissions if p.subscribe])

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

    def publish_mask(self, topic: str) -> int:
        """Bit `qos + 3 * retain`: may publish to `topic` with this QoS and RETAIN."""
        return self._publish.mask(topic)

    def receive_mask(self, topic: str) -> int:
        """Bits 0 to 2: may receive `topic` with this QoS. 0: not at all."""
        return self._subscribe.mask(topic) & 0b111

    def may_publish(self, topic: str, qos: int, retain: bool) -> bool:
        return (self._publish.mask(topic) >> (qos + 3 if retain else qos)) & 1 == 1

    def subscribable_qos(self, topic_filter: str) -> int:
        """The highest QoS with which the principal may subscribe to the filter, -1 if not at all.

        One permission must cover the whole filter. A denial that covers only part of it does not refuse the
        subscription: it is applied to each delivery."""
        highest = -1
        for permission in self._subscribe.permissions:
            if covers(permission.topic_filter, topic_filter):
                if not permission.allow:
                    return -1
                if permission.max_qos > highest:
                    highest = permission.max_qos
        return highest

    def explain_publish(self, topic: str, qos: int, retain: bool) -> Decision:
        """The same decision as `may_publish`, with its reason."""
        what = f"publish {'retained ' if retain else ''}to {shown(topic)} with QoS {qos}"
        near: Permission | None = None
        for permission in self._publish.matching(topic):
            if not permission.allow:
                return Decision(False, f"{self.name!r} may not {what}: {permission}", permission)
            near = permission
        if self.may_publish(topic, qos, retain):
            for permission in self._publish.matching(topic):
                if permission.max_qos >= qos and (permission.retain or not retain):
                    return Decision(True, f"{self.name!r} may {what}: {permission}", permission)
        if near is not None:
            return Decision(False, f"{self.name!r} may not {what}: the nearest permission is to {near}", None)
        return Decision(False, f"no permission of {self.name!r} covers publish {shown(topic)}", None)

    def explain_subscribe(self, topic_filter: str) -> Decision:
        """The same decision as `subscribable_qos`, with its reason. A Topic Name asks for one topic."""
        allowing: Permission | None = None
        for permission in self._subscribe.permissions:
            if covers(permission.topic_filter, topic_filter):
                if not permission.allow:
                    return Decision(
                        False, f"{self.name!r} may not subscribe to {shown(topic_filter)}: {permission}", permission
                    )
                if allowing is None or permission.max_qos > allowing.max_qos:
                    allowing = permission
        if allowing is None:
            return Decision(False, f"no permission of {self.name!r} covers subscribe {shown(topic_filter)}", None)
        return Decision(True, f"{self.name!r} may subscribe to {shown(topic_filter)}: {allowing}", allowing)
