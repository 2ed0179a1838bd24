"""basic.get: one message, also when what there is waits for its commit."""

from __future__ import annotations

import pytest
from pamqp import commands
from pamqp.commands import Basic

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
@pytest.mark.parametrize("what", ["queue", "channel", "connection"])
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
    elif what == "channel":
        client.send(commands.Channel.Close(200, "bye", 0, 0))
        hub.commit()
        client.get(Basic.GetEmpty)
        client.get(commands.Channel.CloseOk)
    else:
        client.send(commands.Connection.Close(200, "bye", 0, 0), 0)
        client.get(commands.Connection.CloseOk, 0)
        hub.commit()
    hub.store.automatic = True
    hub.settle()
    assert client.silent()
    if what != "queue":
        other.send(Basic.Get(queue="q"))
        other.get(Basic.GetOk)  # nobody has taken it
        assert other.content()[1] == b"1"
