"""Whether the writers are alive (DDS 1.4 section 2.2.3.11): the counts that the reader tells, and who it was."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.dds import events
from bridgehead.protocols.dds.mapping.settings import RouteConfig
from bridgehead.protocols.dds.session.notices import LIVELINESS, Notices
from bridgehead.protocols.dds.session.seldom import Seldom
from bridgehead.protocols.dds.session.sources import Sources


class Liveliness:
    """Of one route's writers."""

    def __init__(self, config: RouteConfig, sources: Sources, notices: Notices, seldom: Seldom) -> None:
        self._config: Final = config
        self._sources: Final = sources
        self._notices: Final = notices
        self._seldom: Final = seldom
        self._alive = 0
        self._not_alive = 0

    def begin(self) -> None:
        """The reader is a new one, which counts from nought."""
        self._alive = 0
        self._not_alive = 0

    def changed(self, alive: int, not_alive: int, handle: int) -> None:
        lost = not_alive > self._not_alive
        regained = not_alive < self._not_alive and alive > self._alive
        if alive == self._alive and not_alive == self._not_alive:
            return
        came = alive > self._alive
        self._alive = alive
        self._not_alive = not_alive
        source = self._sources.get(handle)
        if source is not None and (lost or regained):
            source.is_alive = regained
        fields: dict[str, object] = {"alive": alive, "not_alive": not_alive}
        if lost:
            fields["changed"] = "lost"
        elif regained:
            fields["changed"] = "regained"
        else:
            fields["changed"] = "came" if came else "left"
        fields["writer"] = None if source is None else source.guid.hex()
        fields["principal"] = None if source is None else source.name
        self._notices.publish(LIVELINESS, fields)
        if lost or regained:
            told: dict[str, object] = {"route": self._config.name, "alive": alive, "not_alive": not_alive}
            if source is not None:
                told.update(source.told())
            if lost:
                told["because"] = f"it was not asserted within its lease ({self._config.qos.liveliness})"
            self._seldom.tell(
                events.LIVELINESS_LOST if lost else events.LIVELINESS_REGAINED,
                "" if source is None else source.guid.hex(),
                told,
            )
