"""What can go wrong between a client and its server, in sentences for people."""

from __future__ import annotations

from bridgehead.protocols.mqtt.codec.reason_codes import CONNECT_RETURN_CODES, PACKET_NAMES, reason_name


class ConnectionFailed(Exception):
    """There is no connection, or no longer. The text says why and, where it can be known, what to do."""


class Refused(Exception):
    """The server said no, with a Reason Code (MQTT 3: a return code) and perhaps a Reason String."""

    def __init__(self, what: str, reason_code: int, reason_string: str | None = None, name: str = "") -> None:
        self.reason_code = reason_code
        self.reason_string = reason_string
        self.name = name or reason_name(reason_code)
        said = f": {reason_string}" if reason_string else ""
        super().__init__(f"{what}: {self.name} (0x{reason_code:02X}){said}")


class ConnectRefused(Refused):
    """The server said no to CONNECT."""


def connect_refused(version: int, reason_code: int, reason_string: str | None) -> ConnectRefused:
    """The server answered CONNECT with this code."""
    name = ""
    if version < 5:
        name = "unknown return code"
        if reason_code < len(CONNECT_RETURN_CODES):
            name = CONNECT_RETURN_CODES[reason_code].removeprefix("Connection Refused, ")
    return ConnectRefused("the server refused the connection", reason_code, reason_string, name)


def packet_name(packet_type: int) -> str:
    """The standard's name, such as PUBACK."""
    return PACKET_NAMES[packet_type] if 0 <= packet_type < len(PACKET_NAMES) else str(packet_type)
