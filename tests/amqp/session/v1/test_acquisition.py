"""Messages acquired in a transaction (4.4.3), and the end of a connection with open ones."""

from __future__ import annotations

import pytest

from bridgehead.protocols.amqp.codec.v1.encode import encode
from bridgehead.protocols.amqp.codec.v1.errors import (
    NOT_ALLOWED,
    NOT_IMPLEMENTED,
)
from bridgehead.protocols.amqp.codec.v1.performatives import Close
from bridgehead.protocols.amqp.codec.v1.states import (
    ACCEPTED,
    Discharge,
    TransactionalState,
)
from tests.amqp.dialogue import AmqpHub
from tests.amqp.session.v1.controlling import VALUE, Control, a_queue, acquiring, waiting


@pytest.mark.clause("AMQP-4.4.3")
def test_what_is_acquired_in_a_transaction_says_so_and_comes_back_in_a_rollback() -> None:
    hub = AmqpHub()
    a_queue(hub, b"1", b"2")
    peer = hub.container("worker")
    control = Control(peer)
    worker = peer.receiver("/queues/jobs", credit=0)
    txn_id = control.declare()
    acquiring(worker, txn_id, 2)
    acquired = worker.deliveries()
    assert [each.state for each in acquired] == [TransactionalState(txn_id), TransactionalState(txn_id)]
    worker.settle(0, state=TransactionalState(txn_id, ACCEPTED), settled=False)
    control.link.transfer(VALUE + encode(Discharge(txn_id, True)))
    assert waiting(hub) == (2, 0)


@pytest.mark.clause("AMQP-4.4.3")
def test_what_is_acquired_and_retired_in_a_transaction_is_gone_with_the_commit() -> None:
    hub = AmqpHub()
    a_queue(hub, b"1", b"2")
    peer = hub.container("worker")
    control = Control(peer)
    worker = peer.receiver("/queues/jobs", credit=0)
    txn_id = control.declare()
    acquiring(worker, txn_id, 2)
    assert len(worker.deliveries()) == 2
    worker.settle(0, 1, TransactionalState(txn_id, ACCEPTED), True)
    assert control.discharge(txn_id) is ACCEPTED
    assert waiting(hub) == (0, 0)
    # 4.4.3: the link's transaction is cleared; what follows is acquired outside of any.
    hub.container("filler").sender("/queues/jobs").transfer(body=b"3")
    worker.flow(1)
    (last,) = worker.deliveries()
    assert last.state is None


@pytest.mark.clause("AMQP-4.4.3")
def test_what_was_acquired_in_a_transaction_has_its_outcome_in_it() -> None:
    hub = AmqpHub()
    a_queue(hub, b"1")
    peer = hub.container("worker")
    control = Control(peer)
    worker = peer.receiver("/queues/jobs", credit=0)
    acquiring(worker, control.declare(), 1)
    worker.deliveries()
    worker.settle(0, state=ACCEPTED)
    assert peer.condition() == NOT_ALLOWED


@pytest.mark.clause("AMQP-4.4.3")
def test_acquiring_settled_ones_is_not_implemented() -> None:
    hub = AmqpHub()
    peer = hub.container("worker")
    control = Control(peer)
    receiver = peer.receiver("/topics/a", credit=0, snd_settle_mode=1)
    acquiring(receiver, control.declare(), 1)
    assert peer.condition() == NOT_IMPLEMENTED


@pytest.mark.clause("AMQP-2.4.3")
@pytest.mark.parametrize("who", ["peer", "hub"])
def test_nothing_comes_after_the_close(who: str) -> None:
    hub = AmqpHub()
    a_queue(hub, b"1", b"2")
    peer = hub.container("worker")
    control = Control(peer)
    worker = peer.receiver("/queues/jobs", credit=0)
    acquiring(worker, control.declare(), 2)
    assert len(worker.deliveries()) == 2
    if who == "peer":
        peer.send(Close())
    else:
        peer.connection.dismiss("unavailable", "the hub stops")
        hub.settle()
    assert isinstance(peer.get()[-1], Close)
    assert waiting(hub) == (2, 0)
