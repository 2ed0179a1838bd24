"""aio-pika in use: publisher confirms, transactions, RPC, and a robust connection that comes back after the hub has."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
from typing import Any

import aio_pika
from aio_pika.patterns import RPC


def say(what: str, told: Any) -> None:
    print(json.dumps({"what": what, "told": told}), flush=True)


async def connect() -> Any:
    return await aio_pika.connect_robust(
        host="localhost",
        port=int(os.environ["AMQPS_PORT"]),
        login=os.environ["AMQP_USER"],
        password=os.environ["AMQP_PASSWORD"],
        ssl=True,
        ssl_context=ssl.create_default_context(cafile=os.environ["AMQP_CA"]),
        reconnect_interval=0.2,
    )


async def confirms(connection: Any) -> None:
    channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
    await channel.set_qos(prefetch_count=5)
    exchange = await channel.declare_exchange("aio.topic", aio_pika.ExchangeType.TOPIC)
    queue = await channel.declare_queue(exclusive=True)
    await queue.bind(exchange, "a.*")
    for number in range(20):
        await exchange.publish(aio_pika.Message(str(number).encode(), headers={"n": number}), "a.b")
    got = []
    async with queue.iterator() as messages:
        async for message in messages:
            async with message.process():
                got.append([int(message.body), message.headers["n"], message.routing_key])
            if len(got) == 20:
                break
    say("got", got == [[n, n, "a.b"] for n in range(20)])
    try:
        await exchange.publish(aio_pika.Message(b"x"), "nobody.there.here", mandatory=True)
        say("returned", "")
    except aio_pika.exceptions.DeliveryError as error:
        say("returned", type(error).__name__)
    await exchange.delete()
    await channel.close()


async def transactions(connection: Any) -> None:
    channel = await connection.channel(publisher_confirms=False)
    queue = await channel.declare_queue("aio/tx", auto_delete=True)
    transaction = channel.transaction()
    await transaction.select()
    await channel.default_exchange.publish(aio_pika.Message(b"rolled back"), queue.name)
    await transaction.rollback()
    await channel.default_exchange.publish(aio_pika.Message(b"committed"), queue.name)
    before = (await (await connection.channel()).declare_queue(queue.name, passive=True)).declaration_result
    await transaction.commit()
    message = await queue.get(timeout=10)
    await message.ack()
    await transaction.commit()
    rest = await queue.get(fail=False)
    say("transaction", [before.message_count, message.body.decode(), rest is None])
    await queue.delete()
    await channel.close()


async def calls(connection: Any) -> None:
    async def multiply(x: int, y: int) -> int:
        return x * y

    channel = await connection.channel()
    rpc = await RPC.create(channel)
    await rpc.register("multiply", multiply, auto_delete=True)
    say("called", await asyncio.wait_for(rpc.proxy.multiply(x=6, y=7), 20))
    await rpc.close()
    await channel.close()


async def comes_back(connection: Any) -> None:
    """Declares, is told to go on when the hub was stopped and started again, and goes on with what it declared."""
    channel = await connection.channel()
    exchange = await channel.declare_exchange("aio.lasting", aio_pika.ExchangeType.DIRECT, durable=True)
    queue = await channel.declare_queue("aio/lasting", durable=True)
    await queue.bind(exchange, "k")
    got: asyncio.Queue[str] = asyncio.Queue()

    async def take(message: Any) -> None:
        async with message.process():
            got.put_nowait(message.body.decode())

    await queue.consume(take)
    await exchange.publish(aio_pika.Message(b"before", delivery_mode=2), "k")
    say("before", await asyncio.wait_for(got.get(), 20))
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    for _ in range(200):
        try:
            await asyncio.wait_for(exchange.publish(aio_pika.Message(b"after", delivery_mode=2), "k"), 2)
            break
        except (ConnectionError, RuntimeError, TimeoutError, aio_pika.exceptions.AMQPError):
            await asyncio.sleep(0.1)
    seen = [await asyncio.wait_for(got.get(), 20)]
    while seen[-1] != "after":  # what was not acknowledged in time comes again
        seen.append(await asyncio.wait_for(got.get(), 20))
    say("after", seen)
    await queue.delete(if_unused=False, if_empty=False)
    await exchange.delete()


async def main() -> None:
    connection = await connect()
    async with connection:
        for name in sys.argv[1:]:
            await globals()[name](connection)


asyncio.run(main())
