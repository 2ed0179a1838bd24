"""Local transactions of AMQP 1.0 (part 4) over the whole hub."""

from __future__ import annotations

import pytest

from bridgehead.broker.queues.settings import QueueSettings
from bridgehead.core.permission import Permission
from bridgehead.protocols.amqp.codec.v1.encode import encode
from bridgehead.protocols.amqp.codec.v1.errors import (
    NOT_ALLOWED,
    NOT_IMPLEMENTED,
    RESOURCE_LIMIT_EXCEEDED,
    TRANSACTION_ROLLBACK,
    UNAUTHORIZED_ACCESS,
    UNKNOWN_ID,
)
from bridgehead.protocols.amqp.codec.v1.performatives import Detach, Transfer
from bridgehead.protocols.amqp.codec.v1.states import (
    ACCEPTED,
    RELEASED,
    Declare,
    Discharge,
    Rejected,
    TransactionalState,
)
from bridgehead.protocols.amqp.codec.v1.termini import Source
from bridgehead.protocols.amqp.codec.v1.types import Symbol
from tests.amqp.dialogue import AmqpHub, data
from tests.amqp.session.v1.controlling import VALUE, Control, a_queue, acquiring, condition, posted, waiting


@pytest.mark.clause("AMQP-4.2", "AMQP-4.5.2", "AMQP-4.5.4", "AMQP-4.5.5")
def test_each_declare_is_a_transaction_of_its_own() -> None:
    control = Control(AmqpHub().container())
    ids = {control.declare() for _ in range(3)}
    assert len(ids) == 3
    assert all(0 < len(each) <= 32 for each in ids)


@pytest.mark.clause("AMQP-4.4.1", "AMQP-4.5.3", "AMQP-4.5.6")
def test_what_is_posted_is_seen_when_the_transaction_commits() -> None:
    hub = AmqpHub()
    receiver = hub.container("display").receiver("/topics/a")
    peer = hub.container("sensor")
    control = Control(peer)
    sender = peer.sender("/topics/a")
    txn_id = control.declare()
    posted(sender, txn_id, b"1")
    posted(sender, txn_id, b"2", settled=True)
    assert receiver.deliveries() == []
    assert control.discharge(txn_id) is ACCEPTED
    assert [each.body for each in receiver.deliveries()] == [b"1", b"2"]


@pytest.mark.clause("AMQP-4.3")
def test_what_is_rolled_back_was_never_sent() -> None:
    hub = AmqpHub()
    receiver = hub.container("display").receiver("/topics/a")
    peer = hub.container("sensor")
    control = Control(peer)
    sender = peer.sender("/topics/a")
    txn_id = control.declare()
    posted(sender, txn_id, b"1")
    assert control.discharge(txn_id, fail=True) is ACCEPTED
    assert condition(control.discharge(txn_id)) == UNKNOWN_ID
    assert receiver.deliveries() == []


@pytest.mark.clause("AMQP-4.1")
@pytest.mark.parametrize("how", ["close", "detach", "lost"])
def test_without_its_control_link_a_transaction_is_rolled_back(how: str) -> None:
    hub = AmqpHub()
    a_queue(hub, b"job")
    receiver = hub.container("display").receiver("/topics/a")
    peer = hub.container("worker")
    control = Control(peer)
    sender = peer.sender("/topics/a")
    worker = peer.receiver("/queues/jobs")
    (job,) = worker.deliveries()
    txn_id = control.declare()
    posted(sender, txn_id, b"done")
    worker.settle(job.delivery_id, state=TransactionalState(txn_id, ACCEPTED), settled=False)
    if how == "lost":
        peer.drop()
        assert waiting(hub) == (1, 0)
    else:
        control.link.detach(how == "close")
        assert waiting(hub) == (0, 1)
        worker.settle(job.delivery_id, state=ACCEPTED)
        assert waiting(hub) == (0, 0)
    assert receiver.deliveries() == []


