"""Observations under whatever clients, publishers and the policy do, in any order: what is kept stays in step, and who
observes at least once gets each message once and in order."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from bridgehead.core.permission import Permission
from bridgehead.protocols.coap.codec import codes, numbers
from bridgehead.protocols.coap.codec.message import CON, NON, RST, Message, in_order
from bridgehead.protocols.coap.session.observer import Observer
from tests.coap.dialogue import Client, path_options
from tests.coap.topics import DEREGISTER, OBSERVE, TopicsHub, may, topic

PATHS = ["t/a", "t/b", "t?f=a", "t?f=+", "t?f=#"]
TOPICS = ["a", "b", "c/d"]
EVERYTHING = [Permission("#", False, True)]
ONLY_A = [Permission("a", False, True)]

OPERATIONS = st.one_of(
    st.tuples(st.just("observe"), st.integers(0, 2), st.sampled_from(PATHS), st.integers(0, 3), st.booleans()),
    st.tuples(st.just("cancel"), st.integers(0, 2), st.sampled_from(PATHS), st.integers(0, 3), st.booleans()),
    st.tuples(st.just("publish"), st.integers(0, 2), st.sampled_from(TOPICS), st.integers(0, 2), st.booleans()),
    st.tuples(st.just("reset"), st.integers(0, 2), st.just(""), st.integers(0, 3), st.booleans()),
    st.tuples(st.just("mute"), st.integers(0, 2), st.just(""), st.just(0), st.booleans()),
    st.tuples(st.just("rights"), st.just(0), st.just(""), st.just(0), st.booleans()),
    st.tuples(st.just("wait"), st.integers(1, 200), st.just(""), st.just(0), st.booleans()),
    st.tuples(st.just("drop"), st.integers(0, 2), st.just(""), st.just(0), st.booleans()),
)
Operation = tuple[str, int, str, int, bool]


class Scene:
    def __init__(self) -> None:
        self.principal = may("sensor", *EVERYTHING)
        self.hub = TopicsHub([self.principal])
        self.clients = [self.client(i) for i in range(3)]
        self.serial = 0

    def client(self, which: int) -> Client:
        made = self.hub.secured(address=f"192.0.2.{which}:1")
        if which == 1:
            self.hub.observing.attach(made.peer)
        return made

    def do(self, operation: Operation) -> None:
        what, which, where, number, flag = operation
        hub = self.hub
        token = b"t%d" % number
        if what == "publish":
            self.serial += 1
            hub.other.publish(where, b"%d" % self.serial, qos=number, retain=flag)
        elif what == "rights":
            self.principal.permit(EVERYTHING if flag else ONLY_A, ["*"])
            hub.broker.permissions_changed(["sensor"])
            hub.settle()
        elif what == "wait":
            hub.pass_time(which)
        elif what == "drop":
            self.clients[which].peer.close("dropped")
            self.clients[which] = self.client(which)
        elif what == "mute":
            self.clients[which].acknowledges = flag
        elif what == "reset":
            client = self.clients[which]
            told = [message for message in client.received if message.type in (CON, NON)]
            if told:
                client.send(Message(codes.EMPTY, (), b"", b"", RST, told[-1 - number % len(told)].message_id))
        else:
            client = self.clients[which]
            options = in_order([*path_options(where), OBSERVE if what == "observe" else DEREGISTER])
            client.send(Message(codes.GET, options, b"", token, CON if flag else NON, client.next_id()))

    def check(self) -> None:
        hub = self.hub
        sessions = hub.broker.sessions.of("sensor")
        observers = [session.receiver for session in sessions]
        count = 0
        filters = 0
        for observer in observers:
            assert isinstance(observer, Observer)
            assert observer.session in sessions
            assert not observer.peer.gone
            standing = [each for group in observer._groups.values() for each in group.observations]
            assert sorted(each.token for each in standing) == sorted(observer.by_token)
            assert not any(each.over for each in standing)
            assert set(observer._by_filter) == set(observer.session.subscriptions)
            assert {number for number in observer._flights if number > 0} == set(observer.session.in_flight)
            assert observer.peer.held == len(observer.by_token)
            count += len(standing)
            filters += len(observer._groups)
        assert hub.observing.observations == count
        assert hub.broker.router.subscriptions == filters

    def finish(self) -> None:
        """Everyone listens again, and then leaves."""
        for client in self.clients:
            client.acknowledges = True
        self.hub.pass_time(400)
        self.check()
        for session in self.hub.broker.sessions.of("sensor"):
            assert session.in_flight == {}
            assert not session.queue
        for client in self.clients:
            client.peer.close("done")
        self.hub.pass_time(0)
        assert self.hub.observing.observations == 0
        assert self.hub.broker.sessions.of("sensor") == []
        assert self.hub.broker.router.subscriptions == 0
        assert self.hub.observing._observers == {}


@settings(deadline=None, max_examples=150)
@given(st.lists(OPERATIONS, max_size=40))
def test_what_is_kept_stays_in_step(operations: list[Operation]) -> None:
    scene = Scene()
    for operation in operations:
        scene.do(operation)
        scene.check()
    scene.finish()


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.sampled_from(TOPICS), st.integers(0, 2), st.booleans(), st.integers(0, 3)), max_size=40),
    st.booleans(),
)
def test_each_message_once_and_in_order(publications: list[tuple[str, int, bool, int]], is_stream: bool) -> None:
    """Acknowledged late, now and then, so that what is at least once waits. Each guarantee has its own order."""
    hub = TopicsHub()
    client = hub.secured()
    client.request(codes.GET, "t?f=#" if is_stream else "t/a", options=[OBSERVE], token=b"ob")
    client.acknowledges = False
    waiting: list[Message] = []
    told: list[Message] = []
    expected: dict[bool, list[tuple[str, bytes]]] = {True: [], False: []}
    for i, (path, qos, retain, acknowledged) in enumerate(publications):
        payload = b"%d" % i
        hub.other.publish(path, payload, qos=qos, retain=retain)
        if is_stream or path == "a":
            expected[qos > 0].append((path, payload))
        for _ in range(acknowledged):
            fresh = client.get()
            told += fresh
            waiting += [message for message in fresh if message.type == CON]
            if waiting:
                client.acknowledge(waiting.pop(0))
    while True:
        fresh = client.get()
        told += fresh
        waiting += [message for message in fresh if message.type == CON]
        if not waiting:
            break
        client.acknowledge(waiting.pop(0))
    numbered = [message.uint(numbers.OBSERVE) for message in told]
    assert numbered == sorted(set(numbered))
    for confirmable, messages in expected.items():
        got = [message for message in told if (message.type == CON) == confirmable]
        assert [(topic(message) if is_stream else "a", message.payload) for message in got] == messages
