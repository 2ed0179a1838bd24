"""Enhanced authentication (MQTT 5.0 section 4.12): whose turn it is, and what each AUTH of the client means then.

Total: TURNS has an action for each turn, before and after CONNACK, and for each Reason Code of AUTH.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from bridgehead.protocols.mqtt.codec.encode import encode
from bridgehead.protocols.mqtt.codec.packets import Auth
from bridgehead.protocols.mqtt.codec.properties import Properties
from bridgehead.protocols.mqtt.codec.reason_codes import (
    BAD_AUTHENTICATION_METHOD,
    CONTINUE_AUTHENTICATION,
    PROTOCOL_ERROR,
    RE_AUTHENTICATE,
)
from bridgehead.wire.errors import Violation

# Whose turn it is.
NOBODY: Final = 0  # no exchange is under way
HUB: Final = 1  # the rim judges what the client sent
CLIENT: Final = 2  # a challenge is out

# What an AUTH means.
ANSWER: Final = 0
BEGIN_ANEW: Final = 1
NOT_A_CLIENTS: Final = 2  # 0x00 is the server's alone (section 3.15.2.1)
OUT_OF_TURN: Final = 3
UNASKED: Final = 4
TOO_EARLY: Final = 5  # section 4.12.1: re-authentication is for after CONNACK
TWO_AT_ONCE: Final = 6

# TURNS[connected][turn][0x00, 0x18, 0x19]
TURNS: Final[list[list[list[int]]]] = [
    [
        [NOT_A_CLIENTS, UNASKED, TOO_EARLY],
        [NOT_A_CLIENTS, OUT_OF_TURN, TOO_EARLY],
        [NOT_A_CLIENTS, ANSWER, TOO_EARLY],
    ],
    [
        [NOT_A_CLIENTS, UNASKED, BEGIN_ANEW],
        [NOT_A_CLIENTS, OUT_OF_TURN, TWO_AT_ONCE],
        [NOT_A_CLIENTS, ANSWER, TWO_AT_ONCE],
    ],
]
FAULTS: Final[dict[int, str]] = {
    NOT_A_CLIENTS: "AUTH with Success is the server's to send",
    OUT_OF_TURN: "AUTH out of turn: the server has not answered the last one",
    UNASKED: "AUTH with Continue authentication, and no authentication is under way",
    TOO_EARLY: "AUTH with Re-authenticate before CONNACK",
    TWO_AT_ONCE: "AUTH with Re-authenticate while one is under way",
}

# More rounds than any mechanism needs; GSSAPI's five are the most.
MOST_ROUNDS: Final = 16


def _column(reason_code: i64) -> int:
    if reason_code == CONTINUE_AUTHENTICATION:
        return 1
    return 2 if reason_code == RE_AUTHENTICATE else 0


class Exchange:
    """The authentication of one connection, by the method that its CONNECT named. `data` is what the client said last,
    `since` when it began."""

    def __init__(self, method: str, data: bytes | None, now: float) -> None:
        self.method: Final = method
        self.data: bytes | None = data
        self.turn: int = HUB
        self.again = False
        self.since: float = now
        self._rounds: i64 = 1

    def take(self, packet: Auth, connected: bool, now: float) -> None:
        """An AUTH came: it is the hub's turn. Errors: Violation."""
        method = packet.properties.authentication_method
        if method is None:
            raise Violation("AUTH without an Authentication Method", PROTOCOL_ERROR)  # section 3.15.2.2.2
        if method != self.method:  # [MQTT-4.12.0-5], [MQTT-4.12.1-1]
            raise Violation("AUTH with another Authentication Method than CONNECT", BAD_AUTHENTICATION_METHOD)
        action = TURNS[1 if connected else 0][self.turn][_column(packet.reason_code)]
        if action == BEGIN_ANEW:
            self.again = True
            self.since = now
            self._rounds = 0
        elif action != ANSWER:
            raise Violation(FAULTS[action], PROTOCOL_ERROR)
        if self._rounds >= MOST_ROUNDS:
            raise Violation(f"more than {MOST_ROUNDS} AUTH packets in one authentication", PROTOCOL_ERROR)
        self._rounds += 1
        self.turn = HUB
        self.data = packet.properties.authentication_data

    def challenging(self, data: bytes | None) -> bytes:
        """AUTH with Continue authentication [MQTT-4.12.0-2]: the client's turn. Never with a Reason String or User
        Property: so none makes it too large ([MQTT-3.15.2-2], [MQTT-3.15.2-3])."""
        self.turn = CLIENT
        self.data = None
        return self._packet(CONTINUE_AUTHENTICATION, data)

    def done(self) -> None:
        """It has succeeded; what the client said may be a credential and is not kept."""
        self.turn = NOBODY
        self.data = None

    def succeeding(self, data: bytes | None) -> bytes:
        """AUTH with Success, which ends a re-authentication."""
        self.done()
        return self._packet(0, data)

    def _packet(self, reason_code: int, data: bytes | None) -> bytes:
        # [MQTT-4.12.0-5]: CONNECT's method in every one.
        return encode(Auth(reason_code, Properties(authentication_method=self.method, authentication_data=data)), 5)
