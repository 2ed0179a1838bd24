"""Exactly once wherever it is cut: connections that are lost, a hub that is killed, before and after commits."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgehead.protocols.amqp.codec.v1.composites import DeliveryState
from bridgehead.protocols.amqp.codec.v1.performatives import Attach, Disposition, Flow, Transfer
from bridgehead.protocols.amqp.codec.v1.states import ACCEPTED
from bridgehead.protocols.amqp.codec.v1.termini import Source, Target
from bridgehead.protocols.amqp.codec.v1.types import Symbol
from tests.amqp.dialogue import AmqpHub, Container, data


class Exact:
    """A sender as 2.6.13 has it: it keeps what is unsettled, resumes what the hub has, sends anew what it has not."""

    def __init__(self, hub: AmqpHub) -> None:
        self.hub = hub
        self.sent = 0
        self.unsettled: dict[bytes, DeliveryState | None] = {}
        self.by_id: dict[int, bytes] = {}
        self.peer: Container | None = None
        hub.config.create_queues = True
        hub.store.automatic = False

    def connected(self) -> Container:
        """The container with its link, resumed when it had lost it."""
        if self.peer is not None:
            return self.peer
        peer = self.hub.container("sensor")
        target = Target("/queues/jobs", expiry_policy=Symbol("never"))
        peer.send(Attach("exact", 0, False, 0, 1, Source("here"), target, self.unsettled, initial_delivery_count=0))
        while not peer.received:
            self.hub.commit()  # the attach waits for its terminus
        answer = peer.received.pop(0).performative
        assert isinstance(answer, Attach)
        self.peer = peer
        self.by_id = {}
        known = answer.unsettled or {}
        for tag, state in list(self.unsettled.items()):
            if tag in known:
                assert known[tag] is ACCEPTED
                self.transfer(tag, True)
            else:
                assert state is None, "what the hub had accepted it knows until we settle"
                self.transfer(tag, False)
        return peer

    def transfer(self, tag: bytes, resume: bool) -> None:
        peer = self.connected()
        number = peer.delivery_id
        peer.delivery_id += 1
        self.by_id[number] = tag
        peer.send(Transfer(0, number, tag, 0, 0, resume=resume), payload=data(tag))
        self.listen()

    def send(self) -> None:
        self.connected()
        tag = b"%d" % self.sent
        self.sent += 1
        self.unsettled[tag] = None
        self.transfer(tag, False)

    def listen(self) -> None:
        peer = self.peer
        if peer is None:
            return
        for each in peer.get():
            if isinstance(each, Flow):
                continue
            assert isinstance(each, Disposition), each
            for number in range(each.first, max(each.first, each.last) + 1):
                tag = self.by_id[number]
                assert each.state is ACCEPTED
                assert not each.settled
                self.unsettled[tag] = ACCEPTED

    def settle(self) -> None:
        peer = self.peer
        if peer is None:
            return
        for number, tag in list(self.by_id.items()):
            if self.unsettled.get(tag) is ACCEPTED:
                del self.unsettled[tag]
                del self.by_id[number]
                peer.send(Disposition(False, number, number, True, ACCEPTED))
                self.listen()
                return

    def act(self, what: str) -> None:
        if what == "send":
            self.send()
        elif what == "settle":
            self.settle()
        elif what == "commit":
            if self.hub.store.waiting:
                self.hub.commit()
                self.listen()
        elif what == "drop":
            if self.peer is not None:
                self.peer.drop()
                self.peer = None
        else:
            self.hub = self.hub.crash()
            self.hub.store.automatic = False
            self.peer = None

    def finish(self) -> None:
        self.hub.store.automatic = True
        self.hub.settle()
        self.listen()
        self.connected()
        self.hub.settle()
        self.listen()
        while self.unsettled:
            self.settle()


@pytest.mark.clause("AMQP-2.6.12", "AMQP-2.6.13")
@settings(max_examples=120, deadline=None)
@given(
    st.lists(st.sampled_from(["send", "send", "commit", "commit", "settle", "settle", "drop", "crash"]), max_size=40)
)
def test_each_message_is_in_the_queue_once(actions: list[str]) -> None:
    sender = Exact(AmqpHub())
    for action in actions:
        sender.act(action)
    sender.finish()
    queue = sender.hub.broker.queues.find("jobs")
    assert queue is not None
    assert queue.waiting == sender.sent
    receiver = sender.hub.container("worker").receiver("/queues/jobs", credit=1000, snd_settle_mode=1)
    assert sorted(each.body for each in receiver.deliveries()) == sorted(b"%d" % i for i in range(sender.sent))
