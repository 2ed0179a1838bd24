"""What AMQP 0-9-1 declared and bound is there after a crash of the real hub, and acts with its binder's rights."""

from __future__ import annotations

import os
from pathlib import Path

from pamqp import body, commands, frame, header

from bench.amqp091_lanes import CHANNEL, Lane091
from bridgehead.security.identity.identity import Identity, Wanted
from bridgehead.security.identity.wanted import Fresh
from bridgehead.security.records import PermissionRecord
from tests.cli.hub import Hub

PASSWORD = "correct horse battery"
CONFIG = """
[[listener]]
bind = "127.0.0.1:0"
protocol = "amqp"
plaintext = true
"""


def enrol(data: Path, name: str, *filters: str) -> None:
    rights = tuple(PermissionRecord(each, publish=True, subscribe=True) for each in filters)
    identity = Identity(data)
    try:
        with identity.enrolling(Wanted(name, rights, fresh=Fresh(password=PASSWORD.encode()))):
            pass
    finally:
        identity.close()


def publish(lane: Lane091, exchange: str, routing_key: str) -> None:
    lane.say(
        frame.marshal(commands.Basic.Publish(exchange=exchange, routing_key=routing_key), CHANNEL)
        + frame.marshal(header.ContentHeader(0, 1, commands.Basic.Properties(delivery_mode=2)), CHANNEL)
        + frame.marshal(body.ContentBody(b"x"), CHANNEL)
    )


def waiting(lane: Lane091, queue: str) -> int | None:
    lane.method(commands.Queue.Declare(queue=queue, passive=True))
    answer = lane.expect(commands.Queue.DeclareOk)
    assert isinstance(answer, commands.Queue.DeclareOk)
    return answer.message_count


def test_bindings_to_topics_and_to_exchanges_survive_a_crash(tmp_path: Path) -> None:
    with Hub(tmp_path, CONFIG) as hub:
        enrol(hub.data, "binder", "Office/#", "$QUEUE/#", "$EXCHANGE/#")
        enrol(hub.data, "sender", "Office/#", "$QUEUE/#", "$EXCHANGE/#")
        binder = Lane091("127.0.0.1", hub.port("amqp"), "binder", PASSWORD)
        binder.ask(commands.Queue.Declare(queue="topics", durable=True), commands.Queue.DeclareOk)
        binder.ask(
            commands.Queue.Bind(queue="topics", exchange="amq.topic", routing_key="Office.#"), commands.Queue.BindOk
        )
        binder.ask(
            commands.Exchange.Declare(exchange="orders", exchange_type="direct", durable=True),
            commands.Exchange.DeclareOk,
        )
        binder.ask(commands.Queue.Declare(queue="direct", durable=True), commands.Queue.DeclareOk)
        binder.ask(commands.Queue.Bind(queue="direct", exchange="orders", routing_key="new"), commands.Queue.BindOk)
        assert hub.process is not None
        os.kill(hub.process.pid, 9)
        hub.process.wait()
        binder.close()
        hub.start()
        # The binder is away; somebody else sends.
        sender = Lane091("127.0.0.1", hub.port("amqp"), "sender", PASSWORD)
        publish(sender, "amq.topic", "Office.Room.Temperature")
        publish(sender, "orders", "new")
        assert waiting(sender, "topics") == 1
        assert waiting(sender, "direct") == 1
        sender.close()
