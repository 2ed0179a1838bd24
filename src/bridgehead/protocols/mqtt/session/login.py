"""From CONNECT to CONNACK, and proving the identity anew while connected (sections 3.1.4, 3.2, 4.12)."""

from __future__ import annotations

from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.broker.events import CONNECTED as EVENT_CONNECTED
from bridgehead.broker.events import REFUSED, told
from bridgehead.core.errors import TOO_LARGE, Refusal
from bridgehead.core.message import NEVER
from bridgehead.core.policy import Principal
from bridgehead.core.session import Session
from bridgehead.protocols.mqtt.codec import reason_codes as codes
from bridgehead.protocols.mqtt.codec.packets import Auth, Connect, Packet
from bridgehead.protocols.mqtt.config import MqttConfig
from bridgehead.protocols.mqtt.mapping import REASON_CODES, will_from_packet
from bridgehead.protocols.mqtt.session import table
from bridgehead.protocols.mqtt.session.acknowledgements import Acknowledgements, Held
from bridgehead.protocols.mqtt.session.exchange import HUB, NOBODY, Exchange
from bridgehead.protocols.mqtt.session.greeting import (
    accepting,
    asked_expiry_interval,
    client_id_for,
    client_packet_size,
    granted_keep_alive,
    refusing,
)
from bridgehead.protocols.mqtt.session.intake import Intake
from bridgehead.protocols.mqtt.session.sender import Sender
from bridgehead.wire.errors import Violation
from bridgehead.wire.outbox import Outbox

_PROTOCOL: Final = "mqtt"


