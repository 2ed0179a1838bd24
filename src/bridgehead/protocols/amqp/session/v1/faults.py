"""Errors as detach, end and close carry them (2.8.14), and at which level a fault ends what (2.8.15 to 2.8.18)."""

from __future__ import annotations

from typing import Final

from bridgehead.core.errors import Refusal
from bridgehead.protocols.amqp.codec.v1.composites import Error
from bridgehead.protocols.amqp.codec.v1.errors import INTERNAL_ERROR, AmqpError
from bridgehead.protocols.amqp.codec.v1.states import Rejected
from bridgehead.protocols.amqp.codec.v1.types import Symbol
from bridgehead.protocols.amqp.mapping.errors import condition_of

_SHOWN: Final = 500  # characters of a description


class SessionFault(AmqpError):
    """The peer's fault ends the session, and nothing else (2.8.17)."""


class LinkFault(AmqpError):
    """The peer's fault ends the link, and nothing else (2.8.18)."""


def error_of(condition: str, because: str) -> Error:
    return Error(Symbol(condition), because[:_SHOWN])


def error_for(fault: Exception) -> Error:
    """What the peer is told of a Refusal or an AmqpError."""
    if isinstance(fault, AmqpError):
        return error_of(fault.condition, str(fault))
    if isinstance(fault, Refusal):
        return error_of(condition_of(fault.meaning), fault.because)
    return error_of(INTERNAL_ERROR, "the hub cannot say what went wrong")


def rejected_for(fault: Exception) -> Rejected:
    return Rejected(error_for(fault))
