"""A client of RFC 9177 that sends and fetches bodies by Non-confirmable blocks, on the dialogue's virtual clock."""

from __future__ import annotations

from bridgehead.core.message import NEVER
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.block import block_size, read_block, write_block
from bridgehead.protocols.coap.codec.decode import decode
from bridgehead.protocols.coap.codec.encode import encode
from bridgehead.protocols.coap.codec.message import NON, Message, Option, uint_value
from bridgehead.protocols.coap.codec.missing_blocks import CONTENT_FORMAT, read_missing
from tests.coap.dialogue import Hub, SecuredClient
from tests.coap.session.block_world import block_of, cut

MAX_PAYLOADS = 10
PAUSE = 2.5
RECEIVE = 4.0
PATIENCE = 20.0  # without a word for so long, the last thing is said again


class RobustClient(SecuredClient):
    def __init__(self, hub: Hub, address: str = "192.0.2.7:4711") -> None:
        super().__init__(hub, "sensor", "psk", address)
        self.when = NEVER
        self.sent = 0  # requests

    def next_timeout(self) -> float:
        return min(self.when, super().next_timeout())

    def handle_timeout(self, now: float) -> None:
        super().handle_timeout(now)
        if self.when <= now:
            self.when = NEVER
            self.due()

    def collect(self, data: bytes) -> None:
        super().collect(data)
        message = decode(data)
        if message.code >> 5 >= 2:
            self.came(message)

    def due(self) -> None:
        raise NotImplementedError

    def came(self, message: Message) -> None:
        raise NotImplementedError

    def say(self, code: int, path: str, payload: bytes, options: list[Option]) -> None:
        self.sent += 1
        message = self.message(code, path, payload, options, NON)
        self.hub.network.carry("to hub", encode(message), self.arrive)

    def after(self, seconds: float) -> None:
        self.when = self.hub.clock.now + seconds


class Sender(RobustClient):
    """Sends one body by Q-Block1; `answer` is what came of it."""

    def begin(self, code: int, path: str, body: bytes, exponent: int, tag: bytes = b"\x09") -> None:
        self.parts = cut(body, exponent)
        self.exponent = exponent
        self.code = code
        self.where = path
        self.labels: list[Option] = [(option.REQUEST_TAG, tag), (option.SIZE1, uint_value(len(body)))]
        self.upcoming = 0
        self.answer: Message | None = None
        self.continued = 0
        self.send_set()

    def block(self, number: int) -> None:
        value = write_block(number, number < len(self.parts) - 1, self.exponent)
        self.say(self.code, self.where, self.parts[number], [(option.Q_BLOCK1, value), *self.labels])

    def send_set(self) -> None:
        end = min(len(self.parts), (self.upcoming // MAX_PAYLOADS + 1) * MAX_PAYLOADS)
        for number in range(self.upcoming, end):
            self.block(number)
        self.upcoming = end
        self.after(PAUSE if end < len(self.parts) else PATIENCE)

    def due(self) -> None:
        if self.upcoming < len(self.parts):
            self.send_set()
        else:
            self.block(len(self.parts) - 1)
            self.after(PATIENCE)

    def came(self, message: Message) -> None:
        if self.answer is not None:
            return
        if message.code == codes.CONTINUE:
            number = block_of(message, option.Q_BLOCK1)[0]
            assert number % MAX_PAYLOADS == MAX_PAYLOADS - 1
            if number == self.upcoming - 1:
                self.continued += 1
                self.send_set()
        elif message.uint(option.CONTENT_FORMAT) == CONTENT_FORMAT:
            assert message.code == codes.REQUEST_ENTITY_INCOMPLETE
            missing = read_missing(message.payload)
            assert missing == sorted(set(missing))
            for number in missing:
                self.block(number)
            self.upcoming = max(self.upcoming, missing[-1] + 1)
            self.after(PAUSE if self.upcoming < len(self.parts) else PATIENCE)
        else:
            self.answer = message
            self.when = NEVER


class Fetcher(RobustClient):
    """Fetches one body by Q-Block2; `body` is there when it is whole."""

    def begin(self, path: str, exponent: int, code: int = codes.GET, payload: bytes = b"") -> None:
        self.where = path
        self.exponent = exponent
        self.code = code
        self.payload = payload
        self.blocks: dict[int, bytes] = {}
        self.etag: bytes | None = None
        self.size = -1
        self.told = 0  # sets for which Continue was said
        self.asked = 0
        self.retries = 0
        self.body: bytes | None = None
        self.want([(0, True)])

    def want(self, wanted: list[tuple[int, bool]]) -> None:
        values = [(option.Q_BLOCK2, write_block(number, more, self.exponent)) for number, more in wanted]
        self.say(self.code, self.where, self.payload, list(values))
        self.after(RECEIVE * (1 << self.retries))

    def missing(self, end: int) -> list[int]:
        return [number for number in range(end) if number not in self.blocks][:MAX_PAYLOADS]

    def due(self) -> None:
        self.retries = min(self.retries + 1, 3)
        if not self.blocks:
            self.want([(0, True)])
            return
        end = (max(self.blocks) // MAX_PAYLOADS + 1) * MAX_PAYLOADS
        count = -(-self.size // block_size(self.exponent))
        missing = self.missing(min(end, count))
        if missing:
            self.want([(number, False) for number in missing])
        else:
            self.want([(end, True)])

    def came(self, message: Message) -> None:
        if self.body is not None:
            return
        assert message.code in (codes.CONTENT, codes.CHANGED), (codes.dotted(message.code), message.payload)
        number, more, exponent = block_of(message, option.Q_BLOCK2)
        assert exponent == self.exponent
        etag = message.first(option.ETAG)
        if etag != self.etag:
            self.blocks = {}
            self.etag = etag
            self.told = self.asked = 0
        self.size = message.uint(option.SIZE2)
        self.blocks[number] = message.payload
        self.retries = 0
        count = max(1, -(-self.size // block_size(self.exponent)))
        assert more == (number < count - 1)
        if len(self.blocks) == count:
            self.body = b"".join([self.blocks[each] for each in range(count)])
            assert len(self.body) == self.size
            self.when = NEVER
            return
        this_set = number // MAX_PAYLOADS
        end = (this_set + 1) * MAX_PAYLOADS
        self.after(RECEIVE)
        if this_set >= self.told and end < count and not self.missing(end):
            self.told = this_set + 1
            self.want([(end, True)])
        elif this_set > self.asked and self.missing(this_set * MAX_PAYLOADS):
            self.asked = this_set
            self.want([(each, False) for each in self.missing(this_set * MAX_PAYLOADS)])


def q1(number: int, more: bool, exponent: int, size: int, tag: bytes = b"\x09") -> list[Option]:
    return [
        (option.Q_BLOCK1, write_block(number, more, exponent)),
        (option.REQUEST_TAG, tag),
        (option.SIZE1, uint_value(size)),
    ]


def q2(*wanted: tuple[int, bool, int]) -> list[Option]:
    return [(option.Q_BLOCK2, write_block(*each)) for each in wanted]


def numbers_of(messages: list[Message], kind: int = option.Q_BLOCK2) -> list[int]:
    found: list[int] = []
    for message in messages:
        value = message.first(kind)
        assert value is not None, message
        found.append(read_block(value)[0])
    return found