@pytest.mark.clause("AMQP-4.4.2")
def test_an_outcome_is_applied_when_the_transaction_commits() -> None:
    hub = AmqpHub()
    a_queue(hub, b"1", b"2")
    peer = hub.container("worker")
    control = Control(peer)
    worker = peer.receiver("/queues/jobs")
    assert len(worker.deliveries()) == 2
    txn_id = control.declare()
    worker.settle(0, 1, TransactionalState(txn_id, ACCEPTED), False)
    assert waiting(hub) == (0, 2)
    control.link.transfer(VALUE + encode(Discharge(txn_id)))
    worker.deliveries()
    told = [each for each in worker.dispositions if not each.role]
    assert [(each.first, each.last, each.settled, each.state) for each in told] == [(0, 1, True, ACCEPTED)]
    assert waiting(hub) == (0, 0)


@pytest.mark.clause("AMQP-4.4.2")
def test_an_outcome_is_not_applied_when_the_transaction_is_rolled_back() -> None:
    hub = AmqpHub()
    a_queue(hub, b"1")
    peer = hub.container("worker")
    control = Control(peer)
    worker = peer.receiver("/queues/jobs")
    worker.deliveries()
    txn_id = control.declare()
    worker.settle(0, state=TransactionalState(txn_id, ACCEPTED), settled=False)
    assert control.discharge(txn_id, fail=True) is ACCEPTED
    assert waiting(hub) == (0, 1)  # it remains with the controller
    again = control.declare()
    worker.settle(0, state=TransactionalState(again, ACCEPTED), settled=False)
    control.link.transfer(VALUE + encode(Discharge(again)))
    assert waiting(hub) == (0, 0)


@pytest.mark.clause("AMQP-4.4.4")
def test_what_the_controller_settled_gets_the_default_outcome_in_a_rollback() -> None:
    hub = AmqpHub()
    a_queue(hub, b"1")
    peer = hub.container("worker")
    control = Control(peer)
    worker = peer.receiver("/queues/jobs", credit=1)
    worker.deliveries()
    txn_id = control.declare()
    worker.settle(0, state=TransactionalState(txn_id, ACCEPTED), settled=True)
    assert waiting(hub) == (0, 1)
    control.link.transfer(VALUE + encode(Discharge(txn_id, True)))
    assert waiting(hub) == (1, 0)


@pytest.mark.clause("AMQP-4.4.2")
def test_posting_and_retiring_happen_together() -> None:
    hub = AmqpHub()
    a_queue(hub, b"order")
    durable = Source("/topics/bills", durable=2, expiry_policy=Symbol("never"))
    receiver = hub.container("display").receiver(None, source=durable)
    peer = hub.container("worker")
    control = Control(peer)
    sender = peer.sender("/topics/bills")
    worker = peer.receiver("/queues/jobs")
    worker.deliveries()
    txn_id = control.declare()
    posted(sender, txn_id, b"bill")
    worker.settle(0, state=TransactionalState(txn_id, ACCEPTED), settled=True)
    hub.store.automatic = False
    control.link.transfer(VALUE + encode(Discharge(txn_id)))
    assert control.link.outcomes() == []
    assert len(hub.store.waiting) == 1  # one batch: all of it or nothing
    batch = hub.store.waiting[0][0]
    assert batch.appends
    assert batch.removes
    hub.commit()
    assert control.link.outcome() is ACCEPTED
    assert [each.body for each in receiver.deliveries()] == [b"bill"]


@pytest.mark.clause("AMQP-4.3")
def test_a_crash_before_the_commit_undoes_all_of_it() -> None:
    hub = AmqpHub()
    a_queue(hub, b"order")
    peer = hub.container("worker")
    control = Control(peer)
    sender = peer.sender("/queues/bills")
    worker = peer.receiver("/queues/jobs")
    worker.deliveries()
    txn_id = control.declare()
    posted(sender, txn_id, b"bill")
    worker.settle(0, state=TransactionalState(txn_id, ACCEPTED), settled=True)
    hub.store.automatic = False
    control.link.transfer(VALUE + encode(Discharge(txn_id)))
    again = hub.crash()
    jobs = again.broker.queues.find("jobs")
    bills = again.broker.queues.find("bills")
    assert jobs is not None
    assert bills is not None
    assert (jobs.waiting, bills.waiting) == (1, 0)


