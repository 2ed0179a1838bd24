"""After a change of permissions: every open subscription is judged anew, and who loses one is told."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from bridgehead.broker.dispatch import Dispatcher
from bridgehead.broker.door import Door
from bridgehead.core.errors import NOT_AUTHORIZED
from bridgehead.core.session import Session

_AT_A_TIME: Final = 20_000  # subscriptions that one call judges, in some ten milliseconds
_WITHDRAWN: Final = 4  # as many as one that is withdrawn costs
_NAMED: Final = 4  # filters that one sentence names
_LONG_ENOUGH: Final = 1000  # characters: more than is sent


class Withdrawal:
    """Deliveries are judged by the permissions in force from the change on; only the subscriptions themselves, which
    may be a million, are gone through in portions."""

    def __init__(self, door: Door, dispatcher: Dispatcher) -> None:
        self._door: Final = door
        self._dispatcher: Final = dispatcher
        self._waiting: deque[Session] = deque()
        self._listed: set[Session] = set()  # those that wait

    @property
    def is_over(self) -> bool:
        return not self._waiting

    def begin(self, sessions: Iterable[Session]) -> None:
        """Judge their subscriptions: some now, the others at the next calls of `go_on`."""
        for session in sessions:
            if session not in self._listed:
                self._listed.add(session)
                self._waiting.append(session)
        self.go_on()

    def go_on(self) -> None:
        left = _AT_A_TIME
        while left > 0 and self._waiting:
            session = self._waiting.popleft()
            self._listed.discard(session)
            left -= 1 + len(session.subscriptions)
            # Without any rights at all the identity is barred for a while, and its sessions wait as they are: nothing
            # is delivered to them.
            if not session.ended and session.principal.rights:
                left -= _WITHDRAWN * self.judge(session)

    def judge(self, session: Session) -> int:
        """Returns how many were withdrawn. A connected client is sent away with the reason; one that is not connected
        is told when it comes back, for it goes on believing that it is subscribed (Session Present)."""
        told = self._door.rejudge(session)
        if not told:
            return 0
        receiver = session.receiver
        if receiver is not None:
            receiver.dismiss(NOT_AUTHORIZED, _sentence("", told))
        else:
            session.withdrawn = _sentence(session.withdrawn, told)
            # What it holds as a member of a group that it is in no more.
            self._dispatcher.hand_over(session, False)
        return len(told)

    def resumed(self, session: Session) -> None:
        """The session goes to a connection that came another way: another view of its identity is in force."""
        if not session.subscriptions:
            return
        self._door.permissions_changed()
        told = self._door.rejudge(session)
        if told:
            session.withdrawn = _sentence(session.withdrawn, told)


def _sentence(before: str, told: list[str]) -> str:
    """`before` is what is still to be told."""
    if len(before) > _LONG_ENOUGH:
        return before
    because = "; ".join(told[:_NAMED])
    if len(told) > _NAMED:
        because += f"; and {len(told) - _NAMED} more"
    return f"{before}; {because}" if before else because
