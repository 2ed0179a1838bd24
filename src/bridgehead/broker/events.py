"""The vocabulary of what happens in the hub: one list for log, metrics, audit and web page.

An event is a name and fields (text, numbers, flags; never a secret). Pure rooms report, the rim logs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bridgehead.core.message import Origin

EventSink = Callable[[str, dict[str, object]], None]

SESSION_CREATED: Final = "session.created"
SESSION_RESUMED: Final = "session.resumed"
SESSION_TAKEN_OVER: Final = "session.taken-over"
SESSION_ENDED: Final = "session.ended"
CONNECTED: Final = "connection.accepted"
DISCONNECTED: Final = "connection.ended"
REFUSED: Final = "connection.refused"
PEER_ERROR: Final = "connection.peer-error"  # and so it ended; there is no connection.ended beside it
PUBLISH_DENIED: Final = "publish.denied"
PUBLISH_REFUSED: Final = "publish.refused"
SUBSCRIBE_DENIED: Final = "subscribe.denied"
SUBSCRIPTION_WITHDRAWN: Final = "subscription.withdrawn"  # what the identity may has changed, and it covers it no more
RETAINED_HIDDEN: Final = "retained.hidden"
RETAINED_SHOWN: Final = "retained.shown"
RETAINED_PURGED: Final = "retained.purged"
WILL_PUBLISHED: Final = "will.published"
WILL_DENIED: Final = "will.denied"
QUEUE_FULL: Final = "queue.full"
QUEUE_DECLARED: Final = "queue.declared"
QUEUE_DELETED: Final = "queue.deleted"
QUEUE_PURGED: Final = "queue.purged"
QUEUE_OVERFLOWING: Final = "queue.overflowing"  # one that was declared by name is full
CONSUMER_CANCELLED: Final = "queue.consumer-cancelled"  # its right has ended
DEAD_LETTER_LOST: Final = "queue.dead-letter-lost"  # a dead letter could not go where it was to go
EXCHANGE_DECLARED: Final = "exchange.declared"
EXCHANGE_DELETED: Final = "exchange.deleted"
EXCHANGE_BOUND: Final = "exchange.bound"  # to a queue or to another exchange (destination)
EXCHANGE_UNBOUND: Final = "exchange.unbound"
OUTBOX_FULL: Final = "outbox.full"  # a receiver is slow: what is sent at most once is dropped from now on
OUTBOX_DRAINED: Final = "outbox.drained"  # it has caught up; `dropped`: what it missed since it connected
COMMIT_FAILED: Final = "store.commit-failed"
COMMIT_RECOVERED: Final = "store.commit-recovered"
RECOVERED: Final = "store.recovered"
QUEUES_RECOVERED: Final = "store.queues-recovered"


def told(origin: Origin) -> dict[str, object]:
    """Who it was, over what and from where, for the fields of an event. The address is that of the connection of which
    the session was last; of a session that comes from the store it is not known."""
    fields: dict[str, object] = {"principal": origin.principal, "client_id": origin.client_id}
    if origin.address:
        fields["address"] = origin.address
    fields["protocol"] = origin.protocol
    return fields
