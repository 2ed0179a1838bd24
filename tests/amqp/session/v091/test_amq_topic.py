"""amq.topic is the hub's topics: to publish there is to publish, to bind a queue to it is to subscribe."""

from __future__ import annotations

import pytest

from bridgehead.broker.door import NOBODY
from bridgehead.core.errors import FILTER_INVALID, NOT_AUTHORIZED
from bridgehead.core.message import Message, Origin
from bridgehead.core.session import Subscription
from tests.amqp.session.v091.hall import ALL, Hall, Person, make, refused, send, take
from tests.broker.fakes import FakeReceiver

pytestmark = pytest.mark.clause("AMQP091-3.1.3.3")


def listen(hall: Hall, topic_filter: str, name: str = "owner") -> FakeReceiver:
    receiver = FakeReceiver()
    session = hall.broker.attach(hall.principals[name], "reader", "fake", True, True, 0.0, None, receiver)[0]
    hall.broker.door.subscribe(Subscription(session, topic_filter, 0))
    return receiver


def tell(hall: Hall, topic: str, payload: bytes, name: str = "owner", qos: int = 1, retain: bool = False) -> None:
    """As a device of another protocol does."""
    message = Message(topic, payload, qos, retain, Origin(name, "mqtt", True, "sensor"))
    hall.broker.door.publish(hall.principals[name], message, FakeReceiver())


@pytest.fixture
def hall() -> Hall:
    return Hall()


@pytest.fixture
def me(hall: Hall) -> Person:
    return hall.who()


def test_publishing_is_publishing_to_the_topic(hall: Hall, me: Person) -> None:
    receiver = listen(hall, "plant/+/valve")
    assert me.publish("amq.topic", "plant.3.valve", b"open", qos=0) >= 0
    assert me.publish("amq.topic", "nobody.there", qos=0) == NOBODY
    assert receiver.transmitted == [b"open"]


def test_a_bound_queue_is_fed(hall: Hall, me: Person) -> None:
    me.queue("q")
    me.bind("q", "amq.topic", "plant.*.valve")
    me.bind("q", "amq.topic", "plant.3.#")
    tell(hall, "plant/3/valve", b"1")
    tell(hall, "plant/4/pump", b"2")
    tell(hall, "plant/3/valve/alarm", b"3")
    me.publish("amq.topic", "plant.4.valve", b"4")
    assert hall.waiting("q") == [b"1", b"3", b"4"]
    me.unbind("q", "amq.topic", "plant.*.valve")
    tell(hall, "plant/9/valve", b"5")
    assert hall.waiting("q") == [b"1", b"3", b"4"]


def test_a_wildcard_that_no_topic_filter_has_is_refused(me: Person) -> None:
    me.queue("q")
    with refused(FILTER_INVALID, "last"):
        me.bind("q", "amq.topic", "#.alarm")


def test_retained_values_are_not_what_a_queue_waits_for(hall: Hall, me: Person) -> None:
    """A queue holds what came since it was bound: a worker that binds it at each start does not get old values anew."""
    tell(hall, "plant/3", b"old", retain=True)
    me.queue("q")
    me.bind("q", "amq.topic", "plant.#")
    assert hall.waiting("q") == []


def test_an_exchange_leads_to_topics_with_the_rights_of_who_bound_it() -> None:
    hall = Hall({"owner": ALL, "app": [send("$EXCHANGE/ex")]})
    owner, app = hall.who("owner"), hall.who("app")
    receiver = listen(hall, "plant/#")
    owner.exchange("ex", "topic")
    owner.join("amq.topic", "ex", "plant.#")
    app.publish("ex", "plant.3", b"through", qos=0)
    app.publish("ex", "office.3", b"not bound", qos=0)
    with refused(NOT_AUTHORIZED):
        app.publish("amq.topic", "plant.3", qos=0)
    assert receiver.transmitted == [b"through"]


def test_an_alternate_exchange_leads_to_topics_with_the_rights_of_who_declared_it() -> None:
    hall = Hall({"owner": ALL, "mallory": [make("$EXCHANGE/mine"), send("open/#")]})
    receiver = listen(hall, "#")
    mallory = hall.who("mallory")
    mallory.exchange("mine", arguments={"alternate-exchange": "amq.topic"})
    mallory.publish("mine", "plant.valve", b"forged", qos=0)
    mallory.publish("mine", "open.board", b"allowed", qos=0)
    assert receiver.transmitted == [b"allowed"]
    assert hall.named("publish.denied")[-1]["topic"] == "plant/valve"


# Rights. --------------------------------------------------------------------------------------------


def reader(*filters: str) -> Hall:
    mine = [make("$QUEUE/mine/#"), take("$QUEUE/mine/#")]
    return Hall({"owner": ALL, "mallory": [*mine, *[take(topic_filter) for topic_filter in filters]]})


@pytest.mark.parametrize("key", ["plant.valve", "#", "*.valve", "plant.#"])
def test_nobody_reads_by_a_binding_what_it_may_not_subscribe_to(key: str) -> None:
    hall = reader("open/#")
    mallory = hall.who("mallory")
    mallory.queue("mine/q")
    with refused(NOT_AUTHORIZED):
        mallory.bind("mine/q", "amq.topic", key)
    tell(hall, "plant/valve", b"secret")
    assert hall.waiting("mine/q") == []
    assert hall.named("subscribe.denied")[-1]["principal"] == "mallory"


def test_nobody_feeds_anothers_queue() -> None:
    hall = reader("#")
    hall.who("owner").queue("theirs")
    with refused(NOT_AUTHORIZED):
        hall.who("mallory").bind("theirs", "amq.topic", "#")


def test_a_binding_feeds_no_longer_than_its_binder_may_read() -> None:
    hall = reader("plant/#")
    mallory = hall.who("mallory")
    mallory.queue("mine/q")
    mallory.bind("mine/q", "amq.topic", "plant.#")
    tell(hall, "plant/1", b"1")
    mallory.principal.permit([make("$QUEUE/mine/#"), take("$QUEUE/mine/#")], ["*"])
    hall.broker.permissions_changed(["mallory"])
    tell(hall, "plant/1", b"2")
    assert hall.waiting("mine/q") == [b"1"]


def test_nor_than_its_binder_exists() -> None:
    hall = reader("plant/#")
    mallory = hall.who("mallory")
    mallory.queue("mine/q", durable=True)
    mallory.bind("mine/q", "amq.topic", "plant.#")
    hall.broker.revoke("mallory", "gone")
    tell(hall, "plant/1", b"secret")
    assert hall.waiting("mine/q") == []


def test_a_lasting_binding_feeds_after_a_restart_with_the_rights_of_then() -> None:
    hall = reader("plant/#")
    mallory = hall.who("mallory")
    mallory.queue("mine/q", durable=True)
    mallory.bind("mine/q", "amq.topic", "plant.#")
    later = hall.again()
    tell(later, "plant/1", b"1")
    assert later.waiting("mine/q") == [b"1"]
    without = later.again({**hall.people, "mallory": [make("$QUEUE/mine/#"), take("$QUEUE/mine/#")]})
    tell(without, "plant/1", b"2")
    assert without.waiting("mine/q") == [b"1"]