class Login(Sender):
    """The half of a connection that knows how it began. `methods` are the Authentication Methods offered there."""

    def __init__(
        self, outbox: Outbox, broker: Broker, config: MqttConfig, address: str, methods: tuple[str, ...]
    ) -> None:
        super().__init__(outbox, broker.dispatcher, broker.clock, broker.counters)
        self._broker: Final = broker
        self._config: Final = config
        self.address: Final = address
        self._methods: Final = methods
        self.state = table.AWAITING_CONNECT
        self.attention = False
        self.connect: Connect | None = None
        self.exchange: Exchange | None = None  # with an Authentication Method in CONNECT
        self.client_id = ""
        self.keep_alive = 0.0  # seconds; 0: none
        self.expires_at: float = NEVER  # when what proved the identity ends
        self._intake: Intake | None = None
        self._acknowledgements: Final = Acknowledgements()
        self._kept: list[Packet] | None = None
        self._connack: Held | None = None
        self._began = False  # the session is new with this connection

    # What Connection does. --------------------------------------------------------------------------

    def _handle(self, packets: list[Packet], fault: Exception | None) -> None:
        raise NotImplementedError

    def _close(self, code: int, because: str, keep_will: bool) -> None:
        raise NotImplementedError

    def _end(self, because: str, keep_will: bool) -> None:
        raise NotImplementedError

    def _report(self, event: str, because: str, code: int) -> None:
        raise NotImplementedError

    # CONNECT and AUTH. ------------------------------------------------------------------------------

    def _begin(self, packet: Connect) -> None:
        self.connect = packet
        self._v5 = packet.protocol_version == 5
        self.client_id = packet.client_id
        method = packet.properties.authentication_method
        if method is None:
            self.state = table.AUTHENTICATING
            return
        if method not in self._methods:
            # [MQTT-4.12.0-1]
            self.refuse_with(codes.BAD_AUTHENTICATION_METHOD, f"Authentication Method {method!r} is not offered")
            return
        self.exchange = Exchange(method, packet.properties.authentication_data, self._clock.now)
        self.state = table.JUDGING

    def _take_auth(self, packet: Auth) -> None:
        exchange = self.exchange
        if exchange is None:
            raise Violation("AUTH without an Authentication Method in CONNECT", codes.PROTOCOL_ERROR)  # section 4.12
        exchange.take(packet, self.state == table.CONNECTED, self._clock.now)
        if self.state != table.CONNECTED:
            self.state = table.JUDGING
        self.attention = True
        self.outbox.touch()

    def is_asking(self) -> bool:
        """The rim is to judge `exchange.data`: then it calls `challenge`, `authenticated` or `refuse`, and in a
        re-authentication (`exchange.again`) `challenge`, `authenticated_again` or `refuse_again`."""
        exchange = self.exchange
        return exchange is not None and exchange.turn == HUB and self.state != table.CLOSED

    def challenge(self, data: bytes | None) -> None:
        """The mechanism wants to hear more."""
        exchange = self.exchange
        if exchange is None or exchange.turn != HUB or self.state == table.CLOSED:
            return
        made = exchange.challenging(data)
        limit = client_packet_size(self.connect)
        if limit and len(made) > limit:  # [MQTT-3.1.2-24]
            because = f"a Maximum Packet Size of {limit} octets leaves no room for AUTH"
            if self.state == table.CONNECTED:
                self._close(codes.NOT_AUTHORIZED, because, True)
            else:
                self.refuse(Refusal(TOO_LARGE, because))
            return
        if self.state != table.CONNECTED:
            self.state = table.CHALLENGED
        self.outbox.write(made)

    def authenticated_again(
        self, principal: Principal, expires_at: float, data: bytes | None, marks: tuple[str, ...] = ()
    ) -> None:
        """The identity is proven anew: the connection goes on, until `expires_at`, with what the policy permits to who
        proves itself so, and stands on the credentials of the new proof alone."""
        exchange = self.exchange
        session = self.session
        if self.state != table.CONNECTED or exchange is None or exchange.turn != HUB or session is None:
            return
        known = session.principal
        if principal.name != known.name or principal.created != known.created:
            because = f"the identity proven anew is another one, {principal.name!r}"
            self._broker.event(REFUSED, {**told(session.origin), "because": because})
            self.refuse_again(because)
            return
        made = exchange.succeeding(data)
        limit = client_packet_size(self.connect)
        if limit and len(made) > limit:
            self._close(codes.NOT_AUTHORIZED, f"a Maximum Packet Size of {limit} octets leaves no room for AUTH", True)
            return
        self.expires_at = expires_at
        session.marks = marks
        self.outbox.write(made)
        if principal is not known:
            session.principal = principal
            self._broker.sessions.set_expiry_interval(session, session.expiry_interval)  # a restart judges by it too
            self._broker.permissions_changed([principal.name])

    def refuse_again(self, because: str) -> None:
        """A re-authentication failed [MQTT-4.12.1-2]. 0x86 is no Reason Code of DISCONNECT, whatever was wrong."""
        self._close(codes.NOT_AUTHORIZED, because, True)

    # CONNACK. ---------------------------------------------------------------------------------------

    def refuse(self, refusal: Refusal, reported: bool = False) -> None:
        """The identity was not proven, or may not connect. `reported`: who says so has reported it already."""
        self.refuse_with(REASON_CODES[refusal.meaning], refusal.because, reported)

    def refuse_with(self, code: int, because: str, reported: bool = False) -> None:
        if self.state == table.CLOSED:
            return
        if not codes.is_allowed(code, codes.CONNACK):
            code = codes.UNSPECIFIED_ERROR
        self.outbox.discard()
        self.outbox.write(refusing(self._v5, self.connect, code, because))
        if not reported:
            self._report(REFUSED, because, code)
        self._end(because, True)

    def authenticated(
        self,
        principal: Principal,
        verified: bool,
        unique: str,
        expires_at: float = NEVER,
        data: bytes | None = None,
        marks: tuple[str, ...] = (),
    ) -> None:
        """The identity is proven, until `expires_at`, by the credentials of these `marks` (Proven.marks); `data` ends
        an enhanced authentication. `unique` makes a Client
        Identifier for a client that has none."""
        connect = self.connect
        if self.state not in (table.AUTHENTICATING, table.JUDGING) or connect is None:
            return
        exchange = self.exchange
        if exchange is not None:
            exchange.done()
        properties = connect.properties
        broker = self._broker
        will = None if connect.will is None else will_from_packet(connect.will)
        expiry = min(asked_expiry_interval(connect), float(broker.limits.session_expiry_interval))
        name = principal.name
        limit = client_packet_size(connect)
        try:
            self.client_id = client_id_for(connect, principal, unique)
            if limit and len(accepting(connect, name, self.client_id, expiry, False, self._config, data)) > limit:
                because = f"a Maximum Packet Size of {limit} octets leaves no room for CONNACK"
                raise Refusal(TOO_LARGE, because)  # [MQTT-3.1.2-24]
            broker.admit(principal)
            session, present = broker.attach(
                principal, self.client_id, _PROTOCOL, verified, connect.clean_start, expiry, will, self, self.address
            )
        except Refusal as refusal:
            self.refuse(refusal)
            return
        self.state = table.CONNECTED
        self.expires_at = expires_at
        session.marks = marks
        self._began = not present
        broker.counters.connections += 1
        broker.counters.connections_total += 1
        broker.counters.connections_maximum = max(broker.counters.connections_maximum, broker.counters.connections)
        receive_maximum = min(properties.receive_maximum or 65535, self._config.in_flight)
        aliases = min(properties.topic_alias_maximum or 0, self._config.topic_alias_maximum)  # kept on both sides
        self.begin(session, self._v5, receive_maximum, limit, aliases)
        self._intake = Intake(
            session, self, self.outbox, self._acknowledgements, broker.door, broker.clock, self._config, connect
        )
        self.keep_alive = float(granted_keep_alive(connect, self._config))
        accepted = accepting(connect, name, self.client_id, expiry, present, self._config, data)
        ticket = broker.journal.wait(self) if session.log or will is not None else 0
        self._broker.event(
            EVENT_CONNECTED,
            {
                "principal": name,
                "client_id": self.client_id,
                "address": self.address,
                "version": connect.protocol_version,
                "session_present": present,
            },
        )
        if ticket:
            # [MQTT-3.2.0-1]: nothing goes out before CONNACK, and CONNACK not before the session lasts.
            self.outbox.cork()
            refused = refusing(
                self._v5, connect, codes.QUOTA_EXCEEDED, "the hub cannot keep the session: its store is full"
            )
            self._connack = Held(ticket, accepted, refused, 0)
        else:
            self.outbox.write(accepted)
            self._accepted(session)

    def _accepted(self, session: Session) -> None:
        """CONNACK is on its way: what waits for the client is sent, what came behind its CONNECT is done.

        A client that still believes in a subscription which was withdrawn is told so once, and sent away: CONNACK has
        no place for it, and Session Present says that all is as it was."""
        if session.withdrawn:
            because = session.withdrawn
            session.withdrawn = ""
            self._close(codes.NOT_AUTHORIZED, because, True)
            return
        self.resume()
        if not self._began:
            self._dispatcher.reclaim(session)
        self.pump()
        kept = self._kept
        if kept is not None:
            self._kept = None
            self._handle(kept, None)

    # Time. ------------------------------------------------------------------------------------------

    def _right_ends_at(self) -> float:
        """When a connected client has to be sent away: its right ends, or it does not finish proving it anew."""
        exchange = self.exchange
        if exchange is not None and exchange.again and exchange.turn != NOBODY:
            return min(self.expires_at, exchange.since + self._config.connect_timeout)
        return self.expires_at

    def _end_right(self, now: float) -> None:
        if now >= self.expires_at:
            # Section 2.4: 0xA0 is the maximum connection time authorized for this connection.
            because = "what proved the identity has ended: connect with a new proof, or authenticate anew in time"
            self._close(codes.MAXIMUM_CONNECT_TIME, because, True)
        else:
            self.refuse_again("the identity was not proven anew in time")
