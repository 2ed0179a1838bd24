"""One channel of AMQP 0-9-1: content in (publish), content out (deliver, get), acknowledgements, confirms."""

from __future__ import annotations

from typing import Final

from pamqp import commands

from bridgehead.broker.door import NOBODY
from bridgehead.broker.queues.queue import Queue
from bridgehead.core.entry import Entry
from bridgehead.core.errors import NAME_INVALID, QUEUE_FULL, STORE_UNAVAILABLE, Refusal
from bridgehead.core.message import Message
from bridgehead.protocols.amqp.codec.v091 import errors as codes
from bridgehead.protocols.amqp.codec.v091.errors import ChannelFault, ConnectionFault, reply_text
from bridgehead.protocols.amqp.codec.v091.frames import METHOD, frame
from bridgehead.protocols.amqp.codec.v091.hot import (
    Publish,
    decode_publish,
    encode_content,
    encode_deliver,
    short_string,
)
from bridgehead.protocols.amqp.codec.v091.methods import method_frame, return_frame
from bridgehead.protocols.amqp.codec.v091.tables import check_content
from bridgehead.protocols.amqp.mapping.content_v091 import without_headers
from bridgehead.protocols.amqp.mapping.errors import reply_code_of
from bridgehead.protocols.amqp.mapping.message_v091 import (
    PERSISTENT,
    TRANSIENT,
    headers_of,
    message_from_v091,
    v091_content,
)
from bridgehead.protocols.amqp.mapping.routing_keys import routing_key_of
from bridgehead.protocols.amqp.session.v091.arguments import BRIDGE
from bridgehead.protocols.amqp.session.v091.confirming import Confirms
from bridgehead.protocols.amqp.session.v091.consuming import BasicConsumer, Unacked
from bridgehead.protocols.amqp.session.v091.contract import Answers, Peer
from bridgehead.protocols.amqp.session.v091.dead_letters import headers_of_dead
from bridgehead.protocols.amqp.session.v091.declaring import topic_for
from bridgehead.protocols.amqp.session.v091.transaction import Enlisting, Transaction

_SHORTEST_CONTENT: Final = 14  # class, weight, body size, property flags
_AROUND_CONTENT: Final = 20  # octets of a header frame around property flags and properties
_GET_OK: Final = b"\x00\x3c\x00\x47"
_BEGUN: Final = 4  # messages of the largest size that a connection may have begun to send, on all of its channels


