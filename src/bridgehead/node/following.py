"""What a change in the registry, or the hour, does to the broker: connections, sessions, subscriptions, messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.node.vocabulary import IDENTITY_CHANGED, IDENTITY_ENDED, PERMISSIONS_CHANGED
from bridgehead.security.errors import SecurityError
from bridgehead.security.records import is_name
from bridgehead.security.rights.principals import Ended, Principals

_REMOVED: Final = "the identity was removed"
_REVOKED: Final = "the identity's credentials were revoked"
_CHANGED: Final = "the identity's credentials or rights were changed: connect again"


class Following:
    """Costs microseconds when nothing has changed. Errors of every method: SecurityError."""

    def __init__(self, principals: Principals, broker: Broker) -> None:
        self._principals: Final = principals
        self._broker: Final = broker
        self._treatment = ""  # of retained messages whose writer is revoked

    def begin(self) -> None:
        """The broker has what an earlier run kept: so much may have changed since."""
        self._judge_retained(None)

    def follow(self) -> list[str]:
        """Returns the names of whom connections were closed."""
        principals = self._principals
        principals.follow()
        ended = principals.take_endings()
        for each in ended:
            self._end(each)
        amended = principals.take_amended()
        if amended:
            self._broker.permissions_changed(amended)
            self._broker.event(PERMISSIONS_CHANGED, {"identities": len(amended)})
        else:
            self._broker.judge_on()
        touched = principals.take_touched()
        if touched is None or touched or self._treatment != principals.retained_of_revoked:
            self._judge_retained(touched)
        return [each.name for each in ended]

    def _end(self, ended: Ended) -> None:
        broker, name = self._broker, ended.name
        if ended.revoked or self._is_another(name):
            # The new holder of a name has another principal object than the one whose sessions these are.
            because = _REVOKED if ended.revoked else _REMOVED
            broker.revoke(name, because)
            broker.event(IDENTITY_ENDED, {"principal": name, "because": because})
        else:
            closed = broker.disconnect(name, _CHANGED, ended.marks)
            broker.event(IDENTITY_CHANGED, {"principal": name, "closed": closed})

    def _is_another(self, name: str) -> bool:
        """Whether the identity of the name is not the one any more whose sessions the broker has."""
        known = self._broker.door.principal(name)
        try:
            return self._principals.get(name) is not known
        except SecurityError:
            return False  # a record that cannot be read has no rights, but its sessions are not given up

    def _judge_retained(self, names: Iterable[str] | None) -> None:
        """Keep, hide or purge what these devices wrote; None: all. Who wrote none is not looked at."""
        treatment = self._principals.retained_of_revoked
        written = self._broker.written
        if treatment != self._treatment:
            self._treatment = treatment
            names = None
        if treatment == "keep" and not self._broker.retained.hidden:
            return
        concerned = written.names()
        if names is not None:
            known = set(concerned)
            concerned = [name for name in names if name in known]
        for name in concerned:
            if not is_name(name):
                continue  # the hub's own
            device = self._principals.device(name)
            created = 0.0 if device is None else device.created
            if treatment == "keep" or (device is not None and device.revoked_at is None):
                self._broker.show_retained(name, created)
            elif treatment == "purge":
                self._broker.purge_retained(name)
            else:
                self._broker.hide_retained(name, created)
