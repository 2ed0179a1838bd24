"""What the dialogues of transactions share: a control link (4.1), posted messages, a queue."""

from __future__ import annotations

from bridgehead.protocols.amqp.codec.v1.composites import Composite, DeliveryState
from bridgehead.protocols.amqp.codec.v1.encode import encode
from bridgehead.protocols.amqp.codec.v1.states import (
    ACCEPTED,
    Declare,
    Declared,
    Discharge,
    Rejected,
    TransactionalState,
)
from bridgehead.protocols.amqp.codec.v1.termini import Coordinator
from bridgehead.protocols.amqp.codec.v1.types import Symbol
from tests.amqp.dialogue import AmqpHub, Container, ReceivingLink, SendingLink

VALUE = b"\x00\x53\x77"


class Control:
    """A control link (4.1)."""

    def __init__(self, peer: Container, source: object = None, rcv_settle_mode: int = 0) -> None:
        self.link = peer.sender(None, target=Coordinator(), source=source, rcv_settle_mode=rcv_settle_mode)

    def ask(self, body: Composite, settled: bool = False) -> DeliveryState | None:
        self.link.transfer(VALUE + encode(body), settled)
        return self.link.outcome()

    def declare(self) -> bytes:
        state = self.ask(Declare())
        assert isinstance(state, Declared)
        return state.txn_id

    def discharge(self, txn_id: bytes, fail: bool = False) -> DeliveryState | None:
        return self.ask(Discharge(txn_id, fail))


def condition(state: DeliveryState | None) -> str:
    assert isinstance(state, Rejected)
    assert state.error is not None
    return str(state.error.condition)


def posted(sender: SendingLink, txn_id: bytes, body: bytes, settled: bool = False) -> None:
    sender.transfer(body=body, state=TransactionalState(txn_id), settled=settled)
    if not settled:
        state = sender.outcome()
        assert isinstance(state, TransactionalState)
        assert state.txn_id == txn_id
        assert state.outcome is ACCEPTED


def a_queue(hub: AmqpHub, *bodies: bytes) -> None:
    hub.config.create_queues = True
    sender = hub.container("filler").sender("/queues/jobs")
    for body in bodies:
        sender.transfer(body=body)
    assert all(each.state is ACCEPTED for each in sender.outcomes())


def waiting(hub: AmqpHub) -> tuple[int, int]:
    queue = hub.broker.queues.find("jobs")
    assert queue is not None
    return queue.waiting, queue.unsettled


def acquiring(worker: ReceivingLink, txn_id: bytes, credit: int) -> None:
    worker.flow(credit, drain=True, properties={Symbol("txn-id"): txn_id})
