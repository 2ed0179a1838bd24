"""Exclusive ownership (DDS 1.4 section 2.2.3.9.2): who owns each instance, and who may be a stand-by at all.

Cyclone DDS chooses the owner by strength, liveliness and deadline; here it is seen by who writes.
"""

from __future__ import annotations

from typing import Final

import msgspec

from bridgehead.core.policy import Principal
from bridgehead.protocols.dds import events
from bridgehead.protocols.dds.mapping.settings import RouteConfig
from bridgehead.protocols.dds.session.instances import Instance
from bridgehead.protocols.dds.session.notices import OWNER, Notices
from bridgehead.protocols.dds.session.seldom import Seldom
from bridgehead.protocols.dds.session.sources import Source

_MOST_VACANT: Final = 1000


class Owners:
    """Of a route whose ownership is exclusive. `right` is the name on which a device needs publish."""

    def __init__(self, config: RouteConfig, notices: Notices, seldom: Seldom) -> None:
        self._route: Final = config.name
        self.right: Final = f"$DDS/{config.name}"
        self._notices: Final = notices
        self._seldom: Final = seldom
        self._vacant: Final[dict[str, tuple[Source, str]]] = {}  # by the hub's topic: who owned it, and why no more

    def admits(self, source: Source, principal: Principal) -> bool:
        """Whether the writer may own an instance. Who may not is told of, and its samples are refused."""
        if principal.may_publish(self.right, 0, False):
            return True
        because = f"{source.name!r} may not own what it writes: permit it to publish on {self.right!r}"
        self._seldom.tell(
            events.OWNER_UNPERMITTED,
            source.guid.hex(),
            {**source.told(), "route": self._route, "because": because},
        )
        return False

    def wrote(self, instance: Instance, source: Source) -> None:
        """A sample of the instance came, so the writer owns it."""
        before = instance.owner
        if before is source:
            return
        instance.owner = source
        if before is not None and before.guid == source.guid:
            return  # the same writer, announced anew
        because = _because(before, source)
        if before is None:
            left = self._vacant.pop(instance.topic, None)
            if left is not None and left[0].guid != source.guid:
                before, because = left
        self._tell(instance, before, source, because)
        if before is not None:
            self._seldom.tell(
                events.OWNER_CHANGED,
                f"{before.guid.hex()}-{source.guid.hex()}",
                {
                    **source.told(),
                    "route": self._route,
                    "topic": instance.topic,
                    "before": before.name,
                    "because": because,
                },
            )

    def forgotten(self, instance: Instance, because: str) -> None:
        """The instance ended, whether or not that was let in: who writes its topic next is another owner."""
        if instance.owner is not None:
            if len(self._vacant) >= _MOST_VACANT:
                del self._vacant[next(iter(self._vacant))]
            self._vacant[instance.topic] = (instance.owner, because)

    def ended(self, instance: Instance, because: str) -> None:
        """The instance has no owner any more."""
        before, instance.owner = instance.owner, None
        if before is not None:
            self._tell(instance, before, None, because)

    def _tell(self, instance: Instance, before: Source | None, now: Source | None, because: str) -> None:
        fields: dict[str, object] = {"instance": msgspec.Raw(instance.keys), "topic": instance.topic}
        fields["owner"] = None if now is None else now.name
        fields["writer"] = None if now is None else now.guid.hex()
        fields["strength"] = None if now is None else now.strength
        fields["before"] = None if before is None else before.name
        fields["because"] = because
        self._notices.publish(OWNER, fields)


def _because(before: Source | None, now: Source) -> str:
    if before is None:
        return "it is the first"
    if before.is_gone:
        return f"{before.name!r} has left"
    if not before.is_alive:
        return f"{before.name!r} has lost its liveliness"
    if now.strength > before.strength:
        return f"it is stronger ({now.strength} to {before.strength})"
    if now.strength == before.strength:
        return f"it is as strong, and its GUID goes before that of {before.name!r}'s"
    return f"{before.name!r} writes it no more"
