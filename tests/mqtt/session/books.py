"""Holds what the hub believes against what its disk would tell the next run."""

from __future__ import annotations

from tests.mqtt.dialogue import Hub


def same_as_after_a_crash(hub: Hub) -> None:
    """What the disk holds is what the hub believes."""
    hub.settle()
    again = Hub(hub.store.copy(), hub.principals.values(), hub.clock.now, limits=hub.limits)

    def described(one: Hub) -> dict[str, object]:
        durable = [session for session in one.broker.sessions.all() if session.log]
        return {
            "sessions": sorted(session.key for session in durable),
            "subscriptions": {
                session.key: {key: (s.qos, s.identifier) for key, s in session.subscriptions.items()}
                for session in durable
            },
            "received": {session.key: sorted(session.received or ()) for session in durable},
            "deliveries": {
                session.key: sorted(
                    [(d.sequence, d.message.payload) for d in session.queue or ()]
                    + [(d.sequence, d.message.payload) for d in session.in_flight.values()]
                )
                for session in durable
            },
            "retained": {
                topic: message.payload
                for topic in one.broker.retained.topics()
                if (message := one.broker.retained.get(topic)) is not None
            },
        }

    assert described(again) == described(hub)
