"""Peers that would take the hub's memory or time, or harm who gets their messages; and stores that refuse."""

from __future__ import annotations

import pytest
from pamqp import commands, header
from pamqp.commands import Basic

from bridgehead.protocols.amqp.codec.v091.frames import BODY, HEADER, METHOD, Decoder, frame
from bridgehead.protocols.amqp.codec.v091.hot import short_string
from bridgehead.protocols.amqp.config import AmqpConfig
from tests.amqp.dialogue import AmqpHub
from tests.amqp.session.v091.dialogue import Client

LASTING = Basic.Properties(delivery_mode=2)
ANY_LETTERS = "häfen & mehr = viel"


@pytest.fixture
def hub() -> AmqpHub:
    return AmqpHub()


@pytest.fixture
def client(hub: AmqpHub) -> Client:
    return Client(hub).open()


def begin(key: str, size: int, exchange: str = "", mandatory: bool = False, content: bytes = b"\0\0") -> list[bytes]:
    """The payloads of basic.publish and its content header."""
    names = short_string(exchange) + short_string(key)
    publish = b"\x00\x3c\x00\x28\x00\x00" + names + (b"\x01" if mandatory else b"\x00")
    return [publish, b"\x00\x3c\x00\x00" + size.to_bytes(8, "big") + content]


def send_beginning(client: Client, payloads: list[bytes], channel: int = 1) -> None:
    client.send_octets(frame(METHOD, channel, payloads[0]) + frame(HEADER, channel, payloads[1]))


def declare_any(client: Client, name: str, exchange: bool = False) -> None:
    """pamqp itself refuses to write such names."""
    if exchange:
        client.send_octets(
            frame(METHOD, 1, b"\x00\x28\x00\x0a\x00\x00" + short_string(name) + b"\x06direct\x00\0\0\0\0")
        )
    else:
        client.send_octets(frame(METHOD, 1, b"\x00\x32\x00\x0a\x00\x00" + short_string(name) + b"\x00\0\0\0\0"))


def waiting(hub: AmqpHub, name: str) -> int:
    queue = hub.broker.queues.find(name)
    assert queue is not None
    return queue.waiting


# Names. ----------------------------------------------------------------------------------------------


@pytest.mark.clause("AMQP091-queue.declare", "AMQP091-basic.return")
@pytest.mark.parametrize("name", [ANY_LETTERS, "ü" * 127, "x" * 255])
def test_names_of_any_letters_come_back_as_they_went(hub: AmqpHub, client: Client, name: str) -> None:
    declare_any(client, name)
    [answer] = Decoder(4096).feed(client.octets)
    assert answer.payload == b"\x00\x32\x00\x0b" + short_string(name) + bytes(8)
    client.octets = b""
    declare_any(client, name, exchange=True)
    client.get(commands.Exchange.DeclareOk)
    send_beginning(client, begin("nowhere", 0, name, mandatory=True))
    returned, _ = Decoder(4096).feed(client.octets)
    assert returned.payload == b"\x00\x3c\x00\x32\x01\x38\x08NO_ROUTE" + short_string(name) + b"\x07nowhere"


def test_a_tag_that_the_hub_would_give_may_be_taken_already(hub: AmqpHub, client: Client) -> None:
    client.declare("q")
    first = client.ask(Basic.Consume(queue="q"), Basic.ConsumeOk).consumer_tag
    assert first
    taken = first[:-1] + "2"
    client.consume("q", tag=taken)
    third = client.ask(Basic.Consume(queue="q"), Basic.ConsumeOk).consumer_tag
    assert len({first, taken, third}) == 3
    client.connection.lost("gone")
    queue = hub.broker.queues.find("q")
    assert queue is not None
    assert not queue.consumers


# Contents. -------------------------------------------------------------------------------------------


@pytest.mark.clause("AMQP091-4.2.6")
def test_empty_body_frames_take_no_room(hub: AmqpHub, client: Client) -> None:
    client.declare("q")
    send_beginning(client, begin("q", 3))
    client.send_octets(frame(BODY, 1, b"") * 10_000)
    client.send_octets(frame(BODY, 1, b"a") + frame(BODY, 1, b"") + frame(BODY, 1, b"bc"))
    client.consume("q")
    assert client.delivered()[1] == b"abc"


