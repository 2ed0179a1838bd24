"""The machine of one AMQP 0-9-1 connection: frames to methods and channels, faults to closes, the end of it all."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64
from pamqp import commands

from bridgehead.broker.events import DISCONNECTED, PEER_ERROR, REFUSED
from bridgehead.broker.queues.settings import owner_of
from bridgehead.core.errors import NOT_AUTHORIZED
from bridgehead.core.message import NEVER
from bridgehead.protocols.amqp.codec.v091 import errors as codes
from bridgehead.protocols.amqp.codec.v091 import frames
from bridgehead.protocols.amqp.codec.v091.errors import ChannelFault, ConnectionFault, reply_text
from bridgehead.protocols.amqp.codec.v091.hot import ACK, PUBLISH, decode_ack, is_basic
from bridgehead.protocols.amqp.codec.v091.methods import (
    SECURE_OK,
    START_OK,
    UPDATE_SECRET,
    decode_method,
    decode_secure_ok,
    decode_update_secret,
    method_frame,
)
from bridgehead.protocols.amqp.session.pace import Pace
from bridgehead.protocols.amqp.session.v091.channel import Channel
from bridgehead.protocols.amqp.session.v091.login import (
    CLOSED,
    CLOSING,
    OPEN,
    OPENING,
    PROVEN,
    SECURING,
    STARTING,
    TUNING,
    Login,
)
from bridgehead.protocols.amqp.session.v091.verbs import Verbs
from bridgehead.wire.errors import PeerError

_CLOSE: Final = b"\x00\x0a\x00\x32"
_CLOSE_OK: Final = b"\x00\x0a\x00\x33"
_CHANNEL_OPEN: Final = b"\x00\x14\x00\x0a"
_CHANNEL_CLOSE: Final = b"\x00\x14\x00\x28"
_CHANNEL_CLOSE_OK: Final = b"\x00\x14\x00\x29"
_BASIC_GET: Final = commands.Basic.Get.index.to_bytes(4, "big")
_BASIC_PUBLISH: Final = b"\x00\x3c\x00\x28"
_STORE_FAILED: Final = "the hub cannot keep it now: its store is full or out of order"


class Connection(Login):
    """What is not the beginning."""

    # What comes in. ---------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        if self.state == CLOSED:
            return
        counters = self.broker.counters
        counters.octets_received += len(data)
        self._last_received = self.broker.clock.now
        fault: PeerError | None = None
        try:
            found = self._decoder.feed(data)
        except PeerError as error:
            found = self._decoder.frames
            fault = error
        counters.packets_received += len(found)
        if self._ahead:
            found = self._ahead + found
        self._take_all(found)
        if fault is not None and self.state < CLOSING:
            self._ahead = []
            self._fail(fault)
        fault = None
        if self.is_congested():
            self.attention = True
            self.outbox.touch()

    def _take_all(self, found: list[frames.Frame]) -> None:
        """What came, as far as there is room for answers: to one read of basic.get they may be gigabytes. The rest has
        its turn when there is room again; nothing is read meanwhile."""
        self._ahead = []
        published = 0
        done = 0
        for each in found:
            if self.state >= CLOSING:
                self._while_closing(each)
                continue
            if each.kind == frames.METHOD and self._is_full():
                self._ahead = found[done:]
                break
            done += 1
            try:
                published += self._take(each)
            except PeerError as error:
                self._judge(each, error)
        if self.state == OPEN:
            self._end_turn(published)

    def _take(self, each: frames.Frame) -> int:
        """Returns how many messages are whole with it."""
        kind: i64 = each.kind
        number: i64 = each.channel
        payload = each.payload
        if number and self.state == OPEN:
            channel = self._channels.get(number)
            if channel is not None and not channel.closing:
                if kind == frames.METHOD:
                    if channel.expects_content():
                        raise ConnectionFault("a method came where content was expected", codes.UNEXPECTED_FRAME)
                    if is_basic(payload, PUBLISH):
                        channel.take_publish(payload)
                    elif is_basic(payload, ACK):
                        tag, multiple = decode_ack(payload)
                        channel.ack(tag, multiple)
                    else:
                        self._channel_method(channel, payload)
                    return 0
                if kind == frames.HEADER:
                    return 1 if channel.take_header(payload) else 0
                if kind == frames.BODY:
                    return 1 if channel.take_body(payload) else 0
        if kind == frames.HEARTBEAT:
            if number:
                raise ConnectionFault("a heartbeat is of channel 0", codes.FRAME_ERROR, clause="AMQP091-4.2.7")
        elif number:
            self._other_channel(number, kind, payload)
        elif kind != frames.METHOD:
            raise ConnectionFault("channel 0 has no content", codes.CHANNEL_ERROR, clause="AMQP091-4.2.3")
        else:
            self._connection_method(payload)
        return 0

    def _channel_method(self, channel: Channel, payload: bytes) -> None:
        method = decode_method(payload, self.config.nesting)
        if isinstance(method, commands.Channel.Close):
            if channel.waits():
                channel.finish()
                return
            self._drop_channel(channel)
            self.outbox.write(method_frame(channel.number, commands.Channel.CloseOk()))
        elif isinstance(method, commands.Channel.Open):
            raise ConnectionFault("second 'channel.open' seen", codes.CHANNEL_ERROR, clause="AMQP091-channel.open")
        elif isinstance(method, commands.Channel.CloseOk | commands.Channel.FlowOk):
            return  # of nothing that is still known
        else:
            self._verbs[channel.number].do(method)

    def _other_channel(self, number: int, kind: int, payload: bytes) -> None:
        """A channel that is not open, or whose close is out."""
        if self.state != OPEN:
            raise ConnectionFault("a channel before the connection is open", codes.CHANNEL_ERROR)
        head = payload[:4] if kind == frames.METHOD else b""
        channel = self._channels.get(number)
        if channel is not None:
            # 1.5.2.5: only the answer counts, and a close of the peer that crossed ours.
            if channel.finishing:
                return
            if head == _CHANNEL_CLOSE:
                self.outbox.write(method_frame(number, commands.Channel.CloseOk()))
            elif head == _CHANNEL_CLOSE_OK:
                del self._channels[number]
            return
        if head == _CHANNEL_CLOSE_OK:
            return
        if head != _CHANNEL_OPEN:
            raise ConnectionFault("expected 'channel.open'", codes.CHANNEL_ERROR, clause="AMQP091-1.5")
        if number > self._channel_max:
            because = f"number of channels opened has reached the negotiated channel_max ({self._channel_max})"
            raise ConnectionFault(because, codes.NOT_ALLOWED)
        assert self._peer is not None
        made = Channel(self._peer, number)
        self._channels[number] = made
        self._verbs[number] = Verbs(made)
        self.outbox.write(method_frame(number, commands.Channel.OpenOk()))

    def _connection_method(self, payload: bytes) -> None:
        head = payload[:4]
        state = self.state
        if head == START_OK and state == STARTING:
            self._started(payload)
        elif head == SECURE_OK and state == PROVEN:
            decode_secure_ok(payload)
            self._tune()
        elif head == SECURE_OK and state == SECURING:
            response = decode_secure_ok(payload)
            if self.sasl is None or not self.sasl.responded(response):
                raise ConnectionFault("connection.secure-ok out of turn", codes.COMMAND_INVALID)
            self.ask(self.sasl)
        elif head == UPDATE_SECRET and state == OPEN:
            self._update_secret(decode_update_secret(payload))
        else:
            method = decode_method(payload, self.config.nesting)
            if isinstance(method, commands.Connection.TuneOk) and state == TUNING:
                self._tuned(method)
            elif isinstance(method, commands.Connection.Open) and state == OPENING:
                self._open(method)
            elif isinstance(method, commands.Connection.Close):
                self.outbox.write(method_frame(0, commands.Connection.CloseOk()))
                because = f"the peer closed with {method.reply_code}: {method.reply_text}"[:500]
                self._end(because, DISCONNECTED, "")
            elif not isinstance(method, commands.Connection.CloseOk):
                raise ConnectionFault(
                    f"{method.name} is not expected now", codes.COMMAND_INVALID, clause="AMQP091-2.2.4"
                )

    def _while_closing(self, each: frames.Frame) -> None:
        """1.4.2.9: after our close only its answer counts, and a close that crossed it."""
        if each.channel or each.kind != frames.METHOD or self.state == CLOSED:
            return
        head = each.payload[:4]
        if head == _CLOSE:
            self.outbox.write(method_frame(0, commands.Connection.CloseOk()))
            self._finish()
        elif head == _CLOSE_OK:
            self._finish()

    # Commits and turns. -----------------------------------------------------------------------------

    def _end_turn(self, published: int) -> None:
        durable = self.broker.journal.durable
        awaited = 0
        for channel in self._channels.values():
            if channel.dirty:
                channel.flush(durable)
            awaited += channel.waits()
        self._awaited = awaited
        if published and self.config.publish_rate > 0:
            now = self.broker.clock.now
            if self._pace is None:
                self._pace = Pace(self.config, now)
            self._throttled_until = self._pace.measure(published, now)

    def committed(self, ticket: int) -> None:
        if self.state == OPEN:
            found = self._peer is not None and self._peer.later > 0
            for channel in list(self._channels.values()):
                self._tell(channel, ticket)
            self._settled(found)

    def _tell(self, channel: Channel, durable: int) -> None:
        if channel.closing and not channel.finishing:
            return
        try:
            channel.committed(durable)
        except ChannelFault as fault:
            self._close_channel(channel, fault.code, fault.text, _BASIC_GET)
            return
        if channel.finished():
            self._finish_channel(channel)

    def _finish_channel(self, channel: Channel) -> None:
        self._drop_channel(channel)
        self.outbox.write(method_frame(channel.number, commands.Channel.CloseOk()))

    def not_committed(self, ticket: int, retry: int) -> None:
        if self.state != OPEN:
            return
        found = self._peer is not None and self._peer.later > 0
        for channel in list(self._channels.values()):
            if channel.closing and not channel.finishing:
                continue
            if channel.confirms is not None:
                channel.confirms.not_committed(ticket)
            if channel.answers.waits_for(ticket):
                if channel.finishing:
                    self._finish_channel(channel)
                    continue
                self._close_channel(channel, codes.INTERNAL_ERROR, _STORE_FAILED, b"")
            else:
                self._tell(channel, self.broker.journal.durable)
        self._settled(found)

    def _settled(self, found: bool) -> None:
        """A commit has ended: who was not read because too much waited for it is read again. `found`: or because an
        answer was to be found after it."""
        was = self._awaited
        awaited = 0
        for channel in self._channels.values():
            awaited += channel.waits()
        self._awaited = awaited
        most = self.config.unsettled
        if self._ahead:
            self._take_all(self._ahead)
        if found or was >= most > awaited or self.attention:
            self._last_received = self.broker.clock.now  # who is not read cannot be heard
            self.attention = True
            self.outbox.touch()

    def drained(self) -> None:
        if self._ahead:
            self._take_all(self._ahead)
            if self.is_congested():
                self.attention = True
                self.outbox.touch()
                return
        if self.state == OPEN:
            for channel in list(self._channels.values()):
                channel.wake()

    def has_waiting(self) -> bool:
        if self._ahead:
            return not self._is_full()
        for channel in self._channels.values():
            for consumer in channel.consumers.values():
                if consumer.parked and consumer.queue.waiting and consumer.ready():
                    return True
        return False

    def is_congested(self) -> bool:
        if self._is_full():
            return True
        if self.state != OPEN:
            return False
        return self._throttled_until > self.broker.clock.now or self._awaited >= self.config.unsettled

    def _is_full(self) -> bool:
        """Too much is to be sent, or will be after a commit."""
        if super().is_congested():
            return True
        peer = self._peer
        return peer is not None and (peer.later > 0 or peer.held > 2 * self.outbox.limit)

    # Ending. ----------------------------------------------------------------------------------------

    def _judge(self, each: frames.Frame, fault: PeerError) -> None:
        channel = self._channels.get(each.channel)
        # 1.4.2.7 and 1.5.2.5: the close names the method that provoked it. Content belongs to a basic.publish.
        method = each.payload[:4] if each.kind == frames.METHOD else _BASIC_PUBLISH
        if isinstance(fault, ChannelFault) and channel is not None:
            self._close_channel(channel, fault.code, fault.text, method)
        else:
            self._fail(fault, method)

    def _close_channel(self, channel: Channel, code: int, because: str, method: bytes) -> None:
        self._drop_channel(channel)
        self._channels[channel.number] = channel  # until close-ok
        close = commands.Channel.Close(code, reply_text(code, because), *_index(method))
        self.outbox.write(method_frame(channel.number, close))

    def _drop_channel(self, channel: Channel) -> None:
        self._channels.pop(channel.number, None)
        self._verbs.pop(channel.number, None)
        channel.release()

    def _fail(self, fault: PeerError, method: bytes = b"") -> None:
        """The peer broke the protocol: a hard error (1.1)."""
        self._close(fault.code or codes.SYNTAX_ERROR, fault.text, PEER_ERROR, method)

    def _close(self, code: int, because: str, event: str, method: bytes = b"") -> None:
        if self.state >= CLOSING:
            return
        if self.state < TUNING:
            # 2.2.4: before the identity is proven nothing is told but by closing.
            self._end(because, event, str(code))
            return
        close = commands.Connection.Close(code, reply_text(code, because), *_index(method))
        self.outbox.write(method_frame(0, close))
        self._over(because, event, str(code) if event == PEER_ERROR else "")
        self.state = CLOSING
        self._close_by = self.broker.clock.now + self.config.connect_timeout
        self.attention = True
        self.outbox.touch()

    def _over(self, because: str, event: str, code: str) -> None:
        """Everything that the connection held in the hub ends."""
        channels = self._channels
        self._channels = {}
        self._verbs = {}
        for channel in channels.values():
            channel.closing = True  # or what the first gives back would go to each of the others in turn
        for channel in channels.values():
            channel.release()
        peer = self._peer
        self._peer = None
        self.sasl = None
        if peer is not None:
            self.broker.queues.connection_ended(owner_of(peer.origin))
        if event:
            self.leave(self._receiver, because, event, code)
        self._receiver.release()

    def _end(self, because: str, event: str, code: str) -> None:
        if self.state == CLOSED:
            return
        if self.state < CLOSING:
            self._over(because, event, code)
        self._finish()

    def _finish(self) -> None:
        self.state = CLOSED
        self._ahead = []
        self.closed = True
        self.attention = True
        self.outbox.touch()

    def lost(self, because: str) -> None:
        self._end(because or "the network connection was closed", DISCONNECTED, "")
        self.outbox.discard()

    def dismiss(self, meaning: str, because: str) -> None:
        code = codes.ACCESS_REFUSED if meaning == NOT_AUTHORIZED else codes.CONNECTION_FORCED
        self._close(code, because, DISCONNECTED)

    # Time. ------------------------------------------------------------------------------------------

    def next_timeout(self) -> float:
        if self.state == CLOSED:
            return NEVER
        if self.state == CLOSING:
            return self._close_by
        if self.state < OPEN:
            return self.accepted_at + self.config.connect_timeout
        when = min(self.expires_at, self._next_beat)
        if self._beat:
            when = min(when, max(self._last_received, self._throttled_until) + 2 * self._beat)
        if self._throttled_until > self.broker.clock.now:
            when = min(when, self._throttled_until)
        return when

    def handle_timeout(self) -> None:
        now = self.broker.clock.now
        if self.state == CLOSED:
            return
        if self.state == CLOSING:
            if now >= self._close_by:
                self._finish()
        elif self.state < OPEN:
            if now >= self.accepted_at + self.config.connect_timeout:
                self._end("the connection was not opened in time", REFUSED, "")
        elif now >= self.expires_at:
            self._close(codes.CONNECTION_FORCED, "what proved the identity has expired: log in anew", DISCONNECTED)
        elif self._beat and self._is_unheard() and now >= self._last_received + 2 * self._beat:
            # 4.2.7: without a handshake.
            self._end(f"missed heartbeats, timeout: {2 * self._beat:g} s", DISCONNECTED, "")
        elif now >= self._next_beat:
            self._next_beat = now + self._beat / 2
            self.outbox.write(frames.HEARTBEAT_FRAME)

    def _is_unheard(self) -> bool:
        """Whether its silence is its own: a peer that the hub does not read, for its own reasons, cannot be heard. One
        that takes nothing for so long is gone."""
        if self.is_congested() and not super().is_congested():
            self._last_received = self.broker.clock.now
            return False
        return True


def _index(method: bytes) -> tuple[int, int]:
    """A method's class-id and method-id; 0 and 0 where it is no method's fault."""
    if len(method) < 4:
        return 0, 0
    return int.from_bytes(method[:2], "big"), int.from_bytes(method[2:4], "big")
