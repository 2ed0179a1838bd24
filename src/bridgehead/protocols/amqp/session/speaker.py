"""One connection's protocol machine as the rim sees it: octets and time in, octets and the next deadline out.

A connection is one machine after the other: the protocol header (entry.py), the SASL layer of 1.0, then the protocol
itself; each names its `successor`.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from bridgehead.broker.broker import Broker
from bridgehead.broker.events import CONNECTED, DISCONNECTED, REFUSED, told
from bridgehead.core.errors import LocalMisuse, Refusal
from bridgehead.core.message import NEVER
from bridgehead.core.policy import Principal
from bridgehead.core.session import Receiver, Session
from bridgehead.protocols.amqp.config import AmqpConfig
from bridgehead.protocols.amqp.session.proving import HUB, SaslTurn
from bridgehead.wire.outbox import Outbox

PROTOCOL: Final = "amqp"  # of origins, for both versions


@mypyc_attr(allow_interpreted_subclasses=True)
class Speaker:
    """What the rim does with it:

    - `receive(data)` for what came in; `lost(because)` once, when the network connection ended; `drained()` when the
      kernel took what was waiting; `handle_timeout()` at `next_timeout()`.
    - when the Turn says so, send `outbox.take()`. When there is `attention`: go on with the `successor()` if there is
      one; close when `closed`; when `is_asking()`, judge `sasl` and answer by `challenge`, `authenticated` or `refuse`,
      or, if it is a proof given anew (`sasl.again`), by `renewed` or `not_renewed`; read no more while
      `is_congested()`.

    `address` is the peer's; `tls` and `certificate` say what the connection has; `mechanisms` are those of SASL that
    may be used on it.
    """

    def __init__(
        self,
        outbox: Outbox,
        broker: Broker,
        config: AmqpConfig,
        address: str,
        tls: bool,
        certificate: bool,
        mechanisms: tuple[str, ...] = (),
    ) -> None:
        self.outbox: Final = outbox
        self.broker: Final = broker
        self.config: Final = config
        self.address: Final = address
        self.tls: Final = tls
        self.certificate: Final = certificate
        self.mechanisms: Final = mechanisms
        self.attention = False
        self.closed = False
        self.sasl: SaslTurn | None = None
        self.accepted_at: float = broker.clock.now  # the rim may put it back
        self.expires_at: float = NEVER  # when what proved the identity ends
        self.hub_session: Session | None = None  # the connection's own, by which the hub reaches it
        self.token_node: object | None = None  # what v1/cbs.py keeps of the connection

    # What each machine does. ------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Take octets as they came. Whatever they are, nothing is raised."""
        raise NotImplementedError

    def lost(self, because: str) -> None:
        """The network connection ended."""
        raise NotImplementedError

    def dismiss(self, meaning: str, because: str) -> None:
        """The hub ends the connection, with a meaning of core/errors.py."""
        raise NotImplementedError

    def next_timeout(self) -> float:
        """Seconds since the epoch; NEVER for not at all."""
        raise NotImplementedError

    def handle_timeout(self) -> None:
        raise NotImplementedError

    def drained(self) -> None:
        """There is room in the outbox again."""

    def is_congested(self) -> bool:
        """Read no more for now."""
        return self.outbox.octets + self.outbox.backlog > 2 * self.outbox.limit

    def has_waiting(self) -> bool:
        """Whether something to be sent waits for room in the outbox."""
        return False

    def successor(self) -> Speaker | None:
        """Who goes on with the connection, once it is this machine's no more; asked once."""
        return None

    def left(self) -> bytes:
        """What came in already and is for the successor. It is forgotten here."""
        return b""

    # What the rim answers. --------------------------------------------------------------------------

    def is_asking(self) -> bool:
        return self.sasl is not None and self.sasl.turn == HUB and not self.closed

    def challenge(self, data: bytes) -> None:
        """The mechanism wants to hear more."""
        raise LocalMisuse("nothing is being proven here")

    def authenticated(
        self,
        principal: Principal,
        verified: bool,
        serial: str,
        expires_at: float,
        data: bytes | None,
        marks: tuple[str, ...],
    ) -> None:
        """The identity is proven, until `expires_at`, by the credentials of these `marks` (Proven.marks). `verified`:
        nobody on the way could have read or changed the proof. `serial` is unique; `data` ends the exchange."""
        raise LocalMisuse("nothing is being proven here")

    def refuse(self, refusal: Refusal) -> None:
        """The identity was not proven; who says so has reported it."""
        raise LocalMisuse("nothing is being proven here")

    def renewed(self, principal: Principal, expires_at: float, marks: tuple[str, ...]) -> None:
        """The identity is proven anew: the connection goes on until `expires_at`, and stands on the credentials of the
        new proof alone."""
        asked = self.sasl
        self.sasl = None
        if asked is None or asked.renewal is None or self.hub_session is None or self.closed:
            return
        known = self.hub_session.principal
        if principal.name != known.name or principal.created != known.created:
            because = f"the identity proven anew is another one, {principal.name!r}"
            self.broker.event(REFUSED, {**told(self.hub_session.origin), "because": because})
            asked.renewal.refused("the token is another identity's: open a connection of its own for it")
            return
        self.expires_at = expires_at
        self.hub_session.marks = marks
        if principal is not known:
            self.stand_on(principal)
            self.broker.permissions_changed([principal.name])
        asked.renewal.granted(expires_at)
        self.attention = True  # the deadline is another one
        self.outbox.touch()

    def not_renewed(self, refusal: Refusal) -> None:
        """A proof given anew does not hold. The connection goes on with the one it had, or the renewal ends it."""
        asked = self.sasl
        self.sasl = None
        if asked is not None and asked.renewal is not None and not self.closed:
            asked.renewal.refused(refusal.because)

    # For the machines of both versions. -------------------------------------------------------------

    def ask(self, turn: SaslTurn) -> None:
        """Let the rim judge what the peer said."""
        self.sasl = turn
        self.attention = True
        self.outbox.touch()

    def stand_on(self, principal: Principal) -> None:
        """Another view of the same identity, by another kind of proof, holds from now on. Override to hand it to the
        sessions of links, and call this."""
        if self.hub_session is not None:
            self.hub_session.principal = principal

    def enter(
        self, principal: Principal, verified: bool, client_id: str, marks: tuple[str, ...], receiver: Receiver
    ) -> Session:
        """The connection's own session in the hub: by it the hub revokes, disconnects, judges anew. Its `receiver` is
        told by `dismiss`. Reported as connection.accepted by `entered`. Errors: Refusal."""
        self.broker.admit(principal)
        session, _ = self.broker.attach(
            principal, client_id, PROTOCOL, verified, True, 0.0, None, receiver, self.address
        )
        session.marks = marks
        self.hub_session = session
        counters = self.broker.counters
        counters.connections += 1
        counters.connections_total += 1
        counters.connections_maximum = max(counters.connections_maximum, counters.connections)
        return session

    def entered(self, version: str, name: str) -> None:
        """Report it: `version` is "1.0" or "0-9-1", `name` the container's or the product's own."""
        if self.hub_session is not None:
            fields = {**told(self.hub_session.origin), "version": version, "container": name[:256]}
            self.broker.event(CONNECTED, fields)

    def leave(self, receiver: Receiver, because: str, event: str = DISCONNECTED, code: str = "") -> None:
        """The connection is over: reported (PEER_ERROR instead, when the peer broke the protocol, with the `code` that
        it was told) and its session ended. What comes before `enter` is reported by its address."""
        session = self.hub_session
        fields: dict[str, object] = {"address": self.address} if session is None else told(session.origin)
        fields["because"] = because
        if code:
            fields["code"] = code
        self.broker.event(event, fields)
        if session is not None:
            self.hub_session = None
            self.broker.counters.connections -= 1
            self.broker.detach(session, receiver, False)