@pytest.mark.clause("AMQP-4.3")
def test_a_commit_that_fails_at_the_disk_is_tried_until_it_lasts() -> None:
    hub = AmqpHub()
    a_queue(hub, b"order")
    peer = hub.container("worker")
    control = Control(peer)
    sender = peer.sender("/queues/bills")
    worker = peer.receiver("/queues/jobs")
    worker.deliveries()
    txn_id = control.declare()
    posted(sender, txn_id, b"bill")
    worker.settle(0, state=TransactionalState(txn_id, ACCEPTED), settled=True)
    hub.store.full = True
    control.link.transfer(VALUE + encode(Discharge(txn_id)))
    assert control.link.outcomes() == []
    hub.store.full = False
    hub.pass_time(2)
    assert control.link.outcome() is ACCEPTED
    again = hub.crash()
    jobs = again.broker.queues.find("jobs")
    bills = again.broker.queues.find("bills")
    assert jobs is not None
    assert bills is not None
    assert (jobs.waiting, bills.waiting) == (0, 1)


@pytest.mark.clause("AMQP-4.5.8")
@pytest.mark.parametrize("what", ["posting", "retiring", "acquiring", "settled posting"])
def test_a_transaction_that_is_not_there(what: str) -> None:
    hub = AmqpHub()
    a_queue(hub, b"1")
    peer = hub.container("worker")
    unknown = TransactionalState(b"none", ACCEPTED)
    if what == "posting":
        sender = peer.sender("/topics/a")
        sender.transfer(state=unknown)
        assert condition(sender.outcome()) == UNKNOWN_ID
        return
    if what == "settled posting":
        peer.sender("/topics/a").transfer(state=unknown, settled=True)
    elif what == "retiring":
        worker = peer.receiver("/queues/jobs")
        worker.deliveries()
        worker.settle(0, state=unknown)
    else:
        acquiring(peer.receiver("/queues/jobs", credit=0), b"none", 1)
    assert peer.condition() == UNKNOWN_ID
    assert not peer.closed


def test_a_transaction_is_its_connections_alone() -> None:
    hub = AmqpHub()
    txn_id = Control(hub.container("sensor")).declare()
    other = hub.container("sensor", "other")
    sender = other.sender("/topics/a")
    sender.transfer(state=TransactionalState(txn_id))
    assert condition(sender.outcome()) == UNKNOWN_ID
    assert condition(Control(other).discharge(txn_id)) == UNKNOWN_ID


@pytest.mark.clause("AMQP-4.4.1")
def test_a_refused_message_is_told_and_the_others_commit() -> None:
    hub = AmqpHub()
    receiver = hub.container("display").receiver("/topics/%2B")
    peer = hub.container("sensor")
    control = Control(peer)
    good, bad = peer.sender("/topics/a"), peer.sender("/topics/b")
    hub.principals["sensor"].permit([Permission("a", True, True)], ["*"])
    txn_id = control.declare()
    posted(good, txn_id, b"1")
    bad.transfer(state=TransactionalState(txn_id))
    state = bad.outcome()
    assert isinstance(state, TransactionalState)
    assert condition(state.outcome) == UNAUTHORIZED_ACCESS
    assert control.discharge(txn_id) is ACCEPTED
    assert [each.body for each in receiver.deliveries()] == [b"1"]


@pytest.mark.clause("AMQP-4.4.4")
def test_a_settled_message_that_was_refused_prevents_the_commit() -> None:
    hub = AmqpHub()
    receiver = hub.container("display").receiver("/topics/%2B")
    peer = hub.container("sensor")
    control = Control(peer)
    good, bad = peer.sender("/topics/a"), peer.sender("/topics/b")
    hub.principals["sensor"].permit([Permission("a", True, True)], ["*"])
    txn_id = control.declare()
    posted(good, txn_id, b"1")
    bad.transfer(state=TransactionalState(txn_id), settled=True)
    assert condition(control.discharge(txn_id)) == TRANSACTION_ROLLBACK
    assert receiver.deliveries() == []


