"""Bad input that a hub has to expect of AMQP 0-9-1: the reply code for it, the connection or channel closed, nothing of
it kept, and whoever else is connected undisturbed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pamqp import commands
from pamqp.commands import Basic

from bridgehead.core.errors import BAD_CREDENTIALS, Refusal
from bridgehead.protocols.amqp.codec.v091.frames import BODY, HEADER, METHOD, frame
from bridgehead.protocols.amqp.config import AmqpConfig
from tests.amqp.dialogue import AmqpHub
from tests.amqp.session.v091.dialogue import Client, everything


@pytest.fixture
def hub() -> Iterator[AmqpHub]:
    """With somebody else, who is served before and after."""
    config = AmqpConfig()
    config.prefetch = 100
    made = AmqpHub(config=config)
    other = Client(made, "other").open()
    other.declare("beside")
    other.consume("beside")
    yield made
    other.publish("beside", b"still here")
    assert other.delivered()[1] == b"still here"


@pytest.fixture
def client(hub: AmqpHub) -> Client:
    return Client(hub).open(frame_max=4096)


@pytest.mark.clause("AMQP091-4.2.3")
def test_a_frame_that_is_longer_than_was_promised(client: Client) -> None:
    client.send_octets(b"\x01\x00\x01\x00\x00\x0f\xf9")  # 4,089 octets and eight around them: its head is enough
    client.told_closed(501)


@pytest.mark.clause("AMQP091-connection.tune-ok", "AMQP091-4.2.3")
def test_a_log_in_that_is_longer_than_any(hub: AmqpHub) -> None:
    client = Client(hub)
    client.get(commands.Connection.Start, 0)
    client.send_octets(b"\x01\x00\x00" + (8193).to_bytes(4, "big"))
    assert client.silent()
    assert client.connection.closed


@pytest.mark.clause("AMQP091-channel.open")
@pytest.mark.parametrize("number", [2048, 65_535])
def test_a_channel_beyond_the_maximum(client: Client, number: int) -> None:
    client.send(commands.Channel.Open(), number)
    assert "channel_max" in client.told_closed(530)


@pytest.mark.clause("AMQP091-1.5")
def test_a_message_on_a_channel_that_is_not_open(client: Client) -> None:
    client.publish("beside", channel=2)
    client.told_closed(504)


@pytest.mark.clause("AMQP091-4.2.6", "AMQP091-1.1")
@pytest.mark.parametrize("kind", [HEADER, BODY])
def test_content_that_no_method_announced(client: Client, kind: int) -> None:
    client.send_octets(frame(kind, 1, b"\x00\x3c" + bytes(12)))
    client.told_closed(505)


@pytest.mark.clause("AMQP091-4.2.6")
def test_a_body_that_is_longer_than_was_promised(client: Client) -> None:
    client.send(Basic.Publish(routing_key="beside"))
    client.send_octets(frame(HEADER, 1, b"\x00\x3c\x00\x00" + (3).to_bytes(8, "big") + b"\0\0"))
    client.send_octets(frame(BODY, 1, b"four"))
    client.told_closed(501)


@pytest.mark.clause("AMQP091-4.2.5.5")
@pytest.mark.parametrize("where", ["arguments", "headers"])
def test_a_table_35_kilobytes_deep(hub: AmqpHub, where: str) -> None:
    client = Client(hub).open()
    table = b""
    while len(table) < 35_000:
        table = b"\x00F" + len(table).to_bytes(4, "big") + table
    table = len(table).to_bytes(4, "big") + table
    if where == "arguments":
        client.send_octets(frame(METHOD, 1, b"\x00\x32\x00\x0a\x00\x00\x01q\x00" + table))
    else:
        client.send(Basic.Publish(routing_key="beside"))
        client.send_octets(frame(HEADER, 1, b"\x00\x3c\x00\x00" + (1).to_bytes(8, "big") + b"\x20\x00" + table))
    assert "too deep" in client.told_closed(502)


@pytest.mark.clause("AMQP091-4.2.4")
@pytest.mark.parametrize("method", [b"\x00\x3c\x00\x01", b"\x00\x63\x00\x0a", b"\xff\xff\xff\xff"])
def test_a_method_that_there_is_not(client: Client, method: bytes) -> None:
    client.send_octets(frame(METHOD, 1, method))
    client.told_closed(503)


@pytest.mark.clause("AMQP091-4.2.4")
def test_a_method_that_only_the_hub_sends(client: Client) -> None:
    client.send(Basic.GetEmpty())
    client.told_closed(503)


@pytest.mark.clause("AMQP091-2.2.4")
def test_half_a_log_in_for_ever(hub: AmqpHub) -> None:
    client = Client(hub)
    client.get(commands.Connection.Start, 0)
    client.send_octets(b"\x01\x00\x00\x00\x00\x00\x20half")
    hub.pass_time(hub.config.connect_timeout + 1)
    assert client.connection.closed


@pytest.mark.clause("AMQP091-4.2.7")
def test_half_a_frame_for_ever(hub: AmqpHub) -> None:
    client = Client(hub).open(heartbeat=5)
    client.send_octets(b"\x01\x00\x01\x00\x00\x00\x20half")
    hub.pass_time(11.0)
    assert client.connection.closed


@pytest.mark.clause("AMQP091-basic.qos")
def test_a_receiver_that_never_acknowledges(hub: AmqpHub, client: Client) -> None:
    client.declare("q")
    client.consume("q")
    sender = Client(hub).open()
    for _ in range(150):
        sender.publish("q")
    for _ in range(100):
        client.delivered()
    assert client.silent()  # the others wait in the queue, where they count
    client.connection.lost("gone")
    queue = hub.broker.queues.find("q")
    assert queue is not None
    assert (queue.waiting, queue.unsettled) == (150, 0)


@pytest.mark.clause("AMQP091-basic.publish")
def test_a_sender_that_is_faster_than_it_may_be(hub: AmqpHub, client: Client) -> None:
    hub.config.publish_rate = 10.0
    hub.config.publish_burst = 5
    client.declare("q")
    for _ in range(10):
        client.publish("q")
    assert client.connection.is_congested()  # its octets stay with TCP
    hub.pass_time(2.0)
    assert not client.connection.is_congested()


UPDATE_SECRET_DONE = frame(METHOD, 0, b"\x00\x0a\x00\x47")


def update_secret(client: Client) -> None:
    """As a client of RabbitMQ sends it."""
    secret = b"a.b.c"
    client.send_octets(frame(METHOD, 0, b"\x00\x0a\x00\x46" + len(secret).to_bytes(4, "big") + secret + b"\x01r"))


@pytest.mark.clause("AMQP091-connection.update-secret")
def test_a_new_secret_is_not_another_identitys(hub: AmqpHub) -> None:
    client = Client(hub, mechanisms=("PLAIN", "OAUTHBEARER")).open(by="OAUTHBEARER")
    update_secret(client)
    assert client.connection.is_asking()
    mallory = everything("mallory")
    hub.principals["mallory"] = mallory
    client.connection.renewed(mallory, hub.clock.now + 3600, ("token",))
    hub.settle()
    client.told_closed(530)
    assert "mallory" in str(hub.named("connection.refused")[0]["because"])
    assert client.connection.hub_session is None


@pytest.mark.clause("AMQP091-connection.update-secret")
def test_a_new_secret_where_nothing_ends(hub: AmqpHub) -> None:
    client = Client(hub, mechanisms=("PLAIN", "OAUTHBEARER")).open()
    for _ in range(2):
        update_secret(client)
        assert client.octets == UPDATE_SECRET_DONE
        client.octets = b""
    assert not client.connection.is_asking()
    client.declare("q")


@pytest.mark.clause("AMQP091-connection.update-secret")
def test_a_secret_that_is_no_token(hub: AmqpHub) -> None:
    client = Client(hub, mechanisms=("OAUTHBEARER",)).open(by="OAUTHBEARER")
    client.send_octets(frame(METHOD, 0, b"\x00\x0a\x00\x46\x00\x00\x00\x01\xff\x01r"))
    client.told_closed(530)


@pytest.mark.clause("AMQP091-connection.update-secret")
def test_a_second_secret_before_the_first_is_judged(hub: AmqpHub) -> None:
    client = Client(hub, mechanisms=("PLAIN", "OAUTHBEARER")).open(by="OAUTHBEARER")
    update_secret(client)
    update_secret(client)
    client.told_closed(503)
    client.connection.not_renewed(Refusal(BAD_CREDENTIALS, "too late"))  # the rim was still at it
    hub.settle()
    assert client.silent()
