"""What can go wrong between an AMQP client and its server, in sentences for people."""

from __future__ import annotations

from bridgehead.protocols.amqp.codec.v1.composites import DeliveryState, Error
from bridgehead.protocols.amqp.codec.v1.states import Modified, Rejected, Released


class ConnectionFailed(Exception):
    """There is no connection, or no longer. The text says why and, where it can be known, what to do."""


class Refused(Exception):
    """The server said no. `condition` is the standard's error condition, "" where it told none."""

    def __init__(self, what: str, condition: str = "", description: str | None = None) -> None:
        self.condition = condition
        self.description = description
        named = f": {condition}" if condition else ""
        said = f": {description}" if description else ""
        super().__init__(f"{what}{named}{said}")


class LoginRefused(Refused):
    """The server does not believe who this is (5.3.3.6)."""


def refused(what: str, error: Error | None) -> Refused:
    """`what` was refused, or ended, with this error."""
    if error is None:
        return Refused(what)
    return Refused(what, str(error.condition), error.description)


def outcome_error(state: DeliveryState | None) -> Refused | None:
    """What an outcome says against a message that was sent; None when it was accepted."""
    if isinstance(state, Rejected):
        return refused("the server refused the message", state.error)
    if isinstance(state, Released):
        return Refused("the server released the message without taking it; send it again later")
    if isinstance(state, Modified):
        return Refused("the server could not deliver the message; send it again later")
    return None
