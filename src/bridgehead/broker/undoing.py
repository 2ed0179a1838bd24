"""What the door takes back when a batch cannot be made durable."""

from __future__ import annotations

from typing import Final

from bridgehead.broker.journal import Journal, Undo
from bridgehead.core.message import Message
from bridgehead.core.retained import Retained
from bridgehead.core.router import Router
from bridgehead.core.session import Session, Subscription


class RestoreRetained(Undo):
    def __init__(self, retained: Retained, journal: Journal, message: Message) -> None:
        self._retained: Final = retained
        self._journal: Final = journal
        self._message: Final = message
        self._before: Message | None = retained.get(message.topic)
        self._revision: int = retained.revision_of(message.topic)

    def undo(self, later: list[Undo]) -> None:
        topic = self._message.topic
        if self._retained.get(topic) is not self._message:
            for other in later:
                if isinstance(other, RestoreRetained) and other._before is self._message:
                    other._before = self._before
                    other._revision = self._revision
        elif self._before is None:
            self._retained.discard(topic)
            self._journal.delete_retained(topic)
        else:
            self._retained.put(self._before, self._revision)
            self._journal.put_retained(self._before, True)


class ForgetReceived(Undo):
    def __init__(self, session: Session, identifier: int) -> None:
        self._session: Final = session
        self._identifier: Final = identifier

    def undo(self, later: list[Undo]) -> None:
        if self._session.received is not None:
            self._session.received.pop(self._identifier, None)


class RestoreSubscription(Undo):
    def __init__(self, router: Router, subscription: Subscription, before: Subscription | None) -> None:
        self._router: Final = router
        self._subscription: Final = subscription
        self._before: Subscription | None = before

    def undo(self, later: list[Undo]) -> None:
        session = self._subscription.session
        if session.subscriptions.get(self._subscription.key) is not self._subscription:
            for other in later:
                if isinstance(other, RestoreSubscription) and other._before is self._subscription:
                    other._before = self._before
        elif self._before is None:
            self._router.remove(session, self._subscription.key)
        else:
            self._router.add(self._before)
