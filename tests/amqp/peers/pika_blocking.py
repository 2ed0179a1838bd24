"""pika's blocking connection in use: run by the Python of tests/peers/amqp, says what it saw as lines of JSON."""

from __future__ import annotations

import json
import os
import ssl
import sys
import time
from typing import Any

import pika
import pika.exceptions


def connect(user: str = "") -> Any:
    context = ssl.create_default_context(cafile=os.environ["AMQP_CA"])
    parameters = pika.ConnectionParameters(
        "localhost",
        int(os.environ["AMQPS_PORT"]),
        credentials=pika.PlainCredentials(user or os.environ["AMQP_USER"], os.environ["AMQP_PASSWORD"]),
        ssl_options=pika.SSLOptions(context, "localhost"),
    )
    return pika.BlockingConnection(parameters)


def say(what: str, told: Any) -> None:
    print(json.dumps({"what": what, "told": told}), flush=True)


def code_of(act: Any) -> int:
    """The reply code with which the hub closes the channel for it."""
    try:
        act()
    except pika.exceptions.ChannelClosedByBroker as closed:
        return int(closed.reply_code)
    except pika.exceptions.ConnectionClosedByBroker as closed:
        return int(closed.reply_code)
    return 0


def publish_and_get(connection: Any) -> None:
    channel = connection.channel()
    channel.queue_declare("pika/one", durable=True)
    channel.confirm_delivery()
    properties = pika.BasicProperties(
        content_type="application/json",
        headers={"number": 7, "flag": True, "text": "ü", "list": [1, "a"], "inside": {"x": 1}},
        delivery_mode=2,
        priority=3,
        correlation_id="c-1",
        reply_to="answers",
        message_id="m-1",
        type="order",
        app_id="shop",
        timestamp=1_700_000_000,
    )
    channel.basic_publish("", "pika/one", b'{"a": 1}', properties, mandatory=True)
    frame, got, body = channel.basic_get("pika/one")
    channel.basic_nack(frame.delivery_tag, requeue=True)
    again, _, _ = channel.basic_get("pika/one")
    channel.basic_ack(again.delivery_tag)
    empty, _, _ = channel.basic_get("pika/one")
    say(
        "message",
        {
            "body": body.decode(),
            "headers": got.headers,
            "properties": [
                got.content_type,
                got.delivery_mode,
                got.priority,
                got.correlation_id,
                got.reply_to,
                got.message_id,
                got.type,
                got.app_id,
                got.timestamp,
            ],
            "redelivered": [frame.redelivered, again.redelivered],
            "key": frame.routing_key,
            "exchange": frame.exchange,
            "empty": empty is None,
        },
    )
    try:
        channel.basic_publish("", "pika/nobody", b"x", mandatory=True)
        say("returned", [])
    except pika.exceptions.UnroutableError as error:
        say("returned", [error.messages[0].method.reply_code, error.messages[0].method.routing_key])
    channel.queue_delete("pika/one")
    channel.close()


def exchanges(connection: Any) -> None:
    channel = connection.channel()
    found: dict[str, list[str]] = {}
    channel.exchange_declare("pika.topic", "topic", durable=True)
    channel.exchange_declare("pika.headers", "headers")
    channel.exchange_declare("pika.direct", "direct", auto_delete=True)
    channel.exchange_declare("pika.fanout", "fanout", internal=True)
    channel.exchange_bind("pika.fanout", "pika.direct", "all")
    queue = channel.queue_declare("", exclusive=True).method.queue
    for exchange, key, arguments in (
        ("pika.topic", "kern.*", None),
        ("pika.topic", "#.alarm", None),
        ("pika.headers", "", {"x-match": "any", "type": "pdf", "size": 3}),
        ("pika.fanout", "", None),
    ):
        channel.queue_bind(queue, exchange, key, arguments)
    for exchange, key, headers in (
        ("pika.topic", "kern.alarm", None),
        ("pika.topic", "auth.info", None),
        ("pika.headers", "", {"type": "pdf"}),
        ("pika.headers", "", {"type": "txt"}),
        ("pika.direct", "all", None),
        ("pika.direct", "none", None),
    ):
        channel.basic_publish(exchange, key, f"{exchange} {key}", pika.BasicProperties(headers=headers))
    for method, _, body in channel.consume(queue, auto_ack=True, inactivity_timeout=1):
        if method is None:
            break
        found.setdefault(method.exchange, []).append(body.decode())
    channel.cancel()
    say("routed", found)
    channel.queue_unbind(queue, "pika.topic", "kern.*")
    channel.exchange_unbind("pika.fanout", "pika.direct", "all")
    for name in ("pika.topic", "pika.headers", "pika.fanout"):
        channel.exchange_delete(name)
    channel.close()


