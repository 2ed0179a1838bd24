"""Every limit and every time of CoAP's sessions. Defaults are those of RFC 7252 section 4.8 where it names one."""

from __future__ import annotations

from mypy_extensions import mypyc_attr


@mypyc_attr(allow_interpreted_subclasses=True)
class CoapSettings:
    """Times are in seconds, sizes in octets."""

    def __init__(self) -> None:
        # Messages over datagrams: RFC 7252 sections 4.2 to 4.8.
        self.ack_timeout: float = 2.0
        self.ack_random_factor: float = 1.5
        self.max_retransmit: int = 4
        self.nstart: int = 1  # confirmable messages of the hub under way to one peer
        self.exchange_lifetime: float = 247.0  # so long a Message ID of a confirmable request is remembered
        self.non_lifetime: float = 145.0
        self.leisure: float = 5.0  # an answer to a group waits up to so long (section 8.2)
        self.separate_after: float = 0.5  # without an answer by then, the request is acknowledged alone (5.2.2)
        # Ceilings of the message layer.
        self.peers: int = 50_000  # of plain UDP, on one listener
        self.peer_idle: float = 300.0
        self.waiting: int = 32  # confirmable messages that wait for NSTART, of one peer
        self.pending: int = 64  # requests of one peer that are not answered yet
        self.remembered_per_peer: int = 131_072  # octets of answers kept for duplicates
        self.remembered: int = 67_108_864  # the same of all peers together
        self.told: int = 64  # non-confirmable notifications of one peer for which a Reset still counts
        self.group_answers: int = 1000  # that wait for their leisure, of all peers together
        # Addresses that are not proven: RFC 9175 section 2.4.
        self.amplification: int = 3
        self.echo_required: bool = False  # serve a proven address only
        self.echo_window: float = 60.0  # an Echo value holds for one to two of these
        # Reliable transports: RFC 8323.
        self.max_message_size: int = 1_048_576  # what the hub takes in one message, told in its CSM
        self.stream_outbox: int = 1_048_576  # what may wait for a peer that does not read
        self.csm_timeout: float = 10.0  # the peer's first message has to come by then
        self.pong_timeout: float = 60.0
        self.stream_pending: int = 1024  # requests of one stream that are not answered yet
        # Observe: RFC 7641.
        self.observations: int = 200_000  # of all peers together
        self.observations_per_peer: int = 1024
        self.confirm_interval: float = 86_400.0  # an observer shows in each of these that it is there (section 4.5)
        self.unconfirmed: int = 64  # deliveries that an observer on a stream has not acknowledged; others: NSTART
        # Resources.
        self.listed: int = 500  # topics in one list of links