@pytest.mark.clause("AMQP-4.3")
def test_a_right_that_ended_before_the_discharge_rolls_back_all_of_it() -> None:
    hub = AmqpHub()
    receiver = hub.container("display").receiver("/topics/%2B")
    peer = hub.container("sensor")
    control = Control(peer)
    one, two = peer.sender("/topics/a"), peer.sender("/topics/b")
    txn_id = control.declare()
    posted(one, txn_id, b"1")
    posted(two, txn_id, b"2")
    hub.principals["sensor"].permit([Permission("a", True, True)], ["*"])
    assert condition(control.discharge(txn_id)) == TRANSACTION_ROLLBACK
    assert receiver.deliveries() == []


@pytest.mark.clause("AMQP-4.4.1")
def test_a_discharge_with_half_a_message_ends_the_control_link() -> None:
    hub = AmqpHub()
    receiver = hub.container("display").receiver("/topics/a")
    peer = hub.container("sensor")
    control = Control(peer)
    sender = peer.sender("/topics/a")
    txn_id = control.declare()
    posted(sender, txn_id, b"1")
    number = peer.delivery_id
    peer.delivery_id += 1
    half = Transfer(sender.handle, number, b"half", 0, 0, True, state=TransactionalState(txn_id))
    peer.send(half, payload=data(b"x" * 50)[:20])
    control.link.transfer(VALUE + encode(Discharge(txn_id)))
    assert peer.condition() == TRANSACTION_ROLLBACK
    assert receiver.deliveries() == []


@pytest.mark.clause("AMQP-4.4.2")
def test_a_delivery_in_two_transactions_ends_the_control_link() -> None:
    hub = AmqpHub()
    a_queue(hub, b"1")
    peer = hub.container("worker")
    control = Control(peer)
    worker = peer.receiver("/queues/jobs")
    worker.deliveries()
    one, two = control.declare(), control.declare()
    worker.settle(0, state=TransactionalState(one, ACCEPTED), settled=False)
    worker.settle(0, state=TransactionalState(two, RELEASED), settled=False)
    last = peer.get()[-1]
    assert isinstance(last, Detach)
    assert last.handle == control.link.handle
    assert last.error is not None
    assert last.error.condition == TRANSACTION_ROLLBACK
    assert waiting(hub) == (0, 1)


@pytest.mark.clause("AMQP-4.2")
def test_what_is_sent_settled_ends_the_control_link() -> None:
    peer = AmqpHub().container()
    control = Control(peer)
    control.link.transfer(VALUE + encode(Declare()), True)
    assert peer.condition() == NOT_ALLOWED


@pytest.mark.clause("AMQP-4.2")
def test_a_global_transaction_is_not_implemented() -> None:
    assert condition(Control(AmqpHub().container()).ask(Declare(b"global"))) == NOT_IMPLEMENTED


@pytest.mark.clause("AMQP-4.2")
def test_an_error_detaches_where_rejected_is_no_outcome() -> None:
    peer = AmqpHub().container()
    source = Source("here", outcomes=[Symbol("amqp:accepted:list")])
    control = Control(peer, source)
    control.link.transfer(VALUE + encode(Discharge(b"none")))
    assert peer.condition() == UNKNOWN_ID


@pytest.mark.parametrize("payload", [b"", data(b"x"), VALUE + b"\x45", b"\x41", b"\x00\x53\x77\xc0\xff"])
def test_a_body_that_is_neither_is_rejected(payload: bytes) -> None:
    peer = AmqpHub().container()
    control = Control(peer)
    peer.send(Transfer(control.link.handle, 0, b"t", 0, 0), payload=payload)
    assert isinstance(control.link.outcome(), Rejected)


