"""The coordinator of local transactions: the target that a control link is attached to (4.1 to 4.3)."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.amqp.codec.v1.composites import Composite
from bridgehead.protocols.amqp.codec.v1.decode import composite_of, descriptor_number
from bridgehead.protocols.amqp.codec.v1.errors import DECODE_ERROR, NOT_ALLOWED, NOT_IMPLEMENTED, UNKNOWN_ID, AmqpError
from bridgehead.protocols.amqp.codec.v1.reader import decode_value
from bridgehead.protocols.amqp.codec.v1.states import ACCEPTED, Declare, Declared, Discharge
from bridgehead.protocols.amqp.codec.v1.termini import Coordinator as CoordinatorValue
from bridgehead.protocols.amqp.codec.v1.types import Described, Symbol
from bridgehead.protocols.amqp.session.v1.contract import IncomingDelivery, IncomingLink, Target
from bridgehead.protocols.amqp.session.v1.faults import LinkFault
from bridgehead.protocols.amqp.session.v1.transactions import Transactions
from bridgehead.protocols.amqp.session.v1.waiting import Waiting, Waitings

LOCAL: Final = Symbol("amqp:local-transactions")
CAPABILITIES: Final = [LOCAL, Symbol("amqp:multi-txns-per-ssn"), Symbol("amqp:multi-ssns-per-txn")]
_LARGEST: Final = 8192  # octets: a declare or discharge with all the headers that anyone puts before it
_AMQP_VALUE: Final = 0x77


class _HeldDischarge(Waiting):
    def __init__(self, link: IncomingLink, delivery: IncomingDelivery) -> None:
        self._link: Final = link
        self._delivery: Final = delivery

    def granted(self) -> None:
        self._link.answer(self._delivery, ACCEPTED, not self._delivery.second)

    def refused(self) -> bool:
        return False  # the journal tries again until the transaction lasts


class Coordinator(Target):
    def __init__(self, link: IncomingLink, transactions: Transactions, waitings: Waitings) -> None:
        super().__init__()
        self._link: Final = link
        self._transactions: Final = transactions
        self._waitings: Final = waitings
        link.target = CoordinatorValue(list(CAPABILITIES))
        link.max_message_size = _LARGEST

    def transfer(self, delivery: IncomingDelivery) -> None:
        if delivery.settled:
            raise LinkFault(NOT_ALLOWED, "what is sent to the coordinator is not sent settled", clause="AMQP-4.2")
        body = _body(delivery.payload)
        if isinstance(body, Declare):
            if body.global_id is not None:
                raise AmqpError(NOT_IMPLEMENTED, "transactions are local here: leave out the global-id")
            txn_id = self._transactions.declare(self._link)
            self._link.answer(delivery, Declared(txn_id), not delivery.second)
            return
        if not isinstance(body, Discharge):
            raise AmqpError(NOT_IMPLEMENTED, "the coordinator takes declare and discharge", clause="AMQP-4.3")
        transaction = self._transactions.find(body.txn_id)
        if transaction is None or transaction.control is not self._link:
            raise AmqpError(UNKNOWN_ID, "no such transaction was declared on this link", clause="AMQP-4.5.8")
        if body.fail:
            self._transactions.roll_back(transaction)
            self._link.answer(delivery, ACCEPTED, not delivery.second)
            return
        ticket = self._transactions.discharge(transaction)
        held = _HeldDischarge(self._link, delivery)
        if ticket > 0:
            self._waitings.add(ticket, held)
        else:
            held.granted()

    def suspended(self) -> None:
        self._transactions.roll_back_all(self._link)  # 4.2: it cannot be resumed

    def closed(self) -> None:
        self._transactions.roll_back_all(self._link)


def _body(payload: bytes) -> Composite | None:
    """What the amqp-value section holds; the other sections mean nothing here (4.2)."""
    at = 0
    while at < len(payload):
        section, at = decode_value(payload, at)
        if not isinstance(section, Described):
            raise AmqpError(DECODE_ERROR, "a message's section is no described value", clause="AMQP-3.2")
        if descriptor_number(section.descriptor) == _AMQP_VALUE or section.descriptor == Symbol("amqp:amqp-value:*"):
            value = composite_of(section.value)
            return value if isinstance(value, Composite) else None
    return None
