"""Content and acknowledgements on a channel: publish, deliver, get, ack, nack, qos, recover, return, confirm, tx."""

from __future__ import annotations

import pytest
from pamqp import body, commands, frame, header
from pamqp.commands import Basic

from bridgehead.core.permission import Permission
from bridgehead.core.policy import Principal
from bridgehead.core.rights import Rights
from bridgehead.protocols.amqp.codec.v1.termini import Source
from bridgehead.protocols.amqp.config import AmqpConfig
from tests.amqp.dialogue import AmqpHub
from tests.amqp.session.v091.dialogue import Client
from tests.amqp.session.v1.receiving import refused


@pytest.fixture
def hub() -> AmqpHub:
    return AmqpHub()


@pytest.fixture
def client(hub: AmqpHub) -> Client:
    return Client(hub).open()


PERSISTENT = Basic.Properties(delivery_mode=2)


@pytest.mark.clause("AMQP091-basic.publish", "AMQP091-basic.deliver", "AMQP091-basic.consume", "AMQP091-4.2.6")
def test_a_message_goes_through_a_queue_as_it_came(client: Client) -> None:
    client.declare("q")
    client.consume("q")
    given = Basic.Properties(
        content_type="text/plain", headers={"a": 1, "b": [True, None]}, message_id="m1", app_id="test", priority=3
    )
    client.publish("q", b"hello", properties=given)
    method = client.get(Basic.Deliver)
    assert (method.consumer_tag, method.delivery_tag, method.redelivered) == ("c", 1, False)
    assert (method.exchange, method.routing_key) == ("", "q")
    properties, payload = client.content()
    assert payload == b"hello"
    assert properties == given


def test_bodies_of_none_and_of_many_frames(hub: AmqpHub) -> None:
    client = Client(hub).open(frame_max=4096)
    client.declare("q")
    client.consume("q", no_ack=True)
    client.publish("q", b"")
    assert client.delivered()[1] == b""
    large = bytes(range(256)) * 64
    client.publish("q", large[:4000])
    assert client.delivered()[1] == large[:4000]
    method = Basic.Publish(exchange="", routing_key="q")
    octets = frame.marshal(method, 1) + frame.marshal(header.ContentHeader(0, len(large), Basic.Properties()), 1)
    for at in range(0, len(large), 4000):
        octets += frame.marshal(body.ContentBody(large[at : at + 4000]), 1)
    for at in range(0, len(octets), 999):
        client.send_octets(octets[at : at + 999])
    assert client.delivered()[1] == large


@pytest.mark.clause("AMQP091-basic.ack")
def test_what_is_acknowledged_is_gone_and_the_rest_comes_again(hub: AmqpHub, client: Client) -> None:
    client.declare("q")
    client.consume("q")
    for number in range(4):
        client.publish("q", b"%d" % number)
        client.delivered()
    client.send(Basic.Ack(2, True))
    client.connection.lost("cut")
    other = Client(hub).open()
    other.consume("q")
    method, payload = other.delivered()
    assert (payload, method.redelivered) == (b"2", True)
    assert other.delivered()[1] == b"3"
    assert other.silent()


@pytest.mark.clause("AMQP091-basic.ack")
@pytest.mark.parametrize(("tag", "multiple"), [(0, False), (2, False), (9, True), (1, False)])
def test_an_unknown_delivery_tag_closes_the_channel(client: Client, tag: int, multiple: bool) -> None:
    client.declare("q")
    client.consume("q")
    client.publish("q")
    client.delivered()
    client.send(Basic.Ack(1, False))
    client.send(Basic.Ack(tag, multiple))
    assert f"unknown delivery tag {tag}" in client.closed_channel(406)


@pytest.mark.clause("AMQP091-basic.nack", "AMQP091-basic.reject")
def test_rejected_messages_come_again_in_their_order_or_are_gone(client: Client) -> None:
    client.declare("q")
    for number in range(3):
        client.publish("q", b"%d" % number)
    client.consume("q")
    for _ in range(3):
        client.delivered()
    client.send(Basic.Reject(1, False))
    client.send(Basic.Nack(3, True, True))
    first, payload = client.delivered()
    assert (payload, first.redelivered) == (b"1", True)
    assert client.delivered()[1] == b"2"
    assert client.silent()


@pytest.mark.clause("AMQP091-basic.qos")
def test_prefetch_of_each_consumer_and_of_all_together(client: Client) -> None:
    client.declare("q")
    client.ask(Basic.Qos(prefetch_count=2), Basic.QosOk)
    client.consume("q", tag="a")
    for _ in range(6):
        client.publish("q")
    client.delivered()
    client.delivered()
    assert client.silent()
    client.consume("q", tag="b")
    client.delivered()
    client.delivered()
    assert client.silent()
    client.send(Basic.Ack(1))
    assert client.delivered()[0].consumer_tag == "a"
    client.ask(Basic.Qos(prefetch_count=3, global_=True), Basic.QosOk)
    client.send(Basic.Ack(2))
    assert client.silent()
    client.send(Basic.Ack(4, True))
    client.delivered()