@pytest.mark.clause("AMQP091-1.1")
def test_what_all_channels_have_begun_to_send_has_a_ceiling() -> None:
    config = AmqpConfig()
    config.message_octets = 1000
    client = Client(AmqpHub(config=config)).open()
    for channel in range(2, 8):
        client.ask(commands.Channel.Open(), commands.Channel.OpenOk, channel)
    for channel in range(1, 5):
        send_beginning(client, begin("q", 1000), channel)
        client.send_octets(frame(BODY, channel, bytes(900)))
    assert client.silent()
    client.send_octets(frame(BODY, 4, bytes(100)))  # whole: it counts no more
    send_beginning(client, begin("q", 1000), 5)
    client.send_octets(frame(BODY, 5, bytes(900)))
    assert client.silent()
    send_beginning(client, begin("q", 1000), 6)
    client.send_octets(frame(BODY, 6, bytes(900)))
    client.told_closed(506)


@pytest.mark.clause("AMQP091-4.2.6.1")
@pytest.mark.parametrize(
    "content",
    [b"\0\0more", b"\0\1", b"\0\2\1c", b"\x80\0\5abc", b"\x10\0", b"\0\x40\0\0\0", b"\x10\0\2\2", b"\x80\0"],
)
def test_a_header_is_its_properties_and_nothing_else(client: Client, content: bytes) -> None:
    send_beginning(client, begin("q", 1, content=content))
    client.told_closed(502)


@pytest.mark.clause("AMQP091-4.2.6.1", "AMQP091-4.2.3")
def test_headers_that_a_consumers_frames_have_no_room_for(hub: AmqpHub, client: Client) -> None:
    client.declare("q")
    large = Basic.Properties(headers={"h": "x" * 5000}, message_id="7", delivery_mode=2)
    client.publish("q", b"body", properties=large)
    small = Client(hub).open(frame_max=4096)
    small.consume("q")
    small.get(Basic.Deliver)
    properties, payload = small.content()
    assert payload == b"body"
    assert (properties.headers, properties.message_id, properties.delivery_mode) == (None, "7", 2)


# Deliveries. -----------------------------------------------------------------------------------------


@pytest.mark.clause("AMQP091-basic.get")
def test_one_read_of_gets_does_not_fill_the_memory() -> None:
    config = AmqpConfig()
    config.outbox_octets = 200_000
    client = Client(AmqpHub(config=config)).open()
    client.declare("q")
    client.publish("q", bytes(100_000))
    client.stop_reading()
    get = frame(METHOD, 1, b"\x00\x3c\x00\x46\x00\x00\x01q\x00")
    nack = b"\x00\x3c\x00\x78%b\x02"
    client.send_octets(b"".join(get + frame(METHOD, 1, nack % tag.to_bytes(8, "big")) for tag in range(1, 41)))
    assert len(client.octets) < 700_000
    assert client.connection.is_congested()
    for _ in range(20):
        client.read_on()
    assert not client.connection.is_congested()
    for tag in range(1, 41):
        assert client.get(Basic.GetOk).delivery_tag == tag
        assert len(client.content()[1]) == 100_000
    assert client.silent()


def test_gets_without_acknowledgement_have_a_bound() -> None:
    config = AmqpConfig()
    config.prefetch = 3
    client = Client(AmqpHub(config=config)).open()
    client.declare("q")
    for _ in range(4):
        client.publish("q")
    for _ in range(3):
        client.ask(Basic.Get(queue="q"), Basic.GetOk)
        client.content()
    client.send(Basic.Get(queue="q"))
    assert "at most 3 deliveries" in client.closed_channel(406)


@pytest.mark.clause("AMQP091-basic.qos")
def test_a_get_is_no_consumers_delivery(client: Client) -> None:
    client.declare("q")
    client.publish("q", b"1")
    client.ask(Basic.Qos(prefetch_count=1, global_=True), Basic.QosOk)
    client.ask(Basic.Get(queue="q"), Basic.GetOk)
    client.content()
    client.publish("q", b"2")
    client.publish("q", b"3")
    client.consume("q")
    assert client.delivered()[1] == b"2"
    assert client.silent()
    client.send(Basic.Ack(1))
    assert client.silent()
    client.send(Basic.Ack(2))
    assert client.delivered()[1] == b"3"


