"""Lanes of AMQP 1.0: sender, receiver, and one that sends itself one message at a time. Frames by our own codec."""

from __future__ import annotations

from typing import Final

from bench.amqp_load import BODY, Lane, Stalled
from bridgehead.protocols.amqp.codec.v1.composites import ABSENT
from bridgehead.protocols.amqp.codec.v1.encode import encode, frame, sasl_frame
from bridgehead.protocols.amqp.codec.v1.frames import Decoder, Frame
from bridgehead.protocols.amqp.codec.v1.performatives import (
    Attach,
    Begin,
    Close,
    Detach,
    Disposition,
    End,
    Flow,
    Open,
    Transfer,
)
from bridgehead.protocols.amqp.codec.v1.sasl import SaslInit, SaslOutcome
from bridgehead.protocols.amqp.codec.v1.states import ACCEPTED
from bridgehead.protocols.amqp.codec.v1.termini import Source, Target
from bridgehead.protocols.amqp.codec.v1.types import Symbol

SASL: Final = b"AMQP\x03\x01\x00\x00"
HEADER: Final = b"AMQP\x00\x01\x00\x00"
MAX_FRAME: Final = 65536
WINDOW: Final = 2**31 - 1
CREDIT: Final = 2000
AT_ONCE: Final = 200  # messages of one write
BATCH: Final = 100  # deliveries of one disposition
PAYLOAD: Final = b"\x00\x53\x75\xa0" + bytes([BODY]) + b"x" * BODY
# Of a frame with a transfer on channel 0, from the data offset to the delivery-id's constructor: handle 0, handle 1.
SENDER_HEAD: Final = b"\x02\x00\x00\x00\x00\x53\x14\xc0\x0f\x05\x43\x70"
ECHO_HEAD: Final = b"\x02\x00\x00\x00\x00\x53\x14\xc0\x10\x05\x52\x01\x70"
UNSETTLED, SETTLED = 0, 1  # snd-settle-mode


class Lane1(Lane):
    """A connection with one session."""

    def __init__(self, host: str, port: int, user: str, password: str, name: str) -> None:
        super().__init__(host, port)
        self.name: Final = name
        self.say(SASL)
        self.hear(len(SASL))
        self._decoder = Decoder(MAX_FRAME, sasl=True)
        self._frames: list[Frame] = []
        self.expect()
        if user:
            init = SaslInit(Symbol("PLAIN"), f"\0{user}\0{password}".encode(), host)
        else:
            init = SaslInit(Symbol("ANONYMOUS"), None, host)
        self.say(sasl_frame(encode(init)))
        outcome = self.expect()
        if not isinstance(outcome, SaslOutcome) or outcome.outcome:
            raise Stalled(f"the server does not let us in: {outcome!r}")
        self.say(HEADER)
        self.hear(len(HEADER))
        self._decoder = Decoder(MAX_FRAME)
        self.say(frame(0, encode(Open(name, host, max_frame_size=MAX_FRAME))))
        self.expect()
        self.say(frame(0, encode(Begin(ABSENT, 0, WINDOW, WINDOW))))
        self.expect()

    def expect(self) -> object:
        """The next performative."""
        while not self._frames:
            head = self.hear(4)
            self._frames += self._decoder.feed(head + self.hear(int.from_bytes(head, "big") - 4))
        found = self._frames.pop(0).performative
        if isinstance(found, Close | End | Detach):
            raise Stalled(f"the server ended it: {found.error}")
        return found

    def attach(self, attach: Attach) -> None:
        self.say(frame(0, encode(attach)))
        while not isinstance(self.expect(), Attach):
            pass

    def take(self, data: bytes) -> None:
        if self.buffer:
            data, self.buffer = self.buffer + data, b""
        for each in self._frames + self._decoder.feed(data):
            found = each.performative
            if found is not None:
                self.heard(found)
        self._frames = []

    def heard(self, performative: object) -> None:
        if isinstance(performative, Close | End | Detach):
            raise Stalled(f"the server ended it: {performative.error}")


