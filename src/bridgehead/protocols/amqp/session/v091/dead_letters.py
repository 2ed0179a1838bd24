"""The headers by which a 0-9-1 consumer learns of what its messages died: RabbitMQ's x-death and x-first-death-*."""

from __future__ import annotations

from typing import Final

from pamqp import decode

from bridgehead.core.entry import Death, Entry
from bridgehead.protocols.amqp.mapping.message_v091 import FORM, read_properties
from bridgehead.protocols.amqp.session.v091.arguments import DEFAULT_EXCHANGE, Arguments

X_DEATH: Final = "x-death"


def headers_of_dead(entry: Entry) -> Arguments | None:
    """What is laid over a message's own headers when it goes out, None when it has died nowhere."""
    if not entry.deaths:
        return None
    expiration = ""
    native = entry.message.properties.native
    if native is not None and native.form == FORM:
        expiration = read_properties(native.octets).expiration or ""
    return death_headers(entry.deaths, expiration)


def death_headers(deaths: tuple[Death, ...], expiration: str = "") -> Arguments:
    """What is laid over a message's own headers, so that nobody can forge it: one table for each queue and reason, the
    latest first. Times are field values of type timestamp (AMQP 0-9-1 section 4.2.5.4), in whole seconds. `expiration`
    is what the message had of that property: it is taken from it at its first death."""
    first = deaths[-1]
    tables = [_table(death) for death in deaths]
    if expiration:
        tables[-1]["original-expiration"] = expiration
    return {
        X_DEATH: tables,
        "x-first-death-reason": first.reason,
        "x-first-death-queue": first.queue,
        "x-first-death-exchange": _named(first.exchange),
    }


def _table(death: Death) -> Arguments:
    return {
        "count": death.count,
        "reason": death.reason,
        "queue": death.queue,
        "time": decode.timestamp(int(death.at).to_bytes(8, "big"))[1],
        "exchange": _named(death.exchange),
        "routing-keys": list(death.routing_keys),
    }


def _named(exchange: str) -> str:
    return "" if exchange == DEFAULT_EXCHANGE else exchange
