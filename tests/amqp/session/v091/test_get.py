"""basic.get: one message, also when what there is waits for its commit."""

from __future__ import annotations

import pytest
from pamqp import commands, frame
from pamqp.commands import Basic

from bridgehead.protocols.amqp.config import AmqpConfig
from tests.amqp.dialogue import AmqpHub
from tests.amqp.session.v091.dialogue import Client

PERSISTENT = Basic.Properties(delivery_mode=2)


@pytest.fixture
def hub() -> AmqpHub:
    return AmqpHub()


@pytest.fixture
def client(hub: AmqpHub) -> Client:
    return Client(hub).open()


@pytest.mark.clause("AMQP091-basic.get", "AMQP091-basic.get-ok", "AMQP091-basic.get-empty")
def test_get_takes_one(client: Client) -> None:
    client.declare("q")
    client.ask(Basic.Get(queue="q"), Basic.GetEmpty)
    client.publish("q", b"1")
    client.publish("q", b"2")
    answer = client.ask(Basic.Get(queue="q"), Basic.GetOk)
    assert (answer.delivery_tag, answer.message_count, answer.routing_key) == (1, 1, "q")
    assert client.content()[1] == b"1"
    client.send(Basic.Nack(1, False, True))
    answer = client.ask(Basic.Get(queue="q", no_ack=True), Basic.GetOk)
    assert answer.redelivered is True
    assert client.content()[1] == b"1"
    client.send(Basic.Ack(2))
    client.closed_channel(406)


@pytest.mark.clause("AMQP091-basic.get")
def test_get_finds_what_is_on_its_way_to_the_disk(hub: AmqpHub, client: Client) -> None:
    client.declare("q", durable=True)
    hub.store.automatic = False
    client.publish("q", b"1", properties=PERSISTENT)
    client.publish("q", b"2", properties=PERSISTENT)
    for _ in range(3):
        client.send(Basic.Get(queue="q"))
    client.send(Basic.Qos(prefetch_count=1))  # its answer keeps its place
    hub.commit()
    assert client.silent()  # the second was too late for that batch
    hub.commit()
    for tag, payload in ((1, b"1"), (2, b"2")):
        assert client.get(Basic.GetOk).delivery_tag == tag
        assert client.content()[1] == payload
    client.get(Basic.GetEmpty)
    client.get(Basic.QosOk)
    assert client.silent()


@pytest.mark.clause("AMQP091-basic.get")
def test_get_of_a_message_that_cannot_be_kept(hub: AmqpHub, client: Client) -> None:
    client.declare("q", durable=True)
    hub.store.automatic = False
    client.publish("q", b"1", properties=PERSISTENT)
    client.send(Basic.Get(queue="q"))
    hub.store.full = True
    hub.commit()
    client.closed_channel(541)
    assert client.silent()


@pytest.mark.clause("AMQP091-basic.get")
@pytest.mark.parametrize("what", ["queue", "channel", "connection", "network"])
def test_get_of_what_ends_before_the_commit(hub: AmqpHub, client: Client, what: str) -> None:
    other = Client(hub, "other").open()
    client.declare("q", durable=True)
    hub.store.automatic = False
    client.publish("q", b"1", properties=PERSISTENT)
    client.send(Basic.Get(queue="q"))
    if what == "queue":
        other.send(commands.Queue.Delete(queue="q"))
        hub.commit()
        client.closed_channel(404)
    elif what == "network":
        client.connection.lost("gone")
        hub.commit()
    else:
        number = 1 if what == "channel" else 0
        kind = commands.Channel if what == "channel" else commands.Connection
        client.send(kind.Close(200, "bye", 0, 0), number)
        assert client.silent()  # it has its turn after the answer
        hub.commit()
        client.get(Basic.GetOk)
        client.content()
        client.get(kind.CloseOk, number)
    hub.store.automatic = True
    hub.settle()
    assert client.silent()
    if what != "queue":
        other.send(Basic.Get(queue="q"))
        other.get(Basic.GetOk)  # nobody has acknowledged it
        assert other.content()[1] == b"1"


@pytest.mark.clause("AMQP091-basic.get")
def test_nothing_more_is_read_of_who_waits_for_a_get() -> None:
    """However large what its other gets would bring: it was all in one read."""
    config = AmqpConfig()
    config.outbox_octets = 200_000
    hub = AmqpHub(config=config)
    client = Client(hub).open()
    client.declare("durable", durable=True)
    client.declare("q")
    for _ in range(40):
        client.publish("q", bytes(100_000))
    hub.store.automatic = False
    client.publish("durable", b"1", properties=PERSISTENT)
    client.stop_reading()
    client.send_octets(b"".join([frame.marshal(Basic.Get(queue=name), 1) for name in ["durable", *["q"] * 40]]))
    assert client.silent()
    assert client.connection.is_congested()
    hub.commit()
    assert 0 < len(client.octets) < 700_000
    for _ in range(20):
        client.read_on()
    assert not client.connection.is_congested()
    for tag in range(1, 42):
        assert client.get(Basic.GetOk).delivery_tag == tag
        client.content()
    assert client.silent()


@pytest.mark.clause("AMQP091-basic.get")
def test_who_waited_for_a_get_is_read_again(hub: AmqpHub, client: Client) -> None:
    client.declare("q", durable=True)
    hub.store.automatic = False
    client.publish("q", b"1", properties=PERSISTENT)
    client.send(Basic.Get(queue="q"))
    assert client.connection.is_congested()
    client.connection.attention = False  # the rim has looked, and reads no more
    hub.commit()
    assert client.connection.attention  # look again
    assert not client.connection.is_congested()
    client.get(Basic.GetOk)
