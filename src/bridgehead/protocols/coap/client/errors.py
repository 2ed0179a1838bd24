"""What can go wrong between a client and its server, in sentences for people."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.coap.codec.codes import dotted
from bridgehead.protocols.coap.codec.message import Message
from bridgehead.protocols.coap.dissect import code_name


class ConnectionFailed(Exception):
    """There is no connection, or no longer, or no answer. The text says why and, where it can be known, what to do."""


class Refused(Exception):
    """The server answered with an error. `response` is its answer; its diagnostic is in the text."""

    def __init__(self, what: str, response: Message) -> None:
        said = response.payload.decode("utf-8", "replace").strip()
        shown = "".join([c if c.isprintable() else " " for c in said])[:300]
        text = f"{what}: {code_name(response.code)} ({dotted(response.code)})"
        super().__init__(f"{text}: {shown}" if shown else text)
        self.response: Final = response
