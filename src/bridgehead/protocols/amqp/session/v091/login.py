"""How an AMQP 0-9-1 connection begins: start, secure, tune, open (section 2.2.4), and how its secret is updated."""

from __future__ import annotations

from typing import Final

from pamqp import commands
from pamqp.common import FieldValue

from bridgehead.broker.broker import Broker
from bridgehead.broker.events import DISCONNECTED, REFUSED
from bridgehead.core.errors import Refusal
from bridgehead.core.message import NEVER
from bridgehead.core.policy import Principal
from bridgehead.protocols.amqp.codec.v091 import errors as codes
from bridgehead.protocols.amqp.codec.v091 import frames
from bridgehead.protocols.amqp.codec.v091.errors import ConnectionFault, reply_text
from bridgehead.protocols.amqp.codec.v091.methods import (
    UPDATE_SECRET_OK,
    decode_amqplain,
    decode_start_ok,
    method_frame,
    secure,
)
from bridgehead.protocols.amqp.config import AmqpConfig
from bridgehead.protocols.amqp.mapping.errors import reply_code_of
from bridgehead.protocols.amqp.session.pace import Pace
from bridgehead.protocols.amqp.session.proving import HUB, TOKENS, Renewal, SaslTurn, renewing
from bridgehead.protocols.amqp.session.v091.channel import Channel
from bridgehead.protocols.amqp.session.v091.contract import Peer
from bridgehead.protocols.amqp.session.v091.verbs import Verbs
from bridgehead.protocols.amqp.session.v091.vhost import vhost_of
from bridgehead.protocols.amqp.session.v1.hearing import ConnectionReceiver, Hearing
from bridgehead.wire.outbox import Outbox

# Where the connection stands.
STARTING: Final = 0
SECURING: Final = 1
PROVEN: Final = 2  # the mechanism's last word is out
TUNING: Final = 3
OPENING: Final = 4
OPEN: Final = 5
CLOSING: Final = 6  # our connection.close is out
CLOSED: Final = 7

_EXTERNAL: Final = "EXTERNAL"
_PLAIN: Final = "PLAIN"
_AMQPLAIN: Final = "AMQPLAIN"
_CAPABILITIES: Final = (
    "publisher_confirms",
    "exchange_exchange_bindings",
    "basic.nack",
    "consumer_cancel_notify",
    "per_consumer_qos",
    "authentication_failure_close",
    "consumer_priorities",
)