@pytest.mark.clause("AMQP091-basic.qos")
def test_a_prefetch_size_is_not_implemented(client: Client) -> None:
    client.send(Basic.Qos(prefetch_size=10))
    client.told_closed(540)


@pytest.mark.clause("AMQP091-basic.recover")
def test_recover_gives_back_what_is_not_acknowledged(client: Client) -> None:
    client.declare("q")
    client.consume("q")
    client.publish("q", b"1")
    client.publish("q", b"2")
    client.delivered()
    client.delivered()
    client.ask(Basic.Recover(True), Basic.RecoverOk)
    method, payload = client.delivered()
    assert (payload, method.redelivered, method.delivery_tag) == (b"1", True, 3)
    client.delivered()
    client.send(Basic.Recover(False))
    client.told_closed(540)


@pytest.mark.clause("AMQP091-basic.cancel", "AMQP091-basic.cancel-ok")
def test_a_cancelled_consumer_keeps_what_it_has(client: Client) -> None:
    client.declare("q")
    client.consume("q")
    client.publish("q", b"1")
    client.delivered()
    client.ask(Basic.Cancel("c"), Basic.CancelOk)
    client.publish("q", b"2")
    assert client.silent()
    client.send(Basic.Ack(1))
    assert client.declare("q").message_count == 1


@pytest.mark.clause("AMQP091-basic.cancel")
def test_a_consumer_is_told_when_its_queue_is_deleted(client: Client) -> None:
    client.declare("q")
    client.consume("q")
    client.publish("q")
    client.delivered()
    client.ask(commands.Queue.Delete(queue="q"), commands.Queue.DeleteOk)
    cancel = client.get(Basic.Cancel)
    assert (cancel.consumer_tag, cancel.nowait) == ("c", True)
    client.send(Basic.Ack(1))  # too late, and no fault
    assert client.silent()


@pytest.mark.clause("AMQP091-basic.consume")
def test_tags_are_unique_and_an_exclusive_consumer_is_alone(client: Client) -> None:
    client.declare("q")
    first = client.ask(Basic.Consume(queue="q", exclusive=True), Basic.ConsumeOk)
    assert str(first.consumer_tag).startswith("amq.ctag-")
    client.ask(commands.Channel.Open(), commands.Channel.OpenOk, 2)
    client.send(Basic.Consume(queue="q"), 2)
    assert "exclusive use" in client.closed_channel(403, 2)
    client.declare("other")
    client.consume("other", tag="mine")
    client.send(Basic.Consume(queue="other", consumer_tag="mine"))
    assert "attempt to reuse consumer tag 'mine'" in client.told_closed(530)


@pytest.mark.clause("AMQP091-basic.consume")
def test_an_exclusive_consumer_is_alone_among_receivers_of_1_0_too(hub: AmqpHub, client: Client) -> None:
    client.declare("q")
    client.ask(Basic.Consume(queue="q", consumer_tag="c", exclusive=True), Basic.ConsumeOk)
    display = hub.container("display")
    assert refused(display, Source("/queues/q")) == "amqp:resource-locked"
    client.ask(Basic.Cancel("c"), Basic.CancelOk)
    display.receiver("/queues/q", name="taken")
    client.send(Basic.Consume(queue="q", exclusive=True))
    assert "exclusive use" in client.closed_channel(403)


@pytest.mark.clause("AMQP091-basic.return")
def test_a_mandatory_message_that_comes_nowhere_is_returned(client: Client) -> None:
    client.ask(commands.Confirm.Select(), commands.Confirm.SelectOk)
    client.publish("nowhere", b"x", mandatory=True)
    answer = client.get(Basic.Return)
    assert (answer.reply_code, answer.reply_text, answer.routing_key) == (312, "NO_ROUTE", "nowhere")
    assert client.content()[1] == b"x"
    assert client.get(Basic.Ack).delivery_tag == 1


@pytest.mark.clause("AMQP091-basic.publish")
def test_immediate_is_not_implemented(client: Client) -> None:
    client.send(Basic.Publish(exchange="", routing_key="q", immediate=True))
    client.told_closed(540)


@pytest.mark.clause("AMQP091-basic.publish")
def test_an_exchange_that_there_is_not_closes_the_channel(client: Client) -> None:
    client.publish("k", exchange="none")
    assert "no exchange 'none' in vhost '/'" in client.closed_channel(404)


