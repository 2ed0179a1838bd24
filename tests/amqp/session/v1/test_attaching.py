"""Attaching and detaching links (2.6.3 to 2.6.6), and the targets that senders attach to."""

from __future__ import annotations

import pytest

from bridgehead.core.permission import Permission
from bridgehead.core.policy import Principal
from bridgehead.protocols.amqp.codec.v1.composites import ABSENT
from bridgehead.protocols.amqp.codec.v1.errors import (
    INVALID_FIELD,
    NOT_FOUND,
    NOT_IMPLEMENTED,
    RESOURCE_LIMIT_EXCEEDED,
    STOLEN,
    UNAUTHORIZED_ACCESS,
)
from bridgehead.protocols.amqp.codec.v1.performatives import Attach, Detach, Flow, Transfer
from bridgehead.protocols.amqp.codec.v1.states import ACCEPTED, Rejected
from bridgehead.protocols.amqp.codec.v1.termini import Coordinator, Source, Target
from bridgehead.protocols.amqp.codec.v1.types import Described, Symbol, ULong
from tests.amqp.dialogue import AmqpHub, data


def refused(hub: AmqpHub, attach: Attach, name: str = "office") -> str:
    """The condition that the attach was refused with."""
    peer = hub.container(name)
    peer.send(attach)
    answer, detach = peer.get()
    assert isinstance(answer, Attach)
    assert answer.name == attach.name
    assert answer.role != attach.role
    assert (answer.source if attach.role else answer.target) is None
    assert isinstance(detach, Detach)
    assert detach.closed
    assert detach.error is not None
    assert detach.error.description
    # The handle is free when the peer has answered.
    peer.send(Detach(attach.handle, True))
    peer.attach(Attach("again", attach.handle, True, source=Source("/topics/a")))
    return str(detach.error.condition)


def sending(target: object, count: int = 0) -> Attach:
    return Attach("to", 4, False, source=Source("here"), target=target, initial_delivery_count=count)


@pytest.mark.clause("AMQP-2.6.3", "AMQP-2.8.1")
def test_the_answer_names_the_link_and_its_other_end() -> None:
    peer = AmqpHub().container()
    attach = Attach("mine", 5, False, 1, 0, Source("here", timeout=5), Target("/topics/a"), initial_delivery_count=7)
    answer = peer.attach(attach)
    assert (answer.name, answer.handle, answer.role) == ("mine", 5, True)
    assert (answer.snd_settle_mode, answer.rcv_settle_mode) == (1, 0)
    assert answer.source == attach.source
    assert answer.target == attach.target
    assert answer.unsettled is None
    assert not answer.incomplete_unsettled
    (flow,) = peer.get()
    assert isinstance(flow, Flow)
    assert (flow.handle, flow.delivery_count) == (5, 7)


@pytest.mark.clause("AMQP-2.7.3")
def test_our_sending_end_has_an_initial_delivery_count() -> None:
    receiver = AmqpHub().container().receiver("/topics/a", credit=0)
    assert receiver.answer.initial_delivery_count == 0


@pytest.mark.clause("AMQP-2.6.3")
@pytest.mark.parametrize(
    ("target", "condition"),
    [
        (None, INVALID_FIELD),
        (Target("/topics/a%2F%23"), INVALID_FIELD),
        (Target("/queues/none"), NOT_FOUND),
        (Target(ULong(7)), INVALID_FIELD),
        (Target("/topics/a", dynamic=True), INVALID_FIELD),
        (Described(Symbol("some:terminus"), []), NOT_IMPLEMENTED),
    ],
)
def test_a_target_that_is_none_is_refused(target: object, condition: str) -> None:
    assert refused(AmqpHub(), sending(target)) == condition


@pytest.mark.clause("AMQP-2.7.3")
def test_a_sender_without_initial_delivery_count_is_refused() -> None:
    assert refused(AmqpHub(), sending(Target("/topics/a"), ABSENT)) == INVALID_FIELD


def limited(name: str, topic: str) -> Principal:
    return Principal.of(name, [Permission(topic, True, True)], ["*"])


@pytest.mark.clause("AMQP-2.8.14", "AMQP-2.8.15")
def test_the_policy_decides_on_the_attach() -> None:
    hub = AmqpHub(principals=[limited("sensor", "a")])
    assert refused(hub, sending(Target("/topics/b")), "sensor") == UNAUTHORIZED_ACCESS
    assert hub.named("publish.denied")[0]["topic"] == "b"
    receiving = Attach("from", 4, True, source=Source("/topics/b"))
    assert refused(hub, receiving, "sensor") == UNAUTHORIZED_ACCESS
    hub.container("sensor").sender("/topics/a")


