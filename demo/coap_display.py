"""A display in the corridor: observes every temperature there is, by CoAP over DTLS with a raw public key."""

from __future__ import annotations

import asyncio
import json

import coap_people
import people

from bridgehead.protocols.coap.client.client import Client
from bridgehead.protocols.coap.codec import codes, numbers
from bridgehead.protocols.coap.codec.message import Message, in_order

FILTER = "+/+/Temperature"


async def observe() -> None:
    _, bundle, port = people.arguments()
    who = coap_people.identity(bundle, port)
    async with Client(who.uri, who.security) as client:
        asked = [*client.options(), (numbers.URI_PATH, b"t"), (numbers.URI_QUERY, f"f={FILTER}".encode())]
        observation = client.observe(Message(codes.GET, in_order(asked)))
        while (told := await observation.next()) is not None:
            location = told.all(numbers.LOCATION_PATH)
            if location and told.payload:
                topic = b"/".join(location[1:]).decode()
                value = json.loads(told.payload)  # the plant's samples are objects, the office's readings numbers
                people.tell("displayed", topic=topic, reading=value["celsius"] if isinstance(value, dict) else value)
        people.tell("ended", answer=codes.dotted(observation.ended.code) if observation.ended else "")


asyncio.run(observe())
