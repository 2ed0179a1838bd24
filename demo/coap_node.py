"""A constrained node in the lobby: PUTs a reading every second, by CoAP over DTLS with a pre-shared key."""

from __future__ import annotations

import asyncio

import coap_people
import people
import thermometer

from bridgehead.protocols.coap.client.client import Client
from bridgehead.protocols.coap.codec import codes, numbers
from bridgehead.protocols.coap.codec.message import Message, in_order
from bridgehead.protocols.coap.mapping import path_of_topic

COOLER = 1.5  # kelvin: the lobby's door opens often


async def publish() -> None:
    _, bundle, port = people.arguments()
    found = thermometer.find()
    who = coap_people.identity(bundle, port)
    async with Client(who.uri, who.security) as client:
        while True:
            reading = f"{found.read() - COOLER:.2f}"
            path = [(numbers.URI_PATH, segment) for segment in path_of_topic(coap_people.LOBBY)]
            answer = await client.request(Message(codes.PUT, in_order([*client.options(), *path]), reading.encode()))
            people.tell("sent", reading=reading, answer=codes.dotted(answer.code))
            await asyncio.sleep(1)


asyncio.run(publish())