def test_a_body_larger_than_permitted_closes_the_channel_before_it_comes(hub: AmqpHub) -> None:
    hub.config.message_octets = 1000
    client = Client(hub).open()
    client.publish("q", bytes(1001))
    assert "larger than configured max size 1000" in client.closed_channel(406)


def test_a_body_longer_than_its_header_said_ends_the_connection(client: Client) -> None:
    octets = frame.marshal(Basic.Publish(exchange="", routing_key="q"), 1)
    octets += frame.marshal(header.ContentHeader(0, 2, Basic.Properties()), 1)
    client.send_octets(octets + frame.marshal(body.ContentBody(b"abc"), 1))
    client.told_closed(501)


# Confirms. -------------------------------------------------------------------------------------------


@pytest.mark.clause("AMQP091-confirm.select")
def test_a_durable_message_is_confirmed_after_its_commit(hub: AmqpHub, client: Client) -> None:
    client.declare("q", durable=True)
    client.ask(commands.Confirm.Select(), commands.Confirm.SelectOk)
    hub.store.automatic = False
    client.publish("q", b"1", properties=PERSISTENT)
    client.publish("q", b"2")
    assert client.silent()
    hub.commit()
    answer = client.get(Basic.Ack)
    assert (answer.delivery_tag, answer.multiple) == (2, True)
    assert client.silent()


@pytest.mark.clause("AMQP091-confirm.select", "AMQP091-basic.nack")
def test_a_message_that_could_not_be_kept_is_not_confirmed(hub: AmqpHub, client: Client) -> None:
    client.declare("q", durable=True)
    client.ask(commands.Confirm.Select(), commands.Confirm.SelectOk)
    hub.store.automatic = False
    hub.store.full = True
    client.publish("q", b"1", properties=PERSISTENT)
    assert hub.store.finish()
    hub.settle()
    assert client.get(Basic.Nack).delivery_tag == 1
    hub.store.full = False
    hub.store.automatic = True
    hub.settle()
    client.publish("q", b"2", properties=PERSISTENT)
    assert client.get(Basic.Ack).delivery_tag == 2
    assert client.declare("q", durable=True).message_count == 1


def test_a_full_disk_is_tried_again_once_a_second_and_not_without_pause(hub: AmqpHub) -> None:
    client = Client(hub).open()
    hub.store.full = True
    client.send(commands.Queue.Declare(queue="q", durable=True))  # comes to rest
    failed = hub.broker.counters.commits_failed
    assert failed <= 2
    hub.pass_time(3.5)
    assert failed < hub.broker.counters.commits_failed <= failed + 4
    hub.store.full = False
    hub.pass_time(2)
    assert hub.broker.journal.idle


