"""Receivers of one queue that do anything at any time, and a hub that is killed: nothing is lost, and what was accepted
comes no more."""

from __future__ import annotations

import random

import pytest

from bridgehead.protocols.amqp.codec.v1.composites import DeliveryState
from bridgehead.protocols.amqp.codec.v1.states import ACCEPTED, RELEASED, Modified
from bridgehead.protocols.amqp.codec.v1.termini import Source
from tests.amqp.dialogue import AmqpHub, Container, Delivered, ReceivingLink
from tests.amqp.session.v1.receiving import detached, lasting, put, queue, selector

STEPS = 80


class Worker:
    """One receiver. A lasting one keeps what it knows of its deliveries over its links."""

    def __init__(self, name: str, lasts: bool) -> None:
        self.name = name
        self.lasts = lasts
        self.peer: Container | None = None
        self.link: ReceivingLink | None = None
        self.held: list[Delivered] = []

    def leave(self) -> None:
        self.peer = None
        self.link = None
        self.held = []


class World:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.hub = AmqpHub()
        queue(self.hub)
        self.workers = [Worker("a", False), Worker("b", True), Worker("c", True), Worker("d", False)]
        self.sent: list[bytes] = []
        self.accepted: list[bytes] = []

    def step(self) -> None:
        act = self.random.choice(
            ["put", "put", "attach", "attach", "take", "take", "take", "leave", "drop", "time", "crash"]
        )
        worker = self.random.choice(self.workers)
        if act == "put":
            body = b"%d" % len(self.sent)
            put(self.hub, body, subject=self.random.choice(["alarm", "note", None]))
            self.sent.append(body)
        elif act == "attach":
            self.attach(worker)
        elif act == "take":
            self.take(worker)
        elif act == "leave" and worker.link is not None:
            worker.link.deliveries()
            worker.link.detach(closed=self.random.random() < 0.5)
            worker.leave()
        elif act == "drop" and worker.peer is not None:
            worker.peer.drop()
            worker.leave()
        elif act == "time":
            self.hub.clock.now += self.random.choice([1, 20])
            self.hub.broker.handle_timeout()
            self.hub.settle()
        elif act == "crash" and self.random.random() < 0.3:
            self.hub = self.hub.crash()
            for each in self.workers:
                each.leave()

    def attach(self, worker: Worker) -> None:
        if worker.link is not None:
            if not worker.lasts or self.random.random() < 0.5:
                worker.link.flow(self.random.choice([0, 1, 5]), drain=self.random.random() < 0.3)
                return
            old = worker.peer
            worker.leave()
            self._link(worker)
            assert old is not None
            assert detached(old) == "amqp:link:stolen"
            return
        self._link(worker)

    def _link(self, worker: Worker) -> None:
        worker.peer = self.hub.container("office", f"container-{worker.name}")
        chosen = selector("JMSType = 'alarm'") if self.random.random() < 0.3 else None
        source = lasting("/queues/orders", 30, chosen) if worker.lasts else Source("/queues/orders", filter=chosen)
        worker.link = worker.peer.receiver(None, self.random.choice([0, 3]), worker.name, source=source)

    def take(self, worker: Worker) -> None:
        link = worker.link
        if link is None:
            return
        worker.held.extend(link.deliveries())
        self.random.shuffle(worker.held)
        for each in worker.held[: self.random.randint(0, 3)]:
            worker.held.remove(each)
            state: DeliveryState = self.random.choice(
                [ACCEPTED, ACCEPTED, RELEASED, Modified(True), Modified(True, True)]
            )
            link.settle(each.delivery_id, state=state)
            if state is ACCEPTED:
                self.accepted.append(each.body)
        link.flow(self.random.choice([1, 4]))

    def finish(self) -> None:
        """Everybody goes, those that are away do not come back, and one takes what is left."""
        for worker in self.workers:
            if worker.peer is not None:
                worker.peer.drop()
        self.hub.clock.now += 100
        self.hub.broker.handle_timeout()
        self.hub.settle()
        last = self.hub.container("office", "last").receiver("/queues/orders", 10_000)
        for each in last.deliveries():
            last.settle(each.delivery_id, state=ACCEPTED)
            self.accepted.append(each.body)


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.clause("AMQP-3.3")
def test_nothing_is_lost_and_what_was_accepted_comes_no_more(seed: int) -> None:
    world = World(seed)
    for _ in range(STEPS):
        world.step()
    world.finish()
    assert sorted(world.accepted) == sorted(world.sent)
    left = world.hub.broker.queues.find("orders")
    assert left is not None
    assert (left.waiting, left.unsettled, left.octets) == (0, 0, 0)