def errors(connection: Any) -> None:
    codes: dict[str, int] = {}

    def on(what: str, act: Any) -> None:
        channel = connection.channel()
        codes[what] = code_of(lambda: act(channel))
        if channel.is_open:
            channel.close()

    on("declare", lambda c: c.queue_declare("pika/q", arguments={"x-max-length": 5}))
    on("other length", lambda c: c.queue_declare("pika/q", arguments={"x-max-length": 6}))
    on("other durability", lambda c: c.queue_declare("pika/q", durable=True, arguments={"x-max-length": 5}))
    on("bad argument", lambda c: c.queue_declare("pika/r", arguments={"x-message-ttl": -1}))
    on("passive, none", lambda c: c.queue_declare("pika/none", passive=True))
    on("passive, there", lambda c: c.queue_declare("pika/q", passive=True))
    on("reserved queue", lambda c: c.queue_declare("amq.mine"))
    on("reserved exchange", lambda c: c.exchange_declare("amq.mine"))
    on("no exchange", lambda c: c.exchange_declare("pika.none", passive=True))
    on("other type", lambda c: c.exchange_declare("amq.direct", "topic", durable=True))
    on("bind to nothing", lambda c: c.queue_bind("pika/q", "pika.none", "k"))
    on("get from nothing", lambda c: c.basic_get("pika/none"))
    on("unknown tag", lambda c: (c.basic_ack(99), connection.process_data_events(1), c.queue_declare("pika/q", True)))
    on("default exchange", lambda c: c.exchange_delete(""))
    on("delete", lambda c: c.queue_delete("pika/q"))
    on("delete again", lambda c: c.queue_delete("pika/q"))
    say("codes", codes)


def dead_letters(connection: Any) -> None:
    channel = connection.channel()
    channel.exchange_declare("pika.dlx", "direct")
    channel.queue_declare("pika/dead")
    channel.queue_bind("pika/dead", "pika.dlx", "pika/work")
    channel.queue_declare("pika/work", arguments={"x-dead-letter-exchange": "pika.dlx", "x-message-ttl": 60_000})
    channel.queue_declare(
        "pika/short",
        arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "pika/dead", "x-message-ttl": 1},
    )
    channel.basic_publish("", "pika/work", b"rejected", pika.BasicProperties(headers={"own": 1}))
    method, _, _ = channel.basic_get("pika/work")
    channel.basic_reject(method.delivery_tag, requeue=False)
    channel.basic_publish("", "pika/short", b"late")
    seen: dict[str, Any] = {}
    deadline = time.monotonic() + 20
    while len(seen) < 2 and time.monotonic() < deadline:
        method, properties, body = channel.basic_get("pika/dead", auto_ack=True)
        if method is None:
            time.sleep(0.02)
            continue
        death = properties.headers["x-death"][0]
        seen[body.decode()] = [
            death["queue"],
            death["reason"],
            death["count"],
            death["exchange"],
            death["routing-keys"],
            properties.headers["x-first-death-reason"],
            properties.headers.get("own"),
        ]
    say("dead", seen)
    for name in ("pika/work", "pika/dead", "pika/short"):
        channel.queue_delete(name)
    channel.exchange_delete("pika.dlx")
    channel.close()


def topics(connection: Any) -> None:
    channel = connection.channel()
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, "amq.topic", "Office.*.Temperature")
    say("bound", queue)
    sys.stdin.readline()
    channel.basic_publish(
        "amq.topic", "Office.Pika.Said", b"from pika", pika.BasicProperties(content_type="text/plain")
    )
    for method, properties, body in channel.consume(queue, auto_ack=True, inactivity_timeout=20):
        say(
            "fed",
            None if method is None else [method.exchange, method.routing_key, body.decode(), properties.content_type],
        )
        break
    channel.cancel()
    channel.close()


