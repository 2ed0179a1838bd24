"""Why somebody may do something or not: which line decided, whose it is, or what is nearest to permitting it."""

from __future__ import annotations

from typing import Final

from bridgehead.core.errors import NOT_AUTHORIZED, TOO_LARGE
from bridgehead.core.permission import Context, Decision, Permission, printable
from bridgehead.core.rights import Bindings, Rights, resolved
from bridgehead.core.topic import covers, shown


def line_of(rights: Rights, permission: Permission) -> str:
    """The permission with its owner and its source."""
    return f"{permission} ({rights.name}{', ' if permission.source else ''}{printable(permission.source)})"


class _Near:
    """A permission that does not permit, with how far it is from doing so: the higher, the nearer."""

    def __init__(self, rights: Rights, permission: Permission, why: str, meaning: str = NOT_AUTHORIZED) -> None:
        self.rights: Final = rights
        self.permission: Final = permission
        self.why: Final = why
        self.meaning: Final = meaning


class Asked:
    """What is asked of one principal. `depth` is that of its rights."""

    def __init__(
        self,
        name: str,
        rights: list[Rights],
        bindings: Bindings,
        context: Context | None,
        depth: int,
        thorough: bool,
    ) -> None:
        self._name: Final = name
        self._rights: Final = rights
        self._bindings: Final = bindings
        self._context: Final = context
        self._depth: Final = depth
        self._thorough: Final = thorough

    def publish(self, topic: str, qos: int, retain: bool, payload: int, verified: bool) -> Decision:
        what = f"publish {'retained ' if retain else ''}to {shown(topic)} with QoS {qos}"
        return self._decide(topic, what, f"publish {shown(topic)}", True, qos, retain, payload, verified)

    def subscribe(self, topic_filter: str) -> Decision:
        what = f"subscribe to {shown(topic_filter)}"
        return self._decide(topic_filter, what, f"subscribe {shown(topic_filter)}", False, 0, False, -1, True)

    def receive(self, topic: str, verified: bool) -> Decision:
        what = f"receive {shown(topic)}"
        return self._decide(topic, what, f"subscribe {shown(topic)}", False, 0, False, -1, verified)

    def _decide(
        self,
        topic: str,
        what: str,
        shortly: str,
        publish: bool,
        qos: int,
        retain: bool,
        payload: int,
        verified: bool,
    ) -> Decision:
        name = self._name
        best: tuple[Rights, Permission] | None = None
        near: _Near | None = None
        levels = topic.split("/", self._depth)
        for rights in self._rights:
            for permission in rights.covering(levels, topic, self._bindings):
                if not (permission.publish if publish else permission.subscribe):
                    continue
                if not permission.allow:
                    if permission.holds(self._context):
                        because = f"{name!r} may not {what}: {line_of(rights, permission)}"
                        return Decision(False, because, permission, rights.name)
                    continue
                found = self._lacks(rights, permission, publish, qos, retain, payload, verified)
                if found is not None:
                    near = found if near is None or found.meaning == TOO_LARGE else near
                elif best is None or permission.max_qos > best[1].max_qos:
                    best = (rights, permission)
        if best is not None:
            return Decision(True, f"{name!r} may {what}: {line_of(best[0], best[1])}", best[1], best[0].name)
        if near is not None:
            line = line_of(near.rights, near.permission)
            because = f"{name!r} may not {what}: the nearest permission is to {line}, {near.why}"
            return Decision(False, because, None, near.rights.name, near.meaning, near.permission)
        because = f"no permission of {name!r} covers {shortly}"
        if self._thorough:
            near = self._nearest(topic, levels, publish)
            if near is not None:
                because += f"; the nearest is to {line_of(near.rights, near.permission)}, {near.why}"
                return Decision(False, because, None, near.rights.name, NOT_AUTHORIZED, near.permission)
        return Decision(False, because, None)

    def _lacks(
        self,
        rights: Rights,
        permission: Permission,
        publish: bool,
        qos: int,
        retain: bool,
        payload: int,
        verified: bool,
    ) -> _Near | None:
        """What is missing for it to permit; None: nothing."""
        if not permission.holds(self._context):
            came = "it is not known how the connection came" if self._context is None else f"this is {self._context}"
            return _Near(rights, permission, f"and {came}")
        if permission.max_qos < qos:
            return _Near(rights, permission, "which is less")
        if retain and not permission.retain:
            return _Near(rights, permission, "and this is retained")
        if permission.verified and not verified:
            return _Near(rights, permission, "and this origin is not")
        if publish and 0 <= permission.max_payload < payload:
            return _Near(rights, permission, f"and this has {payload}", TOO_LARGE)
        return None

    def _nearest(self, topic: str, levels: list[str], publish: bool) -> _Near | None:
        """Of those that do not cover it: the same for the other verb, else the filter that agrees in most levels."""
        for rights in self._rights:
            for permission in rights.covering(levels, topic, self._bindings):
                if permission.allow and permission.holds(self._context):
                    return _Near(rights, permission, "which is not the same")
        found: _Near | None = None
        most = 0
        for rights in self._rights:
            for permission in rights.permissions:
                if not permission.allow or not (permission.publish if publish else permission.subscribe):
                    continue
                for each in resolved(permission.topic_filter, self._bindings, rights.bindings) or [
                    permission.topic_filter
                ]:
                    agreed = _agreement(each, topic)
                    if agreed > most:
                        most = agreed
                        found = _Near(rights, permission, "whose filter does not match")
        return found


def _agreement(topic_filter: str, topic: str) -> int:
    """How many levels from the beginning agree, a level that is equal counting more than a wildcard."""
    agreed = 0
    theirs = topic.split("/")
    for i, level in enumerate(topic_filter.split("/")):
        if i >= len(theirs):
            break
        if level == theirs[i]:
            agreed += 3
        elif level in ("+", "#") and covers(level, theirs[i]):
            agreed += 1
        else:
            break
    return agreed
