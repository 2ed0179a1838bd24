"""Lanes of AMQP 0-9-1: a publisher and a consumer, with and without acknowledgements. Methods by pamqp."""

from __future__ import annotations

from typing import Final

from pamqp import base, commands, frame, header

from bench.amqp_load import BODY, Lane, Stalled

HEADER: Final = b"AMQP\x00\x00\x09\x01"
METHOD: Final = 1
HEAD: Final = 7  # octets before a frame's payload
CHANNEL: Final = 1
ACK: Final = b"\x00\x3c\x00\x50"  # basic.ack
DELIVER: Final = b"\x00\x3c\x00\x3c"  # basic.deliver
AT_ONCE: Final = 200  # messages of one write


class Lane091(Lane):
    """A connection with one open channel."""

    def __init__(self, host: str, port: int, user: str, password: str) -> None:
        super().__init__(host, port)
        self.say(HEADER)
        self.expect(commands.Connection.Start)
        response = f"\0{user}\0{password}"
        self.method(commands.Connection.StartOk({}, "PLAIN", response, "en_US"), 0)
        tune = self.expect(commands.Connection.Tune)
        assert isinstance(tune, commands.Connection.Tune)
        self.method(commands.Connection.TuneOk(tune.channel_max, tune.frame_max, 0), 0)
        self.ask(commands.Connection.Open("/"), commands.Connection.OpenOk, 0)
        self.ask(commands.Channel.Open(), commands.Channel.OpenOk)

    def method(self, method: base.Frame, channel: int = CHANNEL) -> None:
        self.say(frame.marshal(method, channel))

    def expect(self, kind: type[base.Frame]) -> base.Frame:
        head = self.hear(HEAD)
        rest = self.hear(int.from_bytes(head[3:7], "big") + 1)
        _, _, found = frame.unmarshal(head + rest)
        if not isinstance(found, kind):
            raise Stalled(f"the server said {found!r} where {kind.__name__} was expected")
        return found

    def ask(self, method: base.Frame, answer: type[base.Frame], channel: int = CHANNEL) -> None:
        self.method(method, channel)
        self.expect(answer)

    def take(self, data: bytes) -> None:
        data = self.buffer + data
        at, size = 0, len(data)
        while size - at >= HEAD:
            end = at + HEAD + int.from_bytes(data[at + 3 : at + 7], "big") + 1
            if end > size:
                break
            if data[at] == METHOD:
                self.heard(data[at + 7 : at + 11], data, at + 11)
            at = end
        self.buffer = data[at:]

    def heard(self, method: bytes, data: bytes, at: int) -> None:
        """A method's frame, by its class and number; its arguments begin at `at`."""
        raise NotImplementedError


class Consumer(Lane091):
    """Takes everything from the queue; with `prefetch` it acknowledges each message."""

    def __init__(self, host: str, port: int, user: str, password: str, queue: str, prefetch: int = 0) -> None:
        super().__init__(host, port, user, password)
        self.ask(commands.Queue.Declare(queue=queue, arguments={}), commands.Queue.DeclareOk)
        if prefetch:
            self.ask(commands.Basic.Qos(prefetch_count=prefetch), commands.Basic.QosOk)
        self._acknowledges: Final = prefetch > 0
        self._answers: list[bytes] = []
        self.ask(commands.Basic.Consume(queue=queue, no_ack=not prefetch), commands.Basic.ConsumeOk)

    def refill(self) -> bytes:
        answers, self._answers = b"".join(self._answers), []
        return answers

    def heard(self, method: bytes, data: bytes, at: int) -> None:
        if method != DELIVER:
            raise Stalled(f"the server sent {method.hex()} to a consumer")
        self.delivered += 1
        if self._acknowledges:
            tag = at + 1 + data[at]
            self._answers.append(b"\x01\x00\x01\x00\x00\x00\x0d" + ACK + data[tag : tag + 8] + b"\x00\xce")


class Publisher(Lane091):
    """Sends to the default exchange, at most `window` messages ahead of its consumer, or of the confirms where it
    wants those."""

    def __init__(
        self, host: str, port: int, user: str, password: str, queue: str, window: int, consumer: Consumer, confirm: bool
    ) -> None:
        super().__init__(host, port, user, password)
        consumer.partner = self
        self._consumer: Final = consumer
        self._confirm: Final = confirm
        if confirm:
            self.ask(commands.Confirm.Select(), commands.Confirm.SelectOk)
        content = header.ContentHeader(0, BODY, commands.Basic.Properties())
        self._one: Final = (
            frame.marshal(commands.Basic.Publish(exchange="", routing_key=queue), CHANNEL)
            + frame.marshal(content, CHANNEL)
            + b"\x03\x00\x01"
            + BODY.to_bytes(4, "big")
            + b"x" * BODY
            + b"\xce"
        )
        self._window: Final = window
        self._sent = 0

    def refill(self) -> bytes:
        done = min(self.accepted, self._consumer.delivered) if self._confirm else self._consumer.delivered
        count = max(0, min(AT_ONCE, self._window - (self._sent - done)))
        self._sent += count
        return self._one * count

    def heard(self, method: bytes, data: bytes, at: int) -> None:
        if method != ACK:
            raise Stalled(f"the server did not confirm: {method.hex()}")
        number = int.from_bytes(data[at : at + 8], "big")
        self.accepted = number if data[at + 8] else max(self.accepted + 1, 0)