def attacks(connection: Any) -> None:
    """As another identity, on what is not its own: the names come as lines of JSON."""
    own = json.loads(sys.stdin.readline())
    codes: dict[str, int] = {}

    def on(what: str, act: Any) -> None:
        with_channel = connection.channel()
        codes[what] = code_of(lambda: act(with_channel))
        if with_channel.is_open:
            with_channel.close()

    def confirmed(channel: Any, exchange: str, key: str, properties: Any = None) -> None:
        channel.confirm_delivery()
        channel.basic_publish(exchange, key, b"forged", properties)

    queue, private, exchange = own["queue"], own["private"], own["exchange"]
    mine = connection.channel().queue_declare("", exclusive=True).method.queue
    on("publish to the queue", lambda c: confirmed(c, "", queue))
    on("publish to the private queue", lambda c: confirmed(c, "", private))
    on("publish to the exchange", lambda c: confirmed(c, exchange, "k"))
    on("publish to a topic", lambda c: confirmed(c, "amq.topic", "plant.valve"))
    on("get", lambda c: c.basic_get(queue))
    on("get from the private queue", lambda c: c.basic_get(private))
    on("consume", lambda c: c.basic_consume(queue, lambda *_: None))
    on("consume the private queue", lambda c: c.basic_consume(private, lambda *_: None))
    on("declare", lambda c: c.queue_declare(queue))
    on("passive", lambda c: c.queue_declare(queue, passive=True))
    on("passive, private", lambda c: c.queue_declare(private, passive=True))
    on("delete", lambda c: c.queue_delete(queue))
    on("delete the private queue", lambda c: c.queue_delete(private))
    on("purge", lambda c: c.queue_purge(queue))
    on("delete the exchange", lambda c: c.exchange_delete(exchange))
    on("declare an exchange", lambda c: c.exchange_declare("pika.mallory"))
    on("bind mine to the exchange", lambda c: c.queue_bind(mine, exchange, "k"))
    on("bind theirs", lambda c: c.queue_bind(queue, "amq.topic", "Office.#"))
    on("bind the private queue", lambda c: c.queue_bind(private, "amq.topic", "Office.#"))
    on("read topics by binding", lambda c: c.queue_bind(mine, "amq.topic", "#"))
    on("join exchanges", lambda c: c.exchange_bind(exchange, "amq.fanout"))
    dead = {"x-dead-letter-exchange": exchange}
    on("dead letters to theirs", lambda c: c.queue_declare("", exclusive=True, arguments=dead))
    dead = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": queue}
    on("dead letters to their queue", lambda c: c.queue_declare("", exclusive=True, arguments=dead))
    dead = {"x-dead-letter-exchange": "amq.topic", "x-dead-letter-routing-key": "plant.valve"}
    on("dead letters to a topic", lambda c: c.queue_declare("", exclusive=True, arguments=dead))
    on("as another user", lambda c: confirmed(c, "amq.topic", "Office.Say", pika.BasicProperties(user_id="office")))
    on("as oneself", lambda c: confirmed(c, "amq.topic", "Office.Say", pika.BasicProperties(user_id="sensor")))
    on("their consumer tag", lambda c: (c.basic_cancel("theirs"), c.queue_declare("", exclusive=True)))
    say("codes", codes)


def holds(connection: Any) -> None:
    """Has a queue, a private queue and an exchange, and says what came into them until it is told to stop."""
    channel = connection.channel()
    channel.queue_declare("pika/held")
    private = channel.queue_declare("", exclusive=True).method.queue
    channel.exchange_declare("pika.held", "fanout")
    channel.queue_bind("pika/held", "pika.held")
    say("own", {"queue": "pika/held", "private": private, "exchange": "pika.held"})
    channel.basic_publish("", "pika/held", b"mine")
    got: list[str] = []
    channel.basic_consume(private, lambda _c, _m, _p, body: got.append(body.decode()), consumer_tag="theirs")
    connection.process_data_events(0.1)
    sys.stdin.readline()
    connection.process_data_events(0.1)
    waiting = channel.queue_declare("pika/held", passive=True).method.message_count
    channel.basic_publish("", private, b"still here")
    until = time.monotonic() + 20
    while not got and time.monotonic() < until:
        connection.process_data_events(0.05)
    say("left", [waiting, got])
    channel.queue_delete("pika/held")
    channel.exchange_delete("pika.held")


def ends_of_queues(connection: Any) -> None:
    channel = connection.channel()
    channel.queue_declare("pika/expires", arguments={"x-expires": 200})
    channel.queue_declare("pika/auto", auto_delete=True)
    cancelled: list[str] = []
    tag = channel.basic_consume("pika/auto", lambda *_: None)
    channel.basic_cancel(tag)
    codes = [code_of(lambda: connection.channel().queue_declare("pika/auto", passive=True))]
    channel.queue_declare("pika/goes")
    channel.add_on_cancel_callback(lambda frame: cancelled.append(frame.method.consumer_tag))
    tag = channel.basic_consume("pika/goes", lambda *_: None)
    connection.channel().queue_delete("pika/goes")
    deadline = time.monotonic() + 20
    while not cancelled and time.monotonic() < deadline:
        connection.process_data_events(0.05)
    gone = 0
    while gone != 404 and time.monotonic() < deadline:
        time.sleep(0.5)  # each look is a use of it
        gone = code_of(lambda: connection.channel().queue_declare("pika/expires", passive=True))
    say("ended", [codes[0], gone, cancelled == [tag]])


def main() -> None:
    connection = connect()
    for name in sys.argv[1:]:
        globals()[name](connection)
    connection.close()
    say("closed", connection.is_closed)


main()