class Receiver(Lane1):
    """Takes from `address`: settled, or accepting each delivery alone, or so many at a time (`batch`)."""

    def __init__(
        self, host: str, port: int, user: str, password: str, name: str, address: str, settled: bool, batch: int = 1
    ) -> None:
        super().__init__(host, port, user, password, name)
        self._batch: Final = 0 if settled else batch
        self._first = -1
        self._granted = CREDIT
        self._answers: list[bytes] = []
        mode = SETTLED if settled else UNSETTLED
        self.attach(Attach(f"{name}-in", 0, True, mode, 0, Source(address), Target(name)))
        self.say(frame(0, encode(Flow(0, WINDOW, 0, WINDOW, 0, 0, CREDIT))))

    def heard(self, performative: object) -> None:
        if not isinstance(performative, Transfer):
            super().heard(performative)
            return
        self.delivered += 1
        if self._batch:
            number = performative.delivery_id
            if self._first < 0:
                self._first = number
            if number - self._first + 1 >= self._batch:
                self._answers.append(frame(0, encode(Disposition(True, self._first, number, True, ACCEPTED))))
                self._first = -1
        if self._granted - self.delivered < CREDIT // 2:
            self._granted = self.delivered + CREDIT
            flow = Flow(self.delivered, WINDOW, 0, WINDOW, 0, self.delivered, CREDIT)
            self._answers.append(frame(0, encode(flow)))

    def refill(self) -> bytes:
        answers, self._answers = b"".join(self._answers), []
        return answers


class Sender(Lane1):
    """Sends to `address`, at most `window` messages ahead of the receiver, and of what was accepted of them."""

    def __init__(
        self, host: str, port: int, user: str, password: str, name: str, address: str, settled: bool, window: int,
        receiver: Receiver,
    ) -> None:  # fmt: skip
        super().__init__(host, port, user, password, name)
        receiver.partner = self
        self._receiver: Final = receiver
        self._settled: Final = settled
        self._window: Final = window
        self._sent = 0
        self._limit = 0  # the number of messages for which there is credit
        mode = SETTLED if settled else UNSETTLED
        source, target = Source(name), Target(address)
        self.attach(Attach(f"{name}-out", 0, False, mode, 0, source, target, initial_delivery_count=0))
        state = b"\x41" if settled else b"\x42"
        self._head: Final = (28 + len(PAYLOAD)).to_bytes(4, "big") + SENDER_HEAD
        self._tail: Final = b"\x43" + state + PAYLOAD

    def refill(self) -> bytes:
        done = self._receiver.delivered if self._settled else min(self._receiver.delivered, self.accepted)
        count = min(AT_ONCE, self._window - (self._sent - done), self._limit - self._sent)
        if count <= 0:
            return b""
        parts: list[bytes] = []
        for number in range(self._sent, self._sent + count):
            octets = number.to_bytes(4, "big")
            parts += (self._head, octets, b"\xa0\x04", octets, self._tail)
        self._sent += count
        return b"".join(parts)

    def heard(self, performative: object) -> None:
        if isinstance(performative, Flow):
            if performative.handle != ABSENT and performative.link_credit != ABSENT:
                self._limit = max(performative.delivery_count, 0) + performative.link_credit
        elif isinstance(performative, Disposition):
            last = performative.first if performative.last == ABSENT else performative.last
            self.accepted += last - performative.first + 1
        else:
            super().heard(performative)


class Echo(Lane1):
    """Sends one message to an address of its own and the next when it came back and was accepted."""

    def __init__(self, host: str, port: int, user: str, password: str, name: str, address: str) -> None:
        super().__init__(host, port, user, password, name)
        receiving = Attach("in", 0, True, UNSETTLED, 0, Source(address), Target(name))
        self.attach(receiving)
        self.say(frame(0, encode(Flow(0, WINDOW, 0, WINDOW, 0, 0, CREDIT))))
        self.attach(Attach("out", 1, False, UNSETTLED, 0, Source(name), Target(address), initial_delivery_count=0))
        self._head: Final = (29 + len(PAYLOAD)).to_bytes(
            4, "big"
        ) + b"\x02\x00\x00\x00\x00\x53\x14\xc0\x10\x05\x52\x01\x70"
        self._sent = 0
        self._credit = 0
        self._granted = CREDIT
        self._answers: list[bytes] = []

    def heard(self, performative: object) -> None:
        if isinstance(performative, Transfer):
            self.delivered += 1
            number = performative.delivery_id
            self._answers.append(frame(0, encode(Disposition(True, number, number, True, ACCEPTED))))
            if self._granted - self.delivered < CREDIT // 2:
                self._granted = self.delivered + CREDIT
                flow = Flow(self.delivered, WINDOW, self._sent, WINDOW, 0, self.delivered, CREDIT)
                self._answers.append(frame(0, encode(flow)))
        elif isinstance(performative, Disposition):
            self.accepted += 1
        elif isinstance(performative, Flow):
            if performative.handle == 1 and performative.link_credit != ABSENT:
                self._credit = max(performative.delivery_count, 0) + performative.link_credit
        else:
            super().heard(performative)

    def refill(self) -> bytes:
        answers, self._answers = b"".join(self._answers), []
        if self._credit > self._sent and min(self.delivered, self.accepted) == self._sent:
            octets = self._sent.to_bytes(4, "big")
            answers += self._head + octets + b"\xa0\x04" + octets + b"\x43\x42" + PAYLOAD
            self._sent += 1
        return answers