def test_transactions_are_bounded() -> None:
    hub = AmqpHub()
    hub.config.transactions = 2
    hub.config.transaction_messages = 3
    peer = hub.container()
    control = Control(peer)
    txn_id = control.declare()
    control.declare()
    assert condition(control.ask(Declare())) == RESOURCE_LIMIT_EXCEEDED
    sender = peer.sender("/topics/a")
    for _ in range(3):
        posted(sender, txn_id, b"x")
    sender.transfer(state=TransactionalState(txn_id))
    state = sender.outcome()
    assert isinstance(state, TransactionalState)
    assert condition(state.outcome) == RESOURCE_LIMIT_EXCEEDED
    assert condition(control.discharge(txn_id)) == TRANSACTION_ROLLBACK


def test_the_octets_of_transactions_are_bounded() -> None:
    hub = AmqpHub()
    hub.config.transaction_octets = 1000
    peer = hub.container()
    control = Control(peer)
    sender = peer.sender("/topics/a")
    one = control.declare()
    posted(sender, one, b"x" * 600)
    sender.transfer(body=b"x" * 600, state=TransactionalState(control.declare()))
    state = sender.outcome()
    assert isinstance(state, TransactionalState)
    assert condition(state.outcome) == RESOURCE_LIMIT_EXCEEDED
    control.discharge(one, fail=True)
    posted(sender, control.declare(), b"x" * 600)


@pytest.mark.clause("AMQP-4.4.4")
def test_an_unsettled_posting_is_settled_by_its_controller_after_the_discharge() -> None:
    hub = AmqpHub()
    receiver = hub.container("display").receiver("/topics/a")
    peer = hub.container("sensor")
    control = Control(peer)
    sender = peer.sender("/topics/a", rcv_settle_mode=1)
    txn_id = control.declare()
    sender.transfer(body=b"1", state=TransactionalState(txn_id))
    (told,) = sender.outcomes()
    assert not told.settled
    assert told.state == TransactionalState(txn_id, ACCEPTED)
    assert control.discharge(txn_id) is ACCEPTED
    assert [each.body for each in receiver.deliveries()] == [b"1"]


def a_small_queue(hub: AmqpHub, most: int) -> None:
    session = hub.container("owner").connection.hub_session
    assert session is not None
    hub.broker.queues.declare(session.principal, session.origin, "jobs", QueueSettings(True, max_messages=most))


@pytest.mark.clause("AMQP-4.3")
@pytest.mark.parametrize(("room", "fits"), [(3, True), (2, False)])
def test_messages_that_a_queue_has_no_room_for_roll_back_all_of_it(room: int, fits: bool) -> None:
    hub = AmqpHub()
    a_small_queue(hub, room)
    receiver = hub.container("display").receiver("/topics/a")
    peer = hub.container("sensor")
    control = Control(peer)
    topic, queue = peer.sender("/topics/a"), peer.sender("/queues/jobs")
    txn_id = control.declare()
    posted(topic, txn_id, b"1")
    for _ in range(3):
        posted(queue, txn_id, b"x")
    state = control.discharge(txn_id)
    if fits:
        assert state is ACCEPTED
        assert waiting(hub) == (3, 0)
        assert len(receiver.deliveries()) == 1
    else:
        assert condition(state) == TRANSACTION_ROLLBACK
        assert waiting(hub) == (0, 0)
        assert receiver.deliveries() == []


@pytest.mark.clause("AMQP-4.3")
def test_quotas_are_counted_when_a_message_is_posted_and_not_once_more() -> None:
    hub = AmqpHub()
    receiver = hub.container("display").receiver("/topics/a")
    peer = hub.container("sensor")
    control = Control(peer)
    sender = peer.sender("/topics/a")
    hub.principals["sensor"].permit([Permission("a", True, True, rate=3.0)], ["*"])
    txn_id = control.declare()
    for i in range(3):
        posted(sender, txn_id, bytes([i]))
    sender.transfer(state=TransactionalState(txn_id))
    state = sender.outcome()
    assert isinstance(state, TransactionalState)
    assert condition(state.outcome) == RESOURCE_LIMIT_EXCEEDED
    assert control.discharge(txn_id) is ACCEPTED
    assert len(receiver.deliveries()) == 3
