"""What links need of their session."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.amqp.codec.v1.composites import DeliveryState
from bridgehead.protocols.amqp.session.v1.contract import IncomingDelivery, IncomingLink, OutgoingDelivery, OutgoingLink
from bridgehead.protocols.amqp.session.v1.wiring import Turning


class SessionPort(Turning):
    """The numbers that every transfer moves are plain attributes: `window` is the peer's incoming window as far as we
    know it (2.5.6), `next_outgoing_id` counts transfers, `next_delivery_id` deliveries."""

    def __init__(self, channel: int) -> None:
        super().__init__()
        self.channel: Final = channel
        self.window = 0
        self.next_outgoing_id = 0
        self.next_delivery_id = 0
        self.unsettled: dict[int, OutgoingDelivery] = {}  # by delivery-id
        self.incoming: dict[int, IncomingDelivery] = {}  # those that the sender is to settle

    def settle_sent(self, delivery_id: int, state: DeliveryState | None) -> None:
        """Tell the receiver that a delivery of ours is settled."""
        raise NotImplementedError

    def settle_received(self, delivery_id: int, state: DeliveryState, settled: bool) -> None:
        """Tell the sender the state of its delivery."""
        raise NotImplementedError

    def write_link_flow(self, handle: int, delivery_count: int, credit: int, drain: bool) -> None:
        raise NotImplementedError

    def settle_soon(self, delivery: IncomingDelivery) -> None:
        """Settle it ourselves when the sender does not."""
        raise NotImplementedError

    def run_later(self, link: OutgoingLink) -> None:
        """Let the link send when the turn ends."""
        raise NotImplementedError

    def look_at(self, link: IncomingLink) -> None:
        """See at the end of the turn whether the link's sender needs credit."""
        raise NotImplementedError

    def answer_sender(self, link: OutgoingLink, unsettled: dict[bytes, DeliveryState | None]) -> None:
        """Send our attach, with as much of the map as fits."""
        raise NotImplementedError

    def refuse_sender(self, link: OutgoingLink) -> None:
        raise NotImplementedError

    def detach_sender(self, link: OutgoingLink, condition: str, because: str, keep: bool = False) -> None:
        """`keep`: the terminus lasts."""
        raise NotImplementedError

    def answer_taker(self, link: IncomingLink, unsettled: dict[bytes, DeliveryState | None]) -> bool:
        """Send our attach. Whether the map did not fit into it (incomplete-unsettled)."""
        raise NotImplementedError

    def refuse_taker(self, link: IncomingLink) -> None:
        raise NotImplementedError

    def detach_taker(self, link: IncomingLink, condition: str, because: str, keep: bool = False) -> None:
        """As detach_sender."""
        raise NotImplementedError
