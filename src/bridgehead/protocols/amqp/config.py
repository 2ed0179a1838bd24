"""What a hub's owner can set about AMQP, and the words that the protocols fix."""

from __future__ import annotations

from typing import Final

ALPN: Final = "amqp"  # IANA's TLS ALPN protocol identifiers
# AMQP WebSocket binding 2.1; its drafts called it as Azure's clients still do.
SUBPROTOCOLS: Final = ("amqp", "AMQPWSB10")


class AmqpConfig:
    """Times are in seconds, sizes in octets, 0 is no limit only where it says so. What Open or Tune has told a peer
    holds for its connection; the rest is looked at when it is needed, so a reload takes effect at once."""

    def __init__(self) -> None:
        # Before anybody has proven who he is.
        self.connect_timeout = 10.0
        self.sasl_frame_octets = 8192  # of one frame of the SASL layer, or of start-ok and secure-ok
        # Connections.
        self.max_frame_size = 65_536  # 1.0, section 2.7.1
        self.channel_max = 255  # the highest channel number of 1.0: so many sessions and one
        self.idle_timeout = 60.0  # 1.0: a peer that is silent so long is gone; 0: none is asked for
        self.frame_max = 131_072  # 0-9-1, connection.tune
        self.channels = 2047  # 0-9-1: channel-max of connection.tune
        self.heartbeat = 60.0  # 0-9-1; 0: none is asked for
        self.outbox_octets = 4 * 1024 * 1024  # what may wait to be sent before a receiver has to wait
        self.nesting = 32  # lists, maps, arrays, tables inside of one another
        # Messages.
        self.message_octets = 32 * 1024 * 1024
        self.publish_rate = 0.0  # messages per second of one connection; 0: no limit
        self.publish_burst = 1000
        # Sessions and links of 1.0.
        self.handle_max = 255  # the highest handle of a session: so many links and one
        self.links = 1000  # of a connection
        self.credit = 1000  # that a sending link is given
        self.incoming_window = 2048  # transfers
        self.outgoing_window = 2048
        self.unsettled = 10_000  # deliveries of a link that wait for their outcome
        self.waiting_messages = 1000  # at most once to a receiving link without credit, before they are dropped
        self.waiting_octets = 1024 * 1024
        self.selector_octets = 8192
        self.dynamic_nodes = 100  # of one identity
        self.create_queues = False  # whether attaching to a queue that is not there declares it
        # Channels of 0-9-1.
        self.prefetch = 10_000  # deliveries of a channel without acknowledgement, also where its consumers set none
        self.consumers = 1000  # of a connection
        self.exchanges = 1000  # of one identity
        self.bindings = 10_000  # of one identity
        # Transactions of both.
        self.transactions = 16  # open ones of a connection
        self.transaction_messages = 1000  # in one
        self.transaction_octets = 32 * 1024 * 1024