@pytest.mark.clause("AMQP091-queue.delete")
@pytest.mark.parametrize("how", ["get", "consume", "cancel"])
def test_nothing_of_a_deleted_queue_is_kept(hub: AmqpHub, client: Client, how: str) -> None:
    client.send(commands.Queue.Declare(queue="q", auto_delete=True))
    client.get(commands.Queue.DeclareOk)
    client.publish("q", b"large")
    if how == "get":
        client.ask(Basic.Get(queue="q"), Basic.GetOk)
        client.content()
    else:
        client.consume("q")
        client.delivered()
    if how == "cancel":
        client.ask(Basic.Cancel("c"), Basic.CancelOk)
    else:
        client.send(commands.Queue.Delete(queue="q"))
    channel = client.connection._channels[1]
    assert [unacked.entry for unacked in channel.unacked.values()] == [None]
    client.octets = b""
    client.send(Basic.Ack(1))
    assert client.silent()


def test_a_connection_that_goes_does_not_hand_its_messages_from_channel_to_channel(hub: AmqpHub) -> None:
    client = Client(hub).open()
    client.declare("q")
    client.ask(Basic.Qos(prefetch_count=1), Basic.QosOk)
    for channel in range(2, 6):
        client.ask(commands.Channel.Open(), commands.Channel.OpenOk, channel)
        client.ask(Basic.Qos(prefetch_count=1), Basic.QosOk, channel)
    client.consume("q")
    client.publish("q")
    client.delivered()
    for channel in range(2, 6):
        client.ask(Basic.Consume(queue="q"), Basic.ConsumeOk, channel)
    client.connection.lost("gone")
    hub.settle()
    queue = hub.broker.queues.find("q")
    assert queue is not None
    assert [entry.deliveries for entry in queue.all_waiting()] == [1]


# Transactions. ---------------------------------------------------------------------------------------


@pytest.mark.clause("AMQP091-tx.select")
def test_transactions_of_a_connection_have_a_number() -> None:
    config = AmqpConfig()
    config.transactions = 2
    client = Client(AmqpHub(config=config)).open()
    for channel in (1, 2, 3, 4):
        if channel > 1:
            client.ask(commands.Channel.Open(), commands.Channel.OpenOk, channel)
        client.ask(commands.Tx.Select(), commands.Tx.SelectOk, channel)
    client.publish("q", channel=1)
    client.publish("q", channel=2)
    client.ask(commands.Tx.Rollback(), commands.Tx.RollbackOk, 1)
    client.publish("q", channel=3)
    client.ask(commands.Channel.Close(200, "", 0, 0), commands.Channel.CloseOk, 3)
    client.publish("q", channel=4)
    assert client.silent()
    client.publish("q", channel=1)
    client.told_closed(506)


@pytest.mark.clause("AMQP091-basic.ack")
def test_acknowledgements_of_nothing_are_not_kept(client: Client) -> None:
    client.ask(commands.Tx.Select(), commands.Tx.SelectOk)
    for _ in range(100):
        client.send(Basic.Ack(0, True))
    transaction = client.connection._channels[1].transaction
    assert transaction is not None
    assert not transaction._acknowledgements


