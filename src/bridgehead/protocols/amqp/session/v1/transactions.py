"""Local transactions (part 4): what was posted, retired and acquired in each, until it is discharged."""

from __future__ import annotations

from typing import Final

from bridgehead.core.errors import Refusal
from bridgehead.protocols.amqp.codec.v1.composites import DeliveryState
from bridgehead.protocols.amqp.codec.v1.errors import (
    RESOURCE_LIMIT_EXCEEDED,
    TRANSACTION_ROLLBACK,
    UNKNOWN_ID,
    AmqpError,
)
from bridgehead.protocols.amqp.codec.v1.states import ACCEPTED, RELEASED, Modified, Rejected, TransactionalState
from bridgehead.protocols.amqp.codec.v1.writer import encode_value
from bridgehead.protocols.amqp.session.v1.contract import (
    IncomingDelivery,
    IncomingLink,
    Link,
    OutgoingDelivery,
    OutgoingLink,
    Peer,
    Posting,
    Room,
    Target,
)
from bridgehead.protocols.amqp.session.v1.faults import LinkFault, rejected_for
from bridgehead.protocols.amqp.session.v1.waiting import Waitings
from bridgehead.wire.errors import PeerError


class Retirement:
    """The outcome that a delivery has when the transaction commits (4.4.2)."""

    def __init__(self, delivery: OutgoingDelivery, outcome: DeliveryState | None, settled: bool) -> None:
        self.delivery: Final = delivery
        self.outcome: Final = outcome
        self.settled: Final = settled


class Transaction:
    """`control` is the link that declared it. `failed` says why it cannot commit any more, "" while it can."""

    def __init__(self, txn_id: bytes, control: Link) -> None:
        self.txn_id: Final = txn_id
        self.control: Final = control
        self.postings: list[Posting] = []
        self.taken: list[IncomingDelivery] = []
        self.retirements: dict[OutgoingDelivery, Retirement] = {}
        self.acquired: dict[OutgoingDelivery, None] = {}
        self.acquirers: dict[OutgoingLink, None] = {}
        self.octets = 0
        self.failed = ""

    def acquire(self, delivery: OutgoingDelivery) -> None:
        delivery.txn_id = self.txn_id
        self.acquired[delivery] = None

    @property
    def size(self) -> int:
        return len(self.postings) + len(self.retirements) + len(self.acquired)