def test_links_are_bounded_in_number() -> None:
    hub = AmqpHub()
    hub.config.links = 3
    peer = hub.container()
    for _ in range(3):
        peer.receiver("/topics/a", credit=0)
    peer.send(Attach("one more", 9, True, source=Source("/topics/a")))
    assert peer.condition() == RESOURCE_LIMIT_EXCEEDED
    peer.send(Detach(9, True), Detach(0, True))
    peer.get()
    peer.receiver("/topics/a", credit=0)


@pytest.mark.clause("AMQP-2.6.1")
@pytest.mark.parametrize("role", [True, False])
def test_a_link_attached_again_is_stolen(role: bool) -> None:
    hub = AmqpHub()
    peer = hub.container()
    for handle in (0, 1):
        peer.send(
            Attach(
                "same", handle, role, source=Source("/topics/a"), target=Target("/topics/a"), initial_delivery_count=0
            )
        )
    detached = [each for each in peer.get() if isinstance(each, Detach)]
    assert [each.handle for each in detached] == [0]
    assert detached[0].error is not None
    assert detached[0].error.condition == STOLEN
    assert not peer.closed


@pytest.mark.clause("AMQP-2.6.1")
def test_the_two_directions_have_names_of_their_own() -> None:
    peer = AmqpHub().container()
    peer.receiver("/topics/a", name="same")
    peer.sender("/topics/a", name="same")
    assert peer.get() == []


@pytest.mark.clause("AMQP-2.6.6", "AMQP-2.7.7")
@pytest.mark.parametrize("closed", [True, False])
def test_a_detach_is_answered_in_kind(closed: bool) -> None:
    hub = AmqpHub()
    peer = hub.container()
    receiver = peer.receiver("/topics/a")
    sender = peer.sender("/topics/a")
    assert receiver.detach(closed).closed == closed
    assert sender.detach(closed).closed == closed
    peer.sender("/topics/a").transfer()


def test_what_was_accepted_is_told_before_the_detach() -> None:
    peer = AmqpHub().container()
    sender = peer.sender("/topics/a")
    octets = Transfer(sender.handle, 0, b"t", 0, 0)
    peer.send(octets, payload=data(b"x"))
    peer.send(Detach(sender.handle, True))
    assert [type(each).__name__ for each in peer.get()] == ["Disposition", "Detach"]


# Targets. -----------------------------------------------------------------------------------------------


def test_a_queue_takes_messages_and_receivers_compete_for_them() -> None:
    hub = AmqpHub()
    hub.config.create_queues = True
    sender = hub.container("sensor").sender("/queues/jobs")
    one = hub.container("worker").receiver("/queues/jobs")
    two = hub.container("worker", "worker-2").receiver("/queues/jobs")
    for i in range(4):
        sender.transfer(body=bytes([i]))
    accepted = sender.outcomes()
    assert all(each.state is ACCEPTED for each in accepted)
    bodies = [each.body for each in one.deliveries() + two.deliveries()]
    assert sorted(bodies) == [b"\x00", b"\x01", b"\x02", b"\x03"]


def test_a_queue_that_is_deleted_takes_no_more() -> None:
    hub = AmqpHub()
    hub.config.create_queues = True
    peer = hub.container("sensor")
    sender = peer.sender("/queues/jobs")
    session = peer.connection.hub_session
    assert session is not None
    hub.broker.queues.delete(hub.principal("sensor"), session.origin, "jobs")
    sender.transfer()
    state = sender.outcome()
    assert isinstance(state, Rejected)
    assert state.error is not None
    assert state.error.condition == NOT_FOUND


@pytest.mark.parametrize(("capability", "kind"), [("queue", "queue"), ("topic", "topic"), ("", "topic")])
def test_a_capability_says_what_a_bare_name_is(capability: str, kind: str) -> None:
    hub = AmqpHub()
    hub.config.create_queues = True
    capabilities = [Symbol(capability)] if capability else []
    hub.container().sender(None, target=Target("jobs", capabilities=capabilities))
    assert (hub.broker.queues.find("jobs") is not None) == (kind == "queue")


def test_a_bare_name_is_the_queue_that_is_there() -> None:
    hub = AmqpHub()
    hub.config.create_queues = True
    hub.container().sender("/queues/jobs")
    sender = hub.container("sensor").sender("jobs")
    sender.transfer()
    assert sender.outcome() is ACCEPTED
    queue = hub.broker.queues.find("jobs")
    assert queue is not None
    assert queue.waiting == 1


@pytest.mark.clause("AMQP-4.5.1", "AMQP-4.5.7")
def test_the_coordinator_tells_what_it_can() -> None:
    answer = AmqpHub().container().sender(None, target=Coordinator([Symbol("amqp:local-transactions")])).answer
    assert isinstance(answer.target, Coordinator)
    assert "amqp:local-transactions" in answer.target.capabilities