@pytest.mark.clause("AMQP091-tx.commit")
@pytest.mark.parametrize("more", [1, 2])
def test_a_transaction_with_a_message_that_cannot_come_in_does_nothing(hub: AmqpHub, client: Client, more: int) -> None:
    client.declare("done")
    client.declare("full", arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
    client.publish("done", b"work")
    for _ in range(2 - more):
        client.publish("full", b"there already")
    client.ask(commands.Tx.Select(), commands.Tx.SelectOk)
    client.ask(Basic.Get(queue="done"), Basic.GetOk)
    client.content()
    client.send(Basic.Ack(1))
    client.publish("other")
    for _ in range(more):
        client.publish("full")
    client.send(commands.Tx.Commit())
    client.closed_channel(406)
    assert (waiting(hub, "full"), waiting(hub, "done")) == (2 - more, 1)


@pytest.mark.clause("AMQP091-tx.commit")
def test_an_exchange_that_there_is_not_is_told_when_it_is_published_to(hub: AmqpHub, client: Client) -> None:
    client.declare("q")
    client.ask(commands.Tx.Select(), commands.Tx.SelectOk)
    client.publish("q")
    client.publish("q", exchange="missing")
    client.closed_channel(404)
    assert waiting(hub, "q") == 0


@pytest.mark.clause("AMQP091-tx.commit")
def test_a_commit_that_the_store_refuses_brings_back_what_it_acknowledged(hub: AmqpHub, client: Client) -> None:
    for name in ("in", "out"):
        client.declare(name, durable=True)
    client.publish("in", b"work", properties=LASTING)
    client.ask(commands.Tx.Select(), commands.Tx.SelectOk)
    client.ask(Basic.Get(queue="in"), Basic.GetOk)
    client.content()
    client.publish("out", b"result", properties=LASTING)
    client.send(Basic.Ack(1))
    hub.store.automatic = False
    client.send(commands.Tx.Commit())
    hub.store.full = True
    assert hub.store.finish()
    hub.store.full = False
    hub.store.automatic = True
    hub.settle()
    client.closed_channel(541)
    hub.pass_time(5.0)
    assert (waiting(hub, "in"), waiting(hub, "out")) == (1, 0)


# Commits that do not come. ---------------------------------------------------------------------------


@pytest.mark.clause("AMQP091-confirm.select", "AMQP091-4.2.7")
def test_who_is_not_read_for_what_waits_is_not_cut_for_silence() -> None:
    config = AmqpConfig()
    config.unsettled = 10
    hub = AmqpHub(config=config)
    client = Client(hub).open(heartbeat=1)
    client.declare("q", durable=True)
    client.ask(commands.Confirm.Select(), commands.Confirm.SelectOk)
    hub.store.automatic = False
    for _ in range(9):
        client.publish("q", properties=LASTING)
    assert not client.connection.is_congested()
    client.publish("q", properties=LASTING)
    assert client.connection.is_congested()
    hub.pass_time(10.0)
    assert not client.connection.closed
    hub.store.automatic = True
    hub.settle()
    assert not client.connection.is_congested()
    hub.pass_time(1.0)
    assert not client.connection.closed
    hub.pass_time(3.0)
    assert client.connection.closed  # now its silence is its own


@pytest.mark.clause("AMQP091-4.2.7")
def test_who_is_slowed_down_is_not_cut_for_silence() -> None:
    config = AmqpConfig()
    config.publish_rate = 1.0
    config.publish_burst = 1
    hub = AmqpHub(config=config)
    client = Client(hub).open(heartbeat=1)
    client.declare("q")
    for _ in range(8):
        client.publish("q")
    assert client.connection.is_congested()
    hub.pass_time(6.5)
    assert not client.connection.closed
    hub.pass_time(1.0)
    assert not client.connection.is_congested()  # a deadline has ended it


def test_answers_and_deliveries_keep_their_order_behind_a_commit(hub: AmqpHub, client: Client) -> None:
    client.declare("q")
    client.publish("q", b"1")
    client.publish("q", b"2")
    hub.store.automatic = False
    client.send(commands.Queue.Declare(queue="d", durable=True))
    client.send(Basic.Get(queue="q"))
    client.send(Basic.Consume(queue="q", consumer_tag="c"))
    assert client.silent()
    hub.commit()
    client.get(commands.Queue.DeclareOk)
    client.get(Basic.GetOk)
    assert client.content()[1] == b"1"
    client.get(Basic.ConsumeOk)
    assert client.delivered()[1] == b"2"


@pytest.mark.clause("AMQP091-channel.close", "AMQP091-confirm.select")
@pytest.mark.parametrize("refused", [False, True])
def test_a_closed_channel_still_hears_of_its_confirms(hub: AmqpHub, client: Client, refused: bool) -> None:
    client.declare("q", durable=True)
    client.ask(commands.Confirm.Select(), commands.Confirm.SelectOk)
    hub.store.automatic = False
    client.publish("q", properties=LASTING)
    client.send(commands.Channel.Close(200, "", 0, 0))
    assert client.silent()
    hub.store.full = refused
    hub.commit()
    client.get(Basic.Nack if refused else Basic.Ack)
    client.get(commands.Channel.CloseOk)
    client.ask(commands.Channel.Open(), commands.Channel.OpenOk)


def test_a_content_header_of_another_class(client: Client) -> None:
    client.send(Basic.Publish(routing_key="q"))
    octets = header.ContentHeader(0, 0, Basic.Properties()).marshal()
    client.send_octets(frame(HEADER, 1, b"\x00\x3d" + octets[2:]))
    client.told_closed(502)