class Channel(Enlisting):
    """`closing`: our channel.close is out, and everything but its answer is passed over (1.5.2.5)."""

    def __init__(self, peer: Peer, number: int) -> None:
        super().__init__(peer)
        self.number: Final = number
        self.closing = False
        self.answers: Final = Answers(peer, number)
        self.consumers: dict[str, BasicConsumer] = {}
        self.confirms: Confirms | None = None
        self.transaction: Transaction | None = None
        self.prefetch = 0  # of consumers that begin from now on
        self.prefetch_together = 0  # of the channel's consumers together
        self.flows = True
        self.put_off: list[commands.Basic.Cancel] | None = None  # while its own queue.delete is carried out
        self.finishing = False  # the peer closed it: close-ok comes behind what waits for a commit
        self.beginning: list[BasicConsumer] = []  # their consume-ok waits: they get nothing before it
        self._by_get = 0  # of `unacked`, which no prefetch counts
        self.dirty = False  # it has something to say when the turn ends
        self._tag = 0
        self._publish: Publish | None = None
        self._content = b""
        self._size = -1  # of the body, -1 before the content header
        self._body = bytearray()  # as far as it has come; a list of parts would weigh more than what they hold
        self._coming = 0  # octets of the content that has begun, counted in the peer's
        # The last publishes were of one kind: what they go to.
        self._from: dict[Queue, None] = {}  # the queues that it may have deliveries of
        self._topic = ""
        self._topic_exchange = ""
        self._topic_key = ""

    # Content in. ------------------------------------------------------------------------------------

    def take_publish(self, payload: bytes) -> None:
        """basic.publish; its content follows. Raises V091Error."""
        if self._publish is not None:
            raise ConnectionFault("a method came where content was expected", codes.UNEXPECTED_FRAME)
        publish = decode_publish(payload)
        if publish.immediate:
            raise ConnectionFault("immediate=true", codes.NOT_IMPLEMENTED)
        self._publish = publish
        self._size = -1

    def expects_content(self) -> bool:
        return self._publish is not None

    def take_header(self, payload: bytes) -> bool:
        """The content header; whether a message is whole with it. Raises V091Error."""
        if self._publish is None or self._size >= 0:
            raise ConnectionFault("a content header that no method announced", codes.UNEXPECTED_FRAME)
        if len(payload) < _SHORTEST_CONTENT or payload[:2] != b"\x00\x3c":
            raise ConnectionFault("a content header of another class than its method", codes.SYNTAX_ERROR)
        size = int.from_bytes(payload[4:12], "big")
        if size > self.peer.config.message_octets:
            because = f"message size {size} is larger than configured max size {self.peer.config.message_octets}"
            raise ChannelFault(because, codes.PRECONDITION_FAILED)
        content = payload[12:]
        if content not in (PERSISTENT, TRANSIENT):
            check_content(content, self.peer.config.nesting)
        self._content = content
        self._size = size
        if size:
            self._comes(len(content))
            return False
        self._published(b"")
        return True

    def take_body(self, payload: bytes) -> bool:
        """A part of the body; whether a message is whole with it. Raises V091Error."""
        if self._size < 0:
            raise ConnectionFault("a body frame that no content header announced", codes.UNEXPECTED_FRAME)
        had = len(self._body) + len(payload)
        if had > self._size:
            raise ConnectionFault("the body frames hold more than the content header said", codes.FRAME_ERROR)
        if had < self._size:
            self._body += payload
            self._comes(len(payload))
            return False
        if self._body:
            self._body += payload
            payload = bytes(self._body)
        self._come()
        self._published(payload)
        return True

    def _comes(self, octets: int) -> None:
        """A part of a content has come. Raises ConnectionFault (506) when all channels together have begun too much."""
        peer = self.peer
        self._coming += octets
        peer.coming += octets
        if peer.coming > _BEGUN * peer.config.message_octets:
            raise ConnectionFault(
                "the connection's channels have begun more than the hub holds: end one message first",
                codes.RESOURCE_ERROR,
            )

    def _come(self) -> None:
        """The content is whole, or will never be."""
        self.peer.coming -= self._coming
        self._coming = 0
        if self._body:
            self._body = bytearray()

    def _published(self, body: bytes) -> None:
        publish = self._publish
        assert publish is not None
        content = self._content
        self._publish = None
        self._content = b""
        self._size = -1
        peer = self.peer
        exchange = publish.exchange
        routing_key = publish.routing_key
        if exchange != self._topic_exchange or routing_key != self._topic_key or not self._topic:
            self._topic = self._topic_for(exchange, routing_key)
            self._topic_exchange = exchange
            self._topic_key = routing_key
        try:
            message = message_from_v091(self._topic, content, body, peer.origin, peer.broker.clock.now)
            if self.transaction is not None:
                self._enlist(self.transaction, publish, message, content)
                return
            ticket = self.let_in(publish, message)
        except Refusal as refusal:
            self._not_let_in(publish, refusal, content, body)
            return
        if ticket == NOBODY and publish.mandatory:
            self._return(publish, content, body)
        if self.confirms is not None:
            self.confirms.taken(ticket)
            self.dirty = True

    def _enlist(self, transaction: Transaction, publish: Publish, message: Message, content: bytes) -> None:
        """Whatever keeps a message out of a transaction is told: nobody commits without it unawares."""
        try:
            transaction.publish(publish, message, content)
        except Refusal as refusal:
            raise ChannelFault(refusal.because, reply_code_of(refusal.meaning)) from None

    def _topic_for(self, exchange: str, routing_key: str) -> str:
        try:
            return topic_for(exchange, routing_key)
        except Refusal as refusal:
            raise ChannelFault(refusal.because, reply_code_of(refusal.meaning)) from None

    def let_in(self, publish: Publish, message: Message) -> int:
        """Through the exchange. Returns the ticket, 0, or NOBODY. Raises Refusal."""
        peer = self.peer
        routing = peer.vhost.routing
        headers = headers_of(message) if publish.exchange and routing.needs_headers(publish.exchange) else None
        receiver = peer.receiver if self.confirms is not None or self.transaction is not None else None
        return routing.publish(peer.principal, message, publish.exchange, publish.routing_key, headers, receiver)

    def _not_let_in(self, publish: Publish, refusal: Refusal, content: bytes, body: bytes) -> None:
        meaning = refusal.meaning
        if meaning == NAME_INVALID and not publish.exchange:
            # No queue can have such a name: the message comes nowhere.
            if publish.mandatory:
                self._return(publish, content, body)
            if self.confirms is not None:
                self.confirms.taken(0)
                self.dirty = True
            return
        if meaning in (QUEUE_FULL, STORE_UNAVAILABLE):
            # Nobody's fault: told to whoever wants to hear of it (basic.nack), else dropped as a full queue does.
            if self.confirms is not None:
                self.confirms.taken(0, True)
                self.dirty = True
            return
        raise ChannelFault(refusal.because, reply_code_of(meaning))

    def returned(self, publish: Publish, message: Message, content: bytes) -> None:
        """A mandatory message of a transaction came nowhere."""
        self._return(publish, content, message.payload)

    def _return(self, publish: Publish, content: bytes, body: bytes) -> None:
        """basic.return (1.8.3.8)."""
        text = reply_text(codes.NO_ROUTE, "").removesuffix(" - ")
        outbox = self.peer.outbox
        outbox.write(return_frame(self.number, codes.NO_ROUTE, text, publish.exchange, publish.routing_key))
        outbox.write(encode_content(self.number, content, body, self.peer.frame_max))

    # Content out. -----------------------------------------------------------------------------------

    def may_deliver(self, consumer: BasicConsumer) -> bool:
        if not self.flows or self.closing or self.peer.outbox.is_full():
            return False
        if consumer.settled:
            return True
        held = len(self.unacked)
        together = self.prefetch_together
        return held < self.peer.config.prefetch and (not together or held - self._by_get < together)

    def deliver(self, consumer: BasicConsumer, entry: Entry) -> None:
        self._tag += 1
        if not consumer.settled:
            self.unacked[self._tag] = Unacked(consumer.queue, entry, consumer)
            consumer.unacked += 1
        message = entry.message
        exchange, routing_key = _names_of(consumer.queue, entry)
        if exchange != consumer.named_exchange or routing_key != consumer.named_key or not consumer.names:
            consumer.names = short_string(exchange) + short_string(routing_key)
            consumer.named_exchange = exchange
            consumer.named_key = routing_key
        self.peer.outbox.write_parts(
            encode_deliver(consumer.head, self.number, self._tag, entry.again, consumer.names),
            b"",
            encode_content(self.number, self._content_of(entry), message.payload, self.peer.frame_max),
        )

    def give(self, queue: Queue, entry: Entry, no_ack: bool) -> None:
        """basic.get-ok with its content."""
        self._tag += 1
        if not no_ack:
            self.unacked[self._tag] = Unacked(queue, entry, None)
            self._by_get += 1
        exchange, routing_key = _names_of(queue, entry)
        again = b"\x01" if entry.again else b"\x00"
        names = short_string(exchange) + short_string(routing_key)
        head = _GET_OK + self._tag.to_bytes(8, "big") + again + names + queue.waiting.to_bytes(4, "big")
        content = encode_content(self.number, self._content_of(entry), entry.message.payload, self.peer.frame_max)
        self.answers.say_octets(frame(METHOD, self.number, head) + content)

    def _content_of(self, entry: Entry) -> bytes:
        content = v091_content(entry.message, self.peer.broker.clock.now, headers_of_dead(entry))
        room = self.peer.frame_max - _AROUND_CONTENT
        if len(content) > room:
            # A header is one frame (4.2.6.1): one that this peer's frame-max has no room for would end its connection,
            # and that of the next consumer.
            content = without_headers(content)
            if len(content) > room:
                content = PERSISTENT if entry.message.qos else TRANSIENT
        return content

    def consumer_cancelled(self, consumer: BasicConsumer, meaning: str, because: str) -> None:
        """The queue is gone, or the right to take from it: its deliveries are the queue's again."""
        self.drop(consumer)
        for unacked in self.unacked.values():
            if unacked.consumer is consumer:
                unacked.entry = None
        if self.peer.cancels and not self.closing:
            cancel = commands.Basic.Cancel(consumer.tag, True)
            if self.put_off is None:
                self.peer.outbox.write(method_frame(self.number, cancel))
            else:
                self.put_off.append(cancel)

    def takes_from(self, queue: Queue) -> None:
        """The channel may have deliveries of this queue from now on."""
        self.peer.vhost.takers.setdefault(queue, {})[self] = None
        self._from[queue] = None

    def queue_gone(self, queue: Queue) -> None:
        self._from.pop(queue, None)
        for unacked in self.unacked.values():
            if unacked.queue is queue:
                unacked.entry = None

    def drop(self, consumer: BasicConsumer) -> None:
        if self.consumers.pop(consumer.tag, None) is not None:
            self.peer.consumers -= 1

    # Acknowledgements. ------------------------------------------------------------------------------

    def tagged(self, tag: int, multiple: bool) -> list[int]:
        """The delivery tags that an acknowledgement means. Raises ChannelFault (406) for one that there is not."""
        unacked = self.unacked
        if not multiple:
            known = unacked.get(tag)
            if known is None or known.in_transaction:
                raise self._unknown(tag)
            return [tag]
        found: list[int] = []
        for held, one in unacked.items():
            if tag and held > tag:
                break
            if not one.in_transaction:
                found.append(held)
        if tag and (tag > self._tag or not found):
            raise self._unknown(tag)
        return found

    def _unknown(self, tag: int) -> ChannelFault:
        return ChannelFault(f"unknown delivery tag {tag}", codes.PRECONDITION_FAILED)

    def ack(self, tag: int, multiple: bool) -> None:
        """basic.ack. Raises ChannelFault."""
        if self.transaction is not None:
            self.transaction.acknowledge(self.tagged(tag, multiple), True, False)
        elif multiple:
            self.settle(self.tagged(tag, True), True, False)
        else:
            one = self.unacked.pop(tag, None)
            if one is None:
                raise self._unknown(tag)
            self._settle(one, True, False)
            consumer = one.consumer
            if consumer is None:
                self._by_get -= 1
            else:
                consumer.unacked -= 1
            if self.prefetch_together or len(self.unacked) == self.peer.config.prefetch - 1:
                self.wake()
            elif consumer is not None and consumer.parked:
                self.peer.broker.queues.wake(consumer)

    def settle(self, tags: list[int], accepted: bool, requeue: bool, conditional: bool = False) -> None:
        """End these deliveries: accepted, put back to their places, or dead."""
        back: dict[Queue, list[Entry]] = {}
        for tag in tags:
            one = self.unacked.pop(tag, None)
            if one is None:
                continue
            if requeue and not accepted and one.entry is not None:
                back.setdefault(one.queue, []).append(one.entry)  # together, so that their order is as it was
            else:
                self._settle(one, accepted, conditional)
            if one.consumer is None:
                self._by_get -= 1
            else:
                one.consumer.unacked -= 1
        for queue, entries in back.items():
            queue.give_back(entries, True)
        self.wake()

    def _settle(self, one: Unacked, accepted: bool, conditional: bool) -> None:
        entry = one.entry
        if entry is not None:
            if accepted:
                self.peer.broker.queues.accept(one.queue, entry, None, conditional and entry.lasts)
            else:
                self.peer.broker.queues.reject(one.queue, entry)

    def wake(self) -> None:
        """There may be room for deliveries again."""
        queues = self.peer.broker.queues
        for consumer in list(self.consumers.values()):
            if consumer.parked and consumer.ready():
                queues.wake(consumer)

    def requeue_all(self) -> None:
        """basic.recover: what is not acknowledged goes back, to whoever takes it."""
        self.settle([tag for tag, one in self.unacked.items() if not one.in_transaction], False, True)

    # Ending. ----------------------------------------------------------------------------------------

    def finish(self) -> None:
        """The peer closed it. What is to be told of commits is told before close-ok; the rest ends now."""
        self.finishing = True
        self._release()

    def finished(self) -> bool:
        return self.finishing and not self.waits()

    def release(self) -> None:
        """The channel is over: consumers end, what is not acknowledged goes back."""
        self.answers.clear()
        self.confirms = None
        self.finishing = False
        self._release()

    def _release(self) -> None:
        self.closing = True
        self.beginning = []
        if self.transaction is not None:
            self.transaction.abandon()
            self.transaction = None
        self._publish = None
        self._content = b""
        self._size = -1
        self._come()
        queues = self.peer.broker.queues
        for consumer in list(self.consumers.values()):
            queues.stop(consumer)
            self.drop(consumer)
        self.settle(list(self.unacked), False, True)
        takers = self.peer.vhost.takers
        for queue in self._from:
            there = takers.get(queue)
            if there is not None:
                there.pop(self, None)
                if not there:
                    del takers[queue]
        self._from = {}

    def waits(self) -> int:
        """How many answers and confirms wait for a commit."""
        return len(self.answers) + (0 if self.confirms is None else len(self.confirms))

    def committed(self, durable: int) -> None:
        self.answers.flush(durable)
        self.flush(durable)
        if self.beginning and not len(self.answers):
            beginning = self.beginning
            self.beginning = []
            for consumer in beginning:
                self.begin(consumer)

    def begin(self, consumer: BasicConsumer) -> None:
        """Its consume-ok is out, or is not asked for: it gets what there is."""
        if len(self.answers):
            self.beginning.append(consumer)
            return
        consumer.started = True
        self.peer.broker.queues.wake(consumer)

    def flush(self, durable: int) -> None:
        """At the end of a turn: what can be confirmed."""
        self.dirty = False
        if self.confirms is not None:
            octets = self.confirms.flush(durable)
            if octets:
                self.peer.outbox.write(octets)


def _names_of(queue: Queue, entry: Entry) -> tuple[str, str]:
    """Exchange and routing key, as a delivery names them."""
    if entry.exchange == BRIDGE:
        return BRIDGE, routing_key_of(entry.routing_key)  # fed from a topic, whose name it has
    if entry.routing_key or entry.exchange:
        return entry.exchange, entry.routing_key
    return "", queue.name