class Login(Hearing):
    """Writes connection.start at once. `mechanisms` are those of SASL that it offers."""

    def __init__(
        self,
        outbox: Outbox,
        broker: Broker,
        config: AmqpConfig,
        address: str,
        tls: bool,
        certificate: bool,
        mechanisms: tuple[str, ...],
    ) -> None:
        super().__init__(outbox, broker, config, address, tls, certificate, mechanisms)
        self.state = STARTING
        self._decoder: Final = frames.Decoder(config.sasl_frame_octets)
        self._receiver: Final = ConnectionReceiver(self)
        self._channels: dict[int, Channel] = {}
        self._verbs: dict[int, Verbs] = {}
        self._capabilities: dict[str, object] = {}
        self._product = ""
        self._principal: Principal | None = None
        self._verified = False
        self._by_token = False
        self._serial = ""
        self._marks: tuple[str, ...] = ()
        self._peer: Peer | None = None
        self._channel_max = 0
        self._frame_max = config.frame_max
        self._beat: float = 0.0  # seconds, 0 for none
        self._next_beat: float = NEVER
        self._last_received: float = broker.clock.now
        self._pace: Pace | None = None
        self._throttled_until = 0.0
        self._close_by: float = NEVER
        self._ahead: list[frames.Frame] = []  # came, and has its turn when there is room for the answers
        self._awaited = 0  # answers and confirms that wait for a commit
        properties: dict[str, FieldValue] = {"product": "Bridgehead"}
        properties["capabilities"] = dict.fromkeys(_CAPABILITIES, True)
        # The same name and password in other octets: what PLAIN is good enough for, AMQPLAIN is.
        offered = (*mechanisms, _AMQPLAIN) if _PLAIN in mechanisms else mechanisms
        start = commands.Connection.Start(0, 9, properties, " ".join(offered), "en_US")
        outbox.write(method_frame(0, start))

    def _close(self, code: int, because: str, event: str) -> None:
        """connection.close with a reply code, then nothing more."""
        raise NotImplementedError

    def _end(self, because: str, event: str, code: str) -> None:
        """The connection is over, and nothing is told."""
        raise NotImplementedError

    # From start to open. ----------------------------------------------------------------------------

    def _started(self, payload: bytes) -> None:
        answer = decode_start_ok(payload, self.config.nesting)
        found = answer.properties.get("capabilities")
        if isinstance(found, dict):
            self._capabilities = found
        product = answer.properties.get("product")
        self._product = product if isinstance(product, str) else ""
        mechanism = answer.mechanism
        response = answer.response
        if mechanism == _AMQPLAIN and _PLAIN in self.mechanisms:
            mechanism = _PLAIN
            response = decode_amqplain(response, self.config.nesting)
        if mechanism not in self.mechanisms:
            self._not_let_in(f"the mechanism {mechanism[:64]!r} is not offered", mechanism, REFUSED)
            return
        self.state = SECURING
        self._by_token = mechanism in TOKENS
        initial: bytes | None = response
        if not initial and mechanism != _EXTERNAL:
            initial = None  # 0-9-1 cannot leave it out: an empty one stands for none
        self.ask(SaslTurn(mechanism, initial))

    def challenge(self, data: bytes) -> None:
        asked = self.sasl
        if asked is not None and asked.turn == HUB and self.state == SECURING:
            asked.challenged()
            self.outbox.write(secure(data))

    def authenticated(
        self,
        principal: Principal,
        verified: bool,
        serial: str,
        expires_at: float,
        data: bytes | None,
        marks: tuple[str, ...],
    ) -> None:
        asked = self.sasl
        if asked is None or asked.turn != HUB or self.state != SECURING:
            return
        asked.done()
        self.sasl = None
        self._principal = principal
        self._verified = verified
        self._serial = serial
        self._marks = marks
        self.expires_at = expires_at
        if data:
            # 0-9-1 has no place for what a mechanism says with success: one more challenge has it, which the client
            # answers with nothing (RFC 4422 section 5, 2b).
            self.state = PROVEN
            self.outbox.write(secure(data))
        else:
            self._tune()

    def _tune(self) -> None:
        self.state = TUNING
        config = self.config
        self._frame_max = config.frame_max
        self._decoder.frame_max = max(config.frame_max, config.sasl_frame_octets)
        self.outbox.write(
            method_frame(0, commands.Connection.Tune(config.channels, config.frame_max, int(config.heartbeat)))
        )

    def refuse(self, refusal: Refusal) -> None:
        asked = self.sasl
        mechanism = "" if asked is None else asked.mechanism
        self.sasl = None
        self._not_let_in(refusal.because, mechanism, "")

    def _not_let_in(self, because: str, mechanism: str, event: str) -> None:
        """RabbitMQ's `authentication_failure_close`: others are not told (2.2.4: the connection is just closed)."""
        if self.state >= CLOSING:
            return
        if self._capabilities.get("authentication_failure_close") is True:
            text = f"Login was refused using authentication mechanism {mechanism}. For details see the hub's log."
            close = commands.Connection.Close(codes.ACCESS_REFUSED, reply_text(codes.ACCESS_REFUSED, text), 0, 0)
            self.outbox.write(method_frame(0, close))
        self._end(because, event, "")

    def _tuned(self, method: commands.Connection.TuneOk) -> None:
        config = self.config
        wanted = method.frame_max or config.frame_max
        if wanted < frames.SMALLEST or wanted > config.frame_max:
            because = f"frame_max={wanted} is not between {frames.SMALLEST} and {config.frame_max}"
            raise ConnectionFault(because, codes.NOT_ALLOWED, clause="AMQP091-connection.tune-ok")
        if method.channel_max > config.channels:
            because = f"channel_max={method.channel_max} is above {config.channels}"
            raise ConnectionFault(because, codes.NOT_ALLOWED, clause="AMQP091-connection.tune-ok")
        self._frame_max = wanted
        self._decoder.frame_max = wanted
        self._channel_max = method.channel_max or config.channels
        self._beat = float(method.heartbeat)
        if self._beat:
            self._next_beat = self.broker.clock.now + self._beat / 2
        self.state = OPENING
        self.attention = True  # the deadlines are others
        self.outbox.touch()

    def _open(self, method: commands.Connection.Open) -> None:
        if method.virtual_host != "/":
            because = f"vhost '{method.virtual_host[:64]}' not found: there is '/' and no other"
            raise ConnectionFault(because, codes.NOT_ALLOWED, clause="AMQP091-connection.open")
        principal = self._principal
        assert principal is not None
        try:
            session = self.enter(principal, self._verified, f"amqp:{self._serial}", self._marks, self._receiver)
        except Refusal as refusal:
            raise ConnectionFault(refusal.because, reply_code_of(refusal.meaning)) from None
        self._peer = Peer(
            self.broker,
            self.config,
            self.outbox,
            vhost_of(self.broker, self.config),
            principal,
            session.origin,
            self._receiver,
            self._serial,
            self._frame_max,
            self._capabilities.get("consumer_cancel_notify") is True,
        )
        self.state = OPEN
        self.attention = True
        self.outbox.write(method_frame(0, commands.Connection.OpenOk()))
        self.entered("0-9-1", self._product)

    def _update_secret(self, secret: bytes) -> None:
        if not self._by_token:
            self.secret_updated()  # nothing of this log-in ends, so there is nothing to renew: RabbitMQ says ok, too
            return
        if self.sasl is not None:
            raise ConnectionFault("an update of the secret is under way", codes.COMMAND_INVALID)
        assert self._peer is not None
        token = secret.decode("ascii", "replace")
        try:
            self.ask(renewing(self.mechanisms, self._peer.principal.name, token, SecretRenewal(self)))
        except Refusal as refusal:
            raise ConnectionFault(refusal.because, codes.NOT_ALLOWED) from None

    def secret_updated(self) -> None:
        self.outbox.write(frames.frame(frames.METHOD, 0, UPDATE_SECRET_OK))

    def secret_refused(self, because: str) -> None:
        self._close(codes.NOT_ALLOWED, because, DISCONNECTED)

    def stand_on(self, principal: Principal) -> None:
        super().stand_on(principal)
        peer = self._peer
        if peer is not None:
            peer.principal = principal
            for channel in self._channels.values():
                for consumer in channel.consumers.values():
                    consumer.principal = principal


class SecretRenewal(Renewal):
    """connection.update-secret waits for its outcome."""

    def __init__(self, connection: Login) -> None:
        self._connection: Final = connection

    def granted(self, expires_at: float) -> None:
        self._connection.secret_updated()

    def refused(self, because: str) -> None:
        self._connection.secret_refused(because)
