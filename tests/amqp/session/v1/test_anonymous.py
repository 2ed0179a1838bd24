"""The anonymous terminus: one sending link, and each message says where it goes."""

from __future__ import annotations

import pytest

from bridgehead.core.permission import Permission
from bridgehead.core.policy import Principal
from bridgehead.protocols.amqp.codec.v1.errors import NOT_FOUND, PRECONDITION_FAILED, UNAUTHORIZED_ACCESS
from bridgehead.protocols.amqp.codec.v1.sections import Properties, put_data, put_properties
from bridgehead.protocols.amqp.codec.v1.states import ACCEPTED, Rejected
from bridgehead.protocols.amqp.codec.v1.termini import Target
from bridgehead.protocols.amqp.codec.v1.types import Symbol
from tests.amqp.dialogue import AmqpHub, data


def to(address: str | None, body: bytes = b"x") -> bytes:
    return put_properties(Properties(to=address)) + put_data(body)


@pytest.mark.clause("AMQPANON-2")
def test_each_message_goes_where_it_says() -> None:
    hub = AmqpHub()
    hub.config.create_queues = True
    one = hub.container("display").receiver("/topics/a%2Fb")
    two = hub.container("display", "other").receiver("/topics/c")
    sender = hub.container("sensor").sender(None, target=Target())
    assert isinstance(sender.answer.target, Target)
    assert sender.answer.target.address is None
    sender.transfer(to("/topics/a%2Fb", b"1"))
    sender.transfer(to("c", b"2"), settled=True)
    sender.transfer(to("/queues/jobs", b"3"))
    sender.transfer(to("/topics/a%2Fb", b"4"))
    assert all(each.state is ACCEPTED for each in sender.outcomes())
    assert [each.body for each in one.deliveries()] == [b"1", b"4"]
    assert [each.body for each in two.deliveries()] == [b"2"]
    queue = hub.broker.queues.find("jobs")
    assert queue is not None
    assert queue.waiting == 1


@pytest.mark.clause("AMQPANON-2.1")
@pytest.mark.parametrize(
    ("payload", "condition"),
    [(data(b"x"), PRECONDITION_FAILED), (to(None), PRECONDITION_FAILED), (to("/queues/none"), NOT_FOUND)],
)
def test_a_message_to_nowhere_is_rejected_or_detaches(payload: bytes, condition: str) -> None:
    peer = AmqpHub().container()
    sender = peer.sender(None, target=Target())
    sender.transfer(payload)
    state = sender.outcome()
    assert isinstance(state, Rejected)
    assert state.error is not None
    assert state.error.condition == condition
    sender.transfer(payload, settled=True)
    assert peer.condition() == condition


@pytest.mark.clause("AMQPANON-2.2")
@pytest.mark.parametrize("settled", [True, False])
def test_the_policy_decides_on_each_message(settled: bool) -> None:
    hub = AmqpHub(principals=[Principal.of("sensor", [Permission("a", True, True)], ["*"])])
    peer = hub.container("sensor")
    sender = peer.sender(None, target=Target())
    sender.transfer(to("a"))
    assert sender.outcome() is ACCEPTED
    sender.transfer(to("b"), settled=settled)
    if settled:
        assert peer.condition() == UNAUTHORIZED_ACCESS
    else:
        assert isinstance(sender.outcome(), Rejected)
    assert hub.named("publish.denied")[0]["topic"] == "b"


def test_a_queue_that_went_is_not_remembered() -> None:
    hub = AmqpHub()
    hub.config.create_queues = True
    peer = hub.container("sensor")
    sender = peer.sender(None, target=Target())
    session = peer.connection.hub_session
    assert session is not None
    for _ in range(2):
        sender.transfer(to("/queues/jobs"))
        assert sender.outcome() is ACCEPTED
        hub.broker.queues.delete(session.principal, session.origin, "jobs")


@pytest.mark.clause("AMQP-2.6.13")
def test_it_is_exactly_once_as_any_other() -> None:
    hub = AmqpHub()
    receiver = hub.container("display").receiver("/topics/a")
    target = Target(expiry_policy=Symbol("never"))
    sender = hub.container("sensor").sender(None, "l", 0, 1, target=target)
    sender.transfer(to("a"), tag=b"t")
    assert sender.outcome() is ACCEPTED
    sender.peer.drop()
    again = hub.container("sensor").sender(None, "l", 0, 1, {b"t": None}, target=target)
    again.transfer(to("a"), tag=b"t", resume=True)
    assert again.outcome() is ACCEPTED
    assert len(receiver.deliveries()) == 1
