"""One permission, and under which circumstances it holds: protocol, kind of proof, origin, size, rate."""

from __future__ import annotations

from typing import Final

from bridgehead.core.errors import NOT_AUTHORIZED

# What is permitted with one topic, in one number. Bit `qos + 3 * retain` of the first six: may publish so, whatever
# the message. The same, MAYBE higher: may publish so as far as payload, origin, rate and quota permit. From RECEIVE
# on: bit `qos` may receive what a verified origin sent, bit `qos + 3` what any other did.
PLAIN: Final = 0b111111
MAYBE: Final = 8
RECEIVE: Final = 16
DENIES_PUBLISH: Final = 0x1000000
DENIES_RECEIVE: Final = 0x2000000


def printable(text: str) -> str:
    """As it is, or in quotes and escaped where it would write a line of its own into a sentence."""
    return text if text.isprintable() else repr(text)


class Context:
    """How a connection came: its protocol ("mqtt", ...) and by what its identity was proven (security.mechanisms)."""

    def __init__(self, protocol: str, mechanisms: tuple[str, ...]) -> None:
        self.protocol: Final = protocol
        self.mechanisms: Final = mechanisms

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Context) and other.key() == self.key()

    def __hash__(self) -> int:
        return hash(self.key())

    def __str__(self) -> str:
        return f"{self.protocol} by {'+'.join(self.mechanisms) or 'nothing'}"

    def key(self) -> tuple[str, tuple[str, ...]]:
        return (self.protocol, self.mechanisms)


class Permission:
    """`topic_filter` may hold placeholders: `${device}`, `${group}`, or the name of an attribute.

    `max_qos`, `retain`, `max_payload` (octets, -1: any) and `rate` (messages per second, 0: any) bound what may be
    published by it; `max_qos` also what may be received. `verified`: it lets a publisher publish only over a verified
    connection, and a subscriber receive only what came over one. It holds when the protocol is one of `protocols` and
    the identity was proven by one of `mechanisms`; empty: whichever. Where neither is known a permission with such a
    condition does not hold, and a denial does. A permission with `allow=False` denies the operation on what its filter
    matches, whatever the QoS, size, rate or origin. `source` is the line that it was written in.
    """

    def __init__(
        self,
        topic_filter: str,
        publish: bool,
        subscribe: bool,
        max_qos: int = 2,
        retain: bool = True,
        allow: bool = True,
        max_payload: int = -1,
        rate: float = 0.0,
        verified: bool = False,
        protocols: tuple[str, ...] = (),
        mechanisms: tuple[str, ...] = (),
        source: str = "",
    ) -> None:
        self.topic_filter: Final = topic_filter
        self.publish: Final = publish
        self.subscribe: Final = subscribe
        self.max_qos: Final = max_qos
        self.retain: Final = retain
        self.allow: Final = allow
        self.max_payload: Final = max_payload
        self.rate: Final = rate
        self.verified: Final = verified
        self.protocols: Final = protocols
        self.mechanisms: Final = mechanisms
        self.source: Final = source
        self.bits: Final[int] = self._bits()

    def _bits(self) -> int:
        if not self.allow:
            return (DENIES_PUBLISH if self.publish else 0) | (DENIES_RECEIVE if self.subscribe else 0)
        qos = (2 << self.max_qos) - 1
        found = 0
        if self.publish:
            found = qos | (qos << 3) if self.retain else qos
            if self.max_payload >= 0 or self.rate > 0 or self.verified:
                found <<= MAYBE
        if self.subscribe:
            received = qos if self.verified else qos | (qos << 3)
            found |= received << RECEIVE
        return found

    def is_conditional(self) -> bool:
        """Whether it depends on how the connection came."""
        return bool(self.protocols) or bool(self.mechanisms)

    def holds(self, context: Context | None) -> bool:
        """Whether its conditions are met. None: it is not known how the connection came."""
        if not self.protocols and not self.mechanisms:
            return True
        if context is None:
            return not self.allow
        if self.protocols and context.protocol not in self.protocols:
            return False
        if not self.mechanisms:
            return True
        return any(mechanism in self.mechanisms for mechanism in context.mechanisms)

    def __str__(self) -> str:
        verbs = (
            "publish and subscribe" if self.publish and self.subscribe else "publish" if self.publish else "subscribe"
        )
        text = f"{'allow' if self.allow else 'deny'} {verbs} {printable(self.topic_filter)}"
        if self.allow:
            text += f" up to QoS {self.max_qos}"
            if self.publish and not self.retain:
                text += ", not retained"
            if self.publish and self.max_payload >= 0:
                text += f", payload up to {self.max_payload} octets"
            if self.publish and self.rate > 0:
                text += f", {self.rate:g} a second"
            if self.verified:
                text += ", verified origins only"
        if self.protocols:
            text += f", over {' or '.join(self.protocols)}"
        if self.mechanisms:
            text += f", proven by {' or '.join(self.mechanisms)}"
        return text


class Decision:
    """The answer, the sentence that says why, the permission that decided and whose it is (None and "" when none
    covers). `meaning` is that of a Refusal; of a refusal `permission` is the denial, `nearest` what comes nearest."""

    def __init__(
        self,
        permit: bool,
        because: str,
        permission: Permission | None,
        rights: str = "",
        meaning: str = NOT_AUTHORIZED,
        nearest: Permission | None = None,
    ) -> None:
        self.permit: Final = permit
        self.because: Final = because
        self.permission: Final = permission
        self.rights: Final = rights
        self.meaning: Final = meaning
        self.nearest: Final = nearest
