"""The headers by which a 0-9-1 consumer learns of what its messages died: RabbitMQ's x-death and x-first-death-*."""

from __future__ import annotations

from typing import Final

from pamqp import decode

from bridgehead.core.entry import Death
from bridgehead.protocols.amqp.session.v091.arguments import DEFAULT_EXCHANGE, Arguments

X_DEATH: Final = "x-death"


def death_headers(deaths: tuple[Death, ...]) -> Arguments:
    """What is laid over a message's own headers, so that nobody can forge it: one table for each queue and reason, the
    latest first. Times are field values of type timestamp (AMQP 0-9-1 section 4.2.5.4), in whole seconds."""
    first = deaths[-1]
    return {
        X_DEATH: [
            {
                "count": death.count,
                "reason": death.reason,
                "queue": death.queue,
                "time": decode.timestamp(int(death.at).to_bytes(8, "big"))[1],
                "exchange": _named(death.exchange),
                "routing-keys": list(death.routing_keys),
            }
            for death in deaths
        ],
        "x-first-death-reason": first.reason,
        "x-first-death-queue": first.queue,
        "x-first-death-exchange": _named(first.exchange),
    }


def _named(exchange: str) -> str:
    return "" if exchange == DEFAULT_EXCHANGE else exchange