def test_a_full_queue_that_rejects_tells_the_publisher(client: Client) -> None:
    client.declare("q", arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
    client.ask(commands.Confirm.Select(), commands.Confirm.SelectOk)
    client.publish("q")
    assert client.get(Basic.Ack).delivery_tag == 1
    client.publish("q")
    assert client.get(Basic.Nack).delivery_tag == 2


# Transactions. ---------------------------------------------------------------------------------------


@pytest.mark.clause("AMQP091-tx.select", "AMQP091-tx.commit")
def test_a_transaction_publishes_and_acknowledges_together(hub: AmqpHub, client: Client) -> None:
    client.declare("in")
    client.declare("out")
    client.publish("in", b"question")
    client.consume("in")
    client.delivered()
    client.ask(commands.Tx.Select(), commands.Tx.SelectOk)
    client.publish("out", b"answer")
    client.send(Basic.Ack(1))
    other = Client(hub).open()
    other.ask(Basic.Get(queue="out"), Basic.GetEmpty)
    client.ask(commands.Tx.Commit(), commands.Tx.CommitOk)
    other.ask(Basic.Get(queue="out"), Basic.GetOk)
    assert other.content()[1] == b"answer"
    client.connection.lost("cut")
    assert other.declare("in").message_count == 0


@pytest.mark.clause("AMQP091-tx.rollback")
def test_a_rolled_back_transaction_did_nothing(hub: AmqpHub, client: Client) -> None:
    client.declare("in")
    client.publish("in", b"question")
    client.consume("in")
    client.delivered()
    client.ask(commands.Tx.Select(), commands.Tx.SelectOk)
    client.publish("in", b"more")
    client.send(Basic.Ack(1))
    client.ask(commands.Tx.Rollback(), commands.Tx.RollbackOk)
    assert client.silent()
    client.send(Basic.Ack(1))  # it is unacknowledged as before
    client.ask(commands.Tx.Commit(), commands.Tx.CommitOk)
    assert client.declare("in").message_count == 0


@pytest.mark.clause("AMQP091-tx.commit")
def test_a_commit_is_answered_when_it_lasts(hub: AmqpHub, client: Client) -> None:
    client.declare("q", durable=True)
    client.ask(commands.Tx.Select(), commands.Tx.SelectOk)
    client.publish("q", properties=PERSISTENT)
    hub.store.automatic = False
    client.send(commands.Tx.Commit())
    assert client.silent()
    hub.commit()
    client.get(commands.Tx.CommitOk)
    after = Client(hub.crash()).open()
    assert after.declare("q", durable=True).message_count == 1


def test_a_transaction_has_a_bound() -> None:
    config = AmqpConfig()
    config.transaction_messages = 2
    client = Client(AmqpHub(config=config)).open()
    client.ask(commands.Tx.Select(), commands.Tx.SelectOk)
    for _ in range(3):
        client.publish("q")
    client.told_closed(506)


@pytest.mark.clause("AMQP091-tx.select", "AMQP091-confirm.select")
def test_confirms_and_transactions_do_not_mix(client: Client) -> None:
    client.ask(commands.Tx.Select(), commands.Tx.SelectOk)
    client.send(commands.Confirm.Select())
    assert "cannot switch from tx to confirm mode" in client.closed_channel(406)


def test_a_channel_without_transactions_has_none_to_commit(client: Client) -> None:
    client.send(commands.Tx.Commit())
    client.closed_channel(406)


# Bounds and rights. ----------------------------------------------------------------------------------


def test_a_slow_reader_leaves_the_messages_in_the_queue() -> None:
    config = AmqpConfig()
    config.outbox_octets = 10_000
    hub = AmqpHub(config=config)
    slow = Client(hub).open()
    slow.declare("q")
    slow.consume("q", no_ack=True)
    slow.stop_reading()
    fast = Client(hub).open()
    for _ in range(100):
        fast.publish("q", bytes(1000))
    queue = hub.broker.queues.find("q")
    assert queue is not None
    assert queue.waiting >= 85
    for _ in range(100):
        slow.read_on()
        slow.stop_reading()
    assert queue.waiting == 0


def test_what_a_channel_holds_unacknowledged_is_bounded() -> None:
    config = AmqpConfig()
    config.prefetch = 5
    client = Client(AmqpHub(config=config)).open()
    client.declare("q")
    client.consume("q")
    for _ in range(8):
        client.publish("q")
    for _ in range(5):
        client.delivered()
    assert client.silent()
    client.send(Basic.Ack(5, True))
    for _ in range(3):
        client.delivered()


@pytest.mark.clause("AMQP091-channel.flow", "AMQP091-channel.flow-ok")
def test_a_client_may_stop_the_flow(client: Client) -> None:
    client.declare("q")
    client.consume("q", no_ack=True)
    client.ask(commands.Channel.Flow(False), commands.Channel.FlowOk)
    client.publish("q", b"1")
    assert client.silent()
    client.send(commands.Channel.Flow(True))
    client.get(commands.Channel.FlowOk)
    assert client.delivered()[1] == b"1"


def test_a_publish_that_the_policy_refuses_closes_the_channel(hub: AmqpHub) -> None:
    hub.principals["sensor"] = Principal.of("sensor", [Permission("Office/#", True, False)], ["*"])
    sensor = Client(hub, "sensor").open()
    sensor.publish("Office.Temperature", exchange="amq.topic")
    assert sensor.silent()
    sensor.publish("Lobby.Door", exchange="amq.topic")
    assert sensor.closed_channel(403).startswith("ACCESS_REFUSED - ")
    assert hub.named("publish.denied")[0]["topic"] == "Lobby/Door"


def test_a_user_id_is_ones_own(client: Client) -> None:
    client.declare("q")
    client.publish("q", properties=Basic.Properties(user_id="office"))
    client.publish("q", properties=Basic.Properties(user_id="somebody"))
    assert "user-id" in client.closed_channel(403)


def test_a_right_that_ends_cancels_the_consumer(hub: AmqpHub) -> None:
    rights = [Permission("$QUEUE/q", True, True)]
    hub.principals["worker"] = worker = Principal.of("worker", rights, ["*"])
    client = Client(hub, "worker").open()
    client.declare("q")
    client.consume("q")
    worker.amend([Rights("worker", [Permission("$QUEUE/q", True, False)])], {}, ["*"])
    hub.broker.permissions_changed(["worker"])
    hub.settle()
    assert client.get(Basic.Cancel).consumer_tag == "c"


def test_a_revoked_identity_is_sent_away(hub: AmqpHub, client: Client) -> None:
    hub.broker.revoke("office", "the device was revoked")
    hub.settle()
    client.told_closed(403)
