"""The office control: a back-office service that takes readings from a queue over AMQP, and tells people when the
meeting room is too warm before a meeting.

It proves itself by a token of the company's login service (OAuth 2.0), and gives the hub a new one before that ends
(`$cbs`). The demo's calendar has a meeting every twenty seconds; people are told in the ten seconds before.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
import time
from pathlib import Path

import people

from bridgehead.protocols.amqp.client.client import Client
from bridgehead.protocols.amqp.client.message import topic_node
from bridgehead.protocols.amqp.client.target import Target
from bridgehead.protocols.amqp.codec.v1.sections import (
    AMQP_VALUE,
    APPLICATION_PROPERTIES,
    MESSAGE_ANNOTATIONS,
    Sections,
    put_data,
    put_section,
)
from bridgehead.protocols.amqp.codec.v1.types import Symbol
from bridgehead.security.sasl.client import OAuthBearerClient

TOO_WARM = 20.5
MEETING_EVERY = 20.0
TOLD_BEFORE = 10.0
READINGS = "/queues/readings"
AT_LEAST_ONCE = 1
WINDOW = 100  # readings under way
RENEW_EVERY = 10.0  # seconds; a token lasts thirty


def token_of(file: Path) -> str:
    return file.read_text().strip()


async def renew(client: Client, file: Path) -> None:
    """Hand in the newest token, again and again: the connection lasts as long as the last one."""
    link = await client.sender("tokens", "$cbs", AT_LEAST_ONCE)
    about = {"operation": "put-token", "type": "jwt", "name": "bridgehead"}
    while True:
        await asyncio.sleep(RENEW_EVERY)
        await client.publish(link, put_section(APPLICATION_PROPERTIES, about) + put_section(AMQP_VALUE, token_of(file)))


async def control(client: Client) -> None:
    """Read, and warn."""
    await client.receiver("readings", READINGS, AT_LEAST_ONCE, WINDOW)
    notices = await client.sender("notices", topic_node(people.NOTICE), AT_LEAST_ONCE)
    began = time.monotonic()
    told = -1
    while True:
        delivery = await client.next_message()
        sections = Sections(delivery.octets)
        topic = str(sections.annotations(MESSAGE_ANNOTATIONS)[Symbol("x-opt-topic")])
        reading = float(sections.data())
        if topic == people.TEMPERATURE:
            people.tell("received", topic=topic, reading=reading)
            meeting, since = divmod(time.monotonic() - began, MEETING_EVERY)
            left = MEETING_EVERY - since
            if reading > TOO_WARM and left <= TOLD_BEFORE and told != meeting:
                told = int(meeting)
                notice = f"The meeting room has {reading:.1f} °C, and the meeting begins in {left:.0f} s: open a window"
                await client.publish(notices, put_data(notice.encode()))
                people.tell("notice", text=notice)
        client.accept(delivery)  # only now: what was not looked at comes to another, or again


async def main() -> None:
    name, bundle, port = people.arguments()
    token = Path(sys.argv[4])
    tls = ssl.create_default_context(cafile=str(bundle / "ca.pem"))
    target = Target("amqps", "localhost", port)
    client = Client(target, name, [OAuthBearerClient(token_of(token), target.host, port)], tls)
    await client.open()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(renew(client, token))
            group.create_task(control(client))
    finally:
        await client.close()


asyncio.run(main())
