"""The states of a Network Connection and what each packet type from the client means in each: total."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.mqtt.codec.reason_codes import (
    AUTH,
    CONNECT,
    DISCONNECT,
    PACKET_NAMES,
    PINGREQ,
    PROTOCOL_ERROR,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBSCRIBE,
    UNSUBSCRIBE,
)
from bridgehead.wire.errors import Violation

AWAITING_CONNECT: Final = 0
AUTHENTICATING: Final = 1
CONNECTED: Final = 2
CLOSED: Final = 3
# CONNECT named an Authentication Method: the rim judges what the client sent, or the client is to answer a challenge.
JUDGING: Final = 4
CHALLENGED: Final = 5

# Actions.
IGNORE: Final = 0
BEGIN: Final = 1
KEEP: Final = 2  # handled once the client is known [MQTT-3.1.4-5]
FIRST_MUST_BE_CONNECT: Final = 3  # [MQTT-3.1.0-1]
SECOND_CONNECT: Final = 4  # [MQTT-3.1.0-2]
NOT_FROM_A_CLIENT: Final = 5
TAKE_PUBLISH: Final = 6
TAKE_PUBACK: Final = 7
TAKE_PUBREC: Final = 8
TAKE_PUBREL: Final = 9
TAKE_PUBCOMP: Final = 10
TAKE_SUBSCRIBE: Final = 11
TAKE_UNSUBSCRIBE: Final = 12
ANSWER_PING: Final = 13
FAREWELL: Final = 14
TAKE_AUTH: Final = 15  # what it means is in session/exchange.py, and nothing without an Authentication Method
ONLY_AUTH: Final = 16  # [MQTT-3.1.2-30]
LEAVE: Final = 17


def _connected() -> list[int]:
    row = [NOT_FROM_A_CLIENT] * 16
    row[CONNECT] = SECOND_CONNECT
    row[PUBLISH] = TAKE_PUBLISH
    row[PUBACK] = TAKE_PUBACK
    row[PUBREC] = TAKE_PUBREC
    row[PUBREL] = TAKE_PUBREL
    row[PUBCOMP] = TAKE_PUBCOMP
    row[SUBSCRIBE] = TAKE_SUBSCRIBE
    row[UNSUBSCRIBE] = TAKE_UNSUBSCRIBE
    row[PINGREQ] = ANSWER_PING
    row[DISCONNECT] = FAREWELL
    row[AUTH] = TAKE_AUTH
    return row


def _awaiting_connect() -> list[int]:
    row = [FIRST_MUST_BE_CONNECT] * 16
    row[CONNECT] = BEGIN
    return row


def _authenticating() -> list[int]:
    row = [KEEP] * 16
    row[CONNECT] = SECOND_CONNECT
    return row


def _exchanging() -> list[int]:
    row = [ONLY_AUTH] * 16
    row[CONNECT] = SECOND_CONNECT
    row[AUTH] = TAKE_AUTH
    row[DISCONNECT] = LEAVE
    return row


# TABLE[state][packet type]: every pair has an action.
TABLE: Final[list[list[int]]] = [
    _awaiting_connect(),
    _authenticating(),
    _connected(),
    [IGNORE] * 16,
    _exchanging(),
    _exchanging(),
]

FORBIDDEN: Final = (FIRST_MUST_BE_CONNECT, SECOND_CONNECT, NOT_FROM_A_CLIENT, ONLY_AUTH)


def forbidden(action: int, packet_type: int) -> Violation:
    """What to tell a client that sent a packet where the table forbids it."""
    name = PACKET_NAMES[packet_type]
    if action == FIRST_MUST_BE_CONNECT:
        return Violation(f"the first packet must be CONNECT, not {name}", PROTOCOL_ERROR)
    if action == SECOND_CONNECT:
        return Violation("a second CONNECT in one connection", PROTOCOL_ERROR)
    if action == ONLY_AUTH:
        return Violation(f"{name} before the authentication is done", PROTOCOL_ERROR)
    return Violation(f"a client must not send {name}", PROTOCOL_ERROR)