class Transactions:
    """Those of one connection: any link of it may work in them (amqp:multi-ssns-per-txn)."""

    def __init__(self, peer: Peer, waitings: Waitings, links: dict[str, Link]) -> None:
        self._peer: Final = peer
        self._waitings: Final = waitings
        self._links: Final = links
        self._open: dict[bytes, Transaction] = {}
        self._next = 1
        self._octets = 0

    def __len__(self) -> int:
        return len(self._open)

    def find(self, txn_id: bytes) -> Transaction | None:
        return self._open.get(txn_id)

    def declare(self, control: Link) -> bytes:
        """4.2: a new one; returns its identifier. Raises AmqpError when there are too many."""
        config = self._peer.config
        if len(self._open) >= config.transactions:
            raise AmqpError(
                RESOURCE_LIMIT_EXCEEDED,
                f"a connection may have {config.transactions} transactions at once: discharge one first",
            )
        txn_id = self._next.to_bytes(8, "big")
        self._next += 1
        self._open[txn_id] = Transaction(txn_id, control)
        return txn_id

    # Work. ------------------------------------------------------------------------------------------

    def post(self, link: IncomingLink, node: Target, delivery: IncomingDelivery, state: TransactionalState) -> None:
        """4.4.1: nobody sees the message before the transaction commits. Its provisional outcome is told now."""
        transaction = self._open.get(state.txn_id)
        if transaction is None:
            if delivery.settled:
                raise LinkFault(UNKNOWN_ID, "no such transaction is open", clause="AMQP-4.5.8")
            raise AmqpError(UNKNOWN_ID, "no such transaction is open", clause="AMQP-4.5.8")
        outcome: DeliveryState = ACCEPTED
        fault = self._enlist(transaction, node, delivery)
        if fault is not None:
            if delivery.settled:
                # 4.4.4.1: what cannot be processed and cannot be told is not to be committed.
                transaction.failed = f"a message that was sent settled was refused: {fault}"
            outcome = rejected_for(fault)
        link.answer(delivery, TransactionalState(state.txn_id, outcome), not delivery.second)
        delivery.outcome = outcome
        if fault is None and not delivery.settled and delivery.second:
            transaction.taken.append(delivery)

    def _enlist(self, transaction: Transaction, node: Target, delivery: IncomingDelivery) -> Exception | None:
        config = self._peer.config
        octets = len(delivery.payload)
        if transaction.size >= config.transaction_messages:
            transaction.failed = f"a transaction holds at most {config.transaction_messages} messages"
            return AmqpError(RESOURCE_LIMIT_EXCEEDED, transaction.failed)
        if self._octets + octets > config.transaction_octets:
            transaction.failed = f"the transactions of a connection hold at most {config.transaction_octets} octets"
            return AmqpError(RESOURCE_LIMIT_EXCEEDED, transaction.failed)
        try:
            posting = node.post(delivery)
        except (Refusal, PeerError) as fault:
            return fault
        transaction.postings.append(posting)
        transaction.octets += octets
        self._octets += octets
        return None

    def retire(self, delivery: OutgoingDelivery, state: TransactionalState, settled: bool) -> None:
        """4.4.2: the outcome waits for the transaction. Raises LinkFault for the link of the delivery."""
        transaction = self._open.get(state.txn_id)
        if transaction is None:
            raise LinkFault(UNKNOWN_ID, "no such transaction is open", clause="AMQP-4.5.8")
        if delivery.txn_id is not None and delivery.txn_id != state.txn_id and delivery.txn_id in self._open:
            # 4.4.2: then the control link is terminated, and with it go its transactions.
            transaction.control.detach(TRANSACTION_ROLLBACK, "a delivery was given to two transactions at once")
            return
        config = self._peer.config
        outcome = state.outcome
        octets = 0
        if isinstance(outcome, Rejected):
            outcome = Rejected(None)  # why is for nobody here
        elif isinstance(outcome, Modified) and outcome.message_annotations:
            octets = len(encode_value(outcome.message_annotations))
        if self._octets + octets > config.transaction_octets:
            transaction.failed = f"the transactions of a connection hold at most {config.transaction_octets} octets"
            raise LinkFault(RESOURCE_LIMIT_EXCEEDED, transaction.failed)
        if transaction.size >= config.transaction_messages and delivery not in transaction.retirements:
            transaction.failed = f"a transaction holds at most {config.transaction_messages} messages"
            if delivery not in transaction.acquired:
                raise LinkFault(RESOURCE_LIMIT_EXCEEDED, transaction.failed)
        transaction.octets += octets
        self._octets += octets
        delivery.txn_id = state.txn_id
        if settled:
            delivery.settled = True
        transaction.retirements[delivery] = Retirement(delivery, outcome, settled)

    def link_ends(self, link: OutgoingLink, is_settled: bool) -> None:
        """What was retired on a link that is gone can get its outcome no more. `is_settled`: it has nothing here."""
        for transaction in self._open.values():
            transaction.acquirers.pop(link, None)
            if is_settled:
                continue
            retired = [delivery for delivery in transaction.retirements if delivery.link is link]
            if retired:
                transaction.failed = "a link with deliveries of the transaction was detached before the discharge"
            for delivery in retired:
                del transaction.retirements[delivery]
            for delivery in [delivery for delivery in transaction.acquired if delivery.link is link]:
                del transaction.acquired[delivery]

    # The end. ---------------------------------------------------------------------------------------

    def discharge(self, transaction: Transaction) -> int:
        """4.3: commit. Returns the ticket that everything lasts with, 0 for nothing to wait for. Raises AmqpError
        when it had to be rolled back, with transaction-rollback."""
        for link in self._links.values():
            if isinstance(link, IncomingLink) and link.posting_in == transaction.txn_id:
                # 4.4.1: the control link ends, which rolls back.
                raise LinkFault(TRANSACTION_ROLLBACK, "a message of the transaction has not been sent to its end")
        because = transaction.failed or self._objection(transaction)
        if because:
            self.roll_back(transaction)
            raise AmqpError(TRANSACTION_ROLLBACK, f"the transaction was rolled back: {because}")
        self._close(transaction)
        journal = self._peer.broker.journal
        # From here on nothing can fail but the disk, and then it is tried again until it lasts: all of it or nothing.
        journal.keeping = True
        try:
            for posting in transaction.postings:
                posting.publish()
        finally:
            journal.keeping = False
        for retirement in transaction.retirements.values():
            delivery = retirement.delivery
            delivery.txn_id = None
            if retirement.outcome is not None:
                delivery.state = retirement.outcome
            if delivery.link is not None:
                delivery.link.outcome(delivery, retirement.outcome, retirement.settled)
        for delivery in transaction.acquired:
            delivery.txn_id = None
        return journal.wait(self._peer.receiver)

    def _objection(self, transaction: Transaction) -> str:
        """Why one of the messages could not be published now, "" when all can."""
        room = Room()
        try:
            for posting in transaction.postings:
                posting.check(room)
        except Refusal as refusal:
            return refusal.because
        return ""

    def roll_back(self, transaction: Transaction) -> None:
        """Messages are forgotten, outcomes are not applied (4.4.4): what the controller has settled gets the default
        outcome, what was acquired in the transaction is released, anything else stays with the controller."""
        self._close(transaction)
        for taken in transaction.taken:
            taken.outcome = None
        for retirement in transaction.retirements.values():
            delivery = retirement.delivery
            delivery.txn_id = None
            if delivery in transaction.acquired or delivery.link is None:
                continue
            if retirement.settled:
                delivery.link.outcome(delivery, None, True)
        for delivery in transaction.acquired:
            delivery.txn_id = None
            if delivery.link is not None:
                delivery.state = RELEASED
                delivery.link.outcome(delivery, RELEASED, delivery.settled)

    def roll_back_all(self, control: Link | None) -> None:
        """Those of one control link (4.1), or all."""
        for transaction in list(self._open.values()):
            if control is None or transaction.control is control:
                self.roll_back(transaction)

    def _close(self, transaction: Transaction) -> None:
        self._open.pop(transaction.txn_id, None)
        self._octets -= transaction.octets
        for link in transaction.acquirers:
            if link.acquires_in == transaction.txn_id:
                link.acquires_in = None
