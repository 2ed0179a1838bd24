"""Whose fault it is, is the type: the peer broke the rules."""

from __future__ import annotations


class PeerError(Exception):
    """The peer sent what its protocol forbids.

    `code` is the protocol's own number for the fault where the standard names one (an MQTT 5.0 reason
    code, an AMQP error index, ...), else 0. `at` is the offset in octets from the start of the packet, or -1.
    `clause` names the broken rule in the standard's own numbering ("MQTT-3.1.2-3", "MQTT 5.0 3.3.2.3.4"), or is "".
    The text may be shown to the peer: it never holds a secret.
    """

    def __init__(self, text: str, code: int = 0, at: int = -1, clause: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.code = code
        self.at = at
        self.clause = clause

    def __str__(self) -> str:
        text = self.text
        if self.clause:
            text = f"{text} [{self.clause}]"
        return text if self.at < 0 else f"{text} (octet {self.at})"


class Malformed(PeerError):
    """The octets cannot be decoded as the protocol's grammar."""


class Violation(PeerError):
    """The packet decodes, but the protocol does not permit it here or now."""
