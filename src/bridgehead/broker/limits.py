"""The broker's ceilings. Whatever a peer can make grow has one."""

from __future__ import annotations


class Limits:
    """Defaults are safe for a machine with a few GB of memory; docs/limits.md explains each.

    Octets of messages are Message.weight; intervals are in seconds.
    """

    def __init__(self) -> None:
        self.queue_messages = 1000
        self.queue_octets = 16 * 1024 * 1024
        self.sessions_per_principal = 1000
        self.subscriptions_per_session = 1000
        self.subscriptions = 1_000_000
        self.queue_octets_per_identity = 1024 * 1024 * 1024
        # As Subscription.weight: 1,000 filters of 128 levels would be 50 MB of tree, a million of them 50 GB; and what
        # a topic costs that was not asked for before grows with the filters of one tree that begin as it does.
        self.subscription_octets_per_identity = 64 * 1024 * 1024
        self.subscription_octets = 1024 * 1024 * 1024
        self.topic_levels = 128
        self.retained_messages = 1_000_000
        self.retained_octets = 1024 * 1024 * 1024
        self.session_expiry_interval = 7 * 24 * 3600
        self.will_delay_interval = 24 * 3600
        # Queues that are declared by name (docs/queues.md), all of them together and those that one identity declared.
        self.named_queues = 10_000
        self.named_queues_per_identity = 1000
        self.named_queue_messages = 1_000_000
        self.named_queue_octets = 256 * 1024 * 1024
        self.named_queue_octets_per_identity = 1024 * 1024 * 1024
        self.all_named_queue_octets = 4 * 1024 * 1024 * 1024
        self.consumers_per_queue = 1000
        self.feeds_per_queue = 100
