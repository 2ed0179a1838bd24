"""From topics into queues: towards the router a queue is a session that takes everything at once."""

from __future__ import annotations

from typing import Final

from bridgehead.broker.door import Door
from bridgehead.broker.queues.belongings import Feed
from bridgehead.broker.queues.queue import Queue
from bridgehead.broker.queues.stock import Author, Surroundings, goes_round
from bridgehead.core.errors import QUOTA_EXCEEDED, Refusal
from bridgehead.core.message import Message, Origin
from bridgehead.core.permission import Permission
from bridgehead.core.policy import Principal
from bridgehead.core.session import DISCARDED, Delivery, Receiver, Session, Subscription, Target

PROTOCOL: Final = "queue"  # of the origin of a session that feeds one


def hub_authority() -> Principal:
    """What the hub does of itself: under it feed the queues of administrators."""
    permissions = [Permission("#", publish=True, subscribe=True)]
    permissions += [Permission(f"{name}/#", publish=True, subscribe=True) for name in ("$QUEUE", "$EXCHANGE")]
    permissions += [Permission(f"{name}/#", publish=False, subscribe=True) for name in ("$SYS", "$TAG")]
    return Principal.of("", permissions, [])


class Feeder(Receiver):
    """The connected end of the session that feeds a queue, as long as the queue is there."""

    def __init__(self, queue: Queue, around: Surroundings) -> None:
        self._queue: Final = queue
        self._around: Final = around

    def transmit(self, message: Message, target: Target) -> None:
        self._put(message)

    def offer(self, delivery: Delivery) -> int:
        self._put(delivery.message)
        return DISCARDED  # there is nothing to keep of it beside what the queue keeps

    def _put(self, message: Message) -> None:
        queue = self._queue
        # Each publication has a number of its own: one that two binders have asked for comes once.
        serial = self._around.counters.messages_received
        if queue.fed == serial:
            return
        queue.fed = serial
        deaths = self._around.office.carried
        if deaths and goes_round(deaths, queue.name):
            self._around.counters.dead_letters_lost += 1
            return
        try:
            queue.put(message, None, "amq.topic", message.topic, deaths)
        except Refusal:
            return  # the queue is full: it has told so, and the publisher of a topic is not asked to wait for it

    def pump(self) -> None:
        """Nothing waits here."""

    def committed(self, ticket: int) -> None:
        """The queue is told by the journal."""

    def not_committed(self, ticket: int, retry: int) -> None:
        """The queue is told by the journal."""

    def dismiss(self, meaning: str, because: str) -> None:
        """No connection is behind it."""


class Feeds:
    """One session for each binder of each queue: a message that several of its filters match comes once."""

    def __init__(self, door: Door, around: Surroundings) -> None:
        self._door: Final = door
        self._around: Final = around
        self._sessions: dict[tuple[str, str], Session] = {}  # by the names of queue and binder
        self.hub: Final = hub_authority()

    def principal_of(self, author: Author) -> Principal | None:
        """The identity as it is today, with the rights of how it came; None: there is none any more."""
        if not author.name:
            return self.hub
        principal = self._door.principal(author.name)
        if principal is None or principal.created != author.created:
            return None
        return principal if author.context is None else principal.under(author.context)

    def bind(self, principal: Principal, queue: Queue, topic_filter: str) -> None:
        """Raises Refusal. Binding again what is bound does nothing."""
        author = Author.of(principal)
        key = f"{author.name}\0{topic_filter}"
        if key not in queue.feeds and len(queue.feeds) >= self._around.limits.feeds_per_queue:
            raise Refusal(QUOTA_EXCEEDED, f"the queue {queue.name!r} is fed by as many Topic Filters as it may")
        where = (queue.name, author.name)
        session = self._sessions.get(where)
        if session is not None and session.principal is not principal:
            # Its connection came another way: what it may is what counts for all that it feeds.
            session.principal = principal
            self._door.permissions_changed()
        if session is None:
            client_id = f"$queue/{queue.name}"
            session = Session(principal, client_id, Origin(principal.name, PROTOCOL, True, client_id))
            session.receiver = Feeder(queue, self._around)
        # QoS 1: what is to be kept is kept by the queue, with the publisher's batch. No retained messages: what
        # waits in a queue is what came since.
        self._door.subscribe(Subscription(session, topic_filter, 1, retain_as_published=True, retain_handling=2))
        self._sessions[where] = session
        queue.feeds[key] = Feed(topic_filter, author)

    def unbind(self, queue: Queue, author: str, topic_filter: str) -> bool:
        if queue.feeds.pop(f"{author}\0{topic_filter}", None) is None:
            return False
        session = self._sessions.get((queue.name, author))
        if session is not None:
            self._door.unsubscribe(session, topic_filter)
            if not session.subscriptions:
                del self._sessions[(queue.name, author)]
        return True

    def unbind_all(self, queue: Queue) -> None:
        for feed in list(queue.feeds.values()):
            self.unbind(queue, feed.author.name, feed.topic_filter)

    def rejudge(self, queue: Queue) -> bool:
        """Whether it has lost a feed: its binder may not subscribe to it any more, or is gone."""
        lost: list[Feed] = []
        for feed in queue.feeds.values():
            principal = self.principal_of(feed.author)
            if principal is None or (principal.rights and principal.subscribable_qos(feed.topic_filter) < 0):
                lost.append(feed)
        for feed in lost:
            self.unbind(queue, feed.author.name, feed.topic_filter)
        return bool(lost)
