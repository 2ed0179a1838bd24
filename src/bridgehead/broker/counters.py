"""What the hub counts, for $SYS topics and metrics. Plain numbers, raised where the thing happens."""

from __future__ import annotations


class Counters:
    def __init__(self) -> None:
        self.connections = 0
        self.connections_total = 0
        self.connections_maximum = 0
        self.octets_received = 0
        self.octets_sent = 0
        self.packets_received = 0
        self.packets_sent = 0
        # Application Messages, in whatever protocol.
        self.messages_received = 0
        self.messages_sent = 0
        self.messages_refused = 0
        self.dropped_slow = 0  # at most once, the receiver was too slow
        self.dropped_queue_full = 0
        self.dropped_expired = 0
        self.dropped_not_permitted = 0
        self.dropped_too_large = 0
        self.dead_letters_lost = 0
        self.commits = 0
        self.commits_failed = 0
