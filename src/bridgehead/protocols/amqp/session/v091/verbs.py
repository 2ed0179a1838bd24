"""What each method of a channel does, but for content and acknowledgements, which channel.py knows."""

from __future__ import annotations

from typing import Final, cast

from pamqp import base, commands

from bridgehead.broker.queues.queue import Queue
from bridgehead.core.errors import Refusal
from bridgehead.protocols.amqp.codec.v091 import errors as codes
from bridgehead.protocols.amqp.codec.v091.errors import ChannelFault, ConnectionFault
from bridgehead.protocols.amqp.codec.v091.hot import short_string
from bridgehead.protocols.amqp.codec.v091.methods import declare_ok_frame
from bridgehead.protocols.amqp.mapping.errors import reply_code_of
from bridgehead.protocols.amqp.session.v091.arguments import Arguments
from bridgehead.protocols.amqp.session.v091.channel import Channel
from bridgehead.protocols.amqp.session.v091.confirming import Confirms
from bridgehead.protocols.amqp.session.v091.consuming import BasicConsumer
from bridgehead.protocols.amqp.session.v091.contract import Later
from bridgehead.protocols.amqp.session.v091.transaction import Transaction

_PRIORITY: Final = "x-priority"  # of a consumer; RabbitMQ's extension


class Verbs:
    """`do` raises V091Error. The queue that was declared last stands for the empty name (1.7.2.1)."""

    def __init__(self, channel: Channel) -> None:
        self._channel: Final = channel
        self._last = ""
        self._tags = 0

    def do(self, method: base.Frame) -> None:
        try:
            self._do(method)
        except Refusal as refusal:
            raise ChannelFault(refusal.because, reply_code_of(refusal.meaning)) from None

    def _do(self, method: base.Frame) -> None:
        if isinstance(method, commands.Basic.Consume):
            self._consume(method)
        elif isinstance(method, commands.Basic.Cancel):
            self._cancel(method)
        elif isinstance(method, commands.Basic.Get):
            self.get(method.queue or "", bool(method.no_ack), False)
        elif isinstance(method, commands.Basic.Reject):
            self._settle(method.delivery_tag or 0, False, bool(method.requeue))
        elif isinstance(method, commands.Basic.Nack):
            self._settle(method.delivery_tag or 0, bool(method.multiple), bool(method.requeue))
        elif isinstance(method, commands.Basic.Qos):
            self._qos(method)
        elif isinstance(method, commands.Basic.Recover | commands.Basic.RecoverAsync):
            self._recover(method)
        elif isinstance(method, commands.Queue.Declare):
            self._declare_queue(method)
        elif isinstance(method, commands.Queue.Bind | commands.Queue.Unbind):
            self._bind_queue(method)
        elif isinstance(method, commands.Queue.Purge | commands.Queue.Delete):
            self._end_queue(method)
        elif isinstance(method, commands.Exchange.Declare):
            self._declare_exchange(method)
        elif isinstance(method, commands.Exchange.Delete):
            peer = self._channel.peer
            peer.vhost.exchanges.delete(peer.principal, peer.origin, method.exchange, bool(method.if_unused))
            self._lasting(method, commands.Exchange.DeleteOk())
        elif isinstance(method, commands.Exchange.Bind | commands.Exchange.Unbind):
            self._bind_exchange(method)
        elif isinstance(method, commands.Channel.Flow):
            self._channel.flows = bool(method.active)
            self._channel.answers.say(commands.Channel.FlowOk(method.active))
            self._channel.wake()
        elif isinstance(method, commands.Confirm.Select):
            self._confirm(method)
        elif isinstance(method, commands.Tx.Select | commands.Tx.Commit | commands.Tx.Rollback):
            self._tx(method)
        else:
            because = f"{method.name} is not a client's to send, or not here"
            raise ConnectionFault(because, codes.COMMAND_INVALID, clause="AMQP091-4.2.4")

    # Answers. ---------------------------------------------------------------------------------------

    def _say(self, method: base.Frame, answer: base.Frame) -> None:
        if not getattr(method, "nowait", False):
            self._channel.answers.say(answer)

    def _lasting(self, method: base.Frame, answer: base.Frame) -> None:
        if not getattr(method, "nowait", False):
            self._channel.answers.lasting(answer)

    # Basic. -----------------------------------------------------------------------------------------

    def _name(self, name: str) -> str:
        if name:
            return name
        if not self._last:
            raise ChannelFault("no queue was declared on this channel, and none is named", codes.NOT_FOUND)
        return self._last

    def _queue(self, name: str) -> Queue:
        peer = self._channel.peer
        return peer.vhost.declaring.queue(peer.principal, peer.origin, self._name(name))

    def _consume(self, method: commands.Basic.Consume) -> None:
        channel = self._channel
        peer = channel.peer
        tag = method.consumer_tag
        if tag in channel.consumers:
            raise ConnectionFault(f"attempt to reuse consumer tag '{tag}'", codes.NOT_ALLOWED)
        if peer.consumers >= peer.config.consumers:
            because = f"a connection has at most {peer.config.consumers} consumers"
            raise ConnectionFault(because, codes.RESOURCE_ERROR)
        queue = peer.vhost.declaring.queue(peer.principal, peer.origin, self._name(method.queue))
        if queue.alone is not None or (method.exclusive and queue.consumer_count):
            raise ChannelFault(f"queue '{queue.name}' in vhost '/' in exclusive use", codes.ACCESS_REFUSED)
        while not tag or tag in channel.consumers:  # a peer may have called one of its own so
            self._tags += 1
            tag = f"amq.ctag-{peer.serial}-{channel.number}-{self._tags}"
        consumer = BasicConsumer(
            peer.principal,
            peer.origin,
            bool(method.no_ack),
            _priority_of(cast(Arguments, method.arguments or {})),
            channel,
            queue,
            tag,
            short_string(tag),
            channel.prefetch,
        )
        peer.broker.queues.attach(consumer, queue, bool(method.exclusive))
        channel.takes_from(queue)
        channel.consumers[tag] = consumer
        peer.consumers += 1
        self._say(method, commands.Basic.ConsumeOk(tag))
        if method.nowait:
            consumer.started = True
            peer.broker.queues.wake(consumer)
        else:
            channel.begin(consumer)

    def _cancel(self, method: commands.Basic.Cancel) -> None:
        channel = self._channel
        consumer = channel.consumers.get(method.consumer_tag or "")
        if consumer is not None:
            channel.drop(consumer)
            channel.peer.broker.queues.stop(consumer)
        self._say(method, commands.Basic.CancelOk(method.consumer_tag))

    def get(self, name: str, no_ack: bool, found_later: bool) -> None:
        """basic.get. What was published before it is there for it, though it be still on its way to the disk."""
        channel = self._channel
        peer = channel.peer
        queue = self._queue(name)
        if not no_ack:
            if len(channel.unacked) >= peer.config.prefetch:
                because = f"a channel has at most {peer.config.prefetch} deliveries without acknowledgement"
                raise ChannelFault(because, codes.PRECONDITION_FAILED)
            channel.takes_from(queue)
        entry = peer.broker.queues.get(peer.principal, peer.origin, queue, no_ack)
        if entry is not None:
            channel.give(queue, entry, no_ack)
            return
        ticket = 0 if found_later else peer.broker.journal.wait_for(peer.receiver, queue.coming())
        if ticket:
            channel.answers.find(_Get(self, queue.name, no_ack), ticket)
        else:
            channel.answers.say(commands.Basic.GetEmpty())

    def get_later(self, name: str, no_ack: bool) -> None:
        try:
            self.get(name, no_ack, True)
        except Refusal as refusal:
            raise ChannelFault(refusal.because, reply_code_of(refusal.meaning)) from None

    def _settle(self, tag: int, multiple: bool, requeue: bool) -> None:
        """basic.nack and basic.reject."""
        channel = self._channel
        tags = channel.tagged(tag, multiple)
        if channel.transaction is not None:
            channel.transaction.acknowledge(tags, False, requeue)
        else:
            channel.settle(tags, False, requeue)

    def _qos(self, method: commands.Basic.Qos) -> None:
        channel = self._channel
        if method.prefetch_size:
            raise ConnectionFault("prefetch_size!=0 is not supported", codes.NOT_IMPLEMENTED)
        # RabbitMQ's reading of `global_`: of each consumer that begins from now on, or of all of the channel together.
        if method.global_:
            channel.prefetch_together = method.prefetch_count
        else:
            channel.prefetch = method.prefetch_count
        channel.answers.say(commands.Basic.QosOk())
        channel.wake()

    def _recover(self, method: commands.Basic.Recover | commands.Basic.RecoverAsync) -> None:
        if not method.requeue:
            raise ConnectionFault("requeue=false is not supported", codes.NOT_IMPLEMENTED)
        if isinstance(method, commands.Basic.Recover):
            self._channel.answers.say(commands.Basic.RecoverOk())
        self._channel.requeue_all()

    # Queues and exchanges. --------------------------------------------------------------------------

    def _declare_queue(self, method: commands.Queue.Declare) -> None:
        peer = self._channel.peer
        declaring = peer.vhost.declaring
        if method.passive:
            queue = declaring.queue(peer.principal, peer.origin, self._name(method.queue))
        else:
            queue = declaring.declare(
                peer.principal,
                peer.origin,
                method.queue,
                bool(method.durable),
                bool(method.exclusive),
                bool(method.auto_delete),
                cast(Arguments, method.arguments or {}),
            )
        self._last = queue.name
        if not method.nowait:
            answer = declare_ok_frame(self._channel.number, queue.name, queue.waiting, queue.consumer_count)
            self._channel.answers.lasting_octets(answer)

    def _bind_queue(self, method: commands.Queue.Bind | commands.Queue.Unbind) -> None:
        peer = self._channel.peer
        name = self._name(method.queue)
        arguments = cast(Arguments, method.arguments or {})
        declaring = peer.vhost.declaring
        if isinstance(method, commands.Queue.Bind):
            key = name if not method.routing_key and not method.queue else method.routing_key
            declaring.bind(peer.principal, peer.origin, name, method.exchange, key, arguments)
            self._lasting(method, commands.Queue.BindOk())
        else:
            declaring.unbind(peer.principal, peer.origin, name, method.exchange, method.routing_key, arguments)
            self._lasting(method, commands.Queue.UnbindOk())

    def _end_queue(self, method: commands.Queue.Purge | commands.Queue.Delete) -> None:
        peer = self._channel.peer
        name = self._name(method.queue)
        declaring = peer.vhost.declaring
        if isinstance(method, commands.Queue.Purge):
            count = declaring.purge(peer.principal, peer.origin, name)
            self._lasting(method, commands.Queue.PurgeOk(count))
        else:
            # Who deletes hears first that it is done, then that its own consumers are, as from RabbitMQ: clients close
            # at the second.
            channel = self._channel
            cancels: list[commands.Basic.Cancel] = []
            channel.put_off = cancels
            try:
                count = declaring.delete(
                    peer.principal, peer.origin, name, bool(method.if_unused), bool(method.if_empty)
                )
            finally:
                channel.put_off = None
            self._lasting(method, commands.Queue.DeleteOk(count))
            for cancel in cancels:
                channel.answers.say(cancel)

    def _declare_exchange(self, method: commands.Exchange.Declare) -> None:
        peer = self._channel.peer
        exchanges = peer.vhost.exchanges
        if method.passive:
            exchanges.known(peer.principal, peer.origin, method.exchange)
        else:
            exchanges.declare(
                peer.principal,
                peer.origin,
                method.exchange,
                method.exchange_type,
                bool(method.durable),
                bool(method.auto_delete),
                bool(method.internal),
                cast(Arguments, method.arguments or {}),
            )
        self._lasting(method, commands.Exchange.DeclareOk())

    def _bind_exchange(self, method: commands.Exchange.Bind | commands.Exchange.Unbind) -> None:
        peer = self._channel.peer
        arguments = cast(Arguments, method.arguments or {})
        target, source, key = method.destination, method.source, method.routing_key
        exchanges = peer.vhost.exchanges
        if isinstance(method, commands.Exchange.Bind):
            exchanges.bind_exchange(peer.principal, peer.origin, target, source, key, arguments)
            self._lasting(method, commands.Exchange.BindOk())
        else:
            exchanges.unbind_exchange(peer.principal, peer.origin, target, source, key, arguments)
            self._lasting(method, commands.Exchange.UnbindOk())

    # Confirms and transactions. ---------------------------------------------------------------------

    def _confirm(self, method: commands.Confirm.Select) -> None:
        channel = self._channel
        if channel.transaction is not None:
            raise ChannelFault("cannot switch from tx to confirm mode", codes.PRECONDITION_FAILED)
        if channel.confirms is None:
            channel.confirms = Confirms(channel.number)
        self._say(method, commands.Confirm.SelectOk())

    def _tx(self, method: commands.Tx.Select | commands.Tx.Commit | commands.Tx.Rollback) -> None:
        channel = self._channel
        transaction = channel.transaction
        if isinstance(method, commands.Tx.Select):
            if channel.confirms is not None:
                raise ChannelFault("cannot switch from confirm to tx mode", codes.PRECONDITION_FAILED)
            if transaction is None:
                channel.transaction = Transaction(channel)
            channel.answers.say(commands.Tx.SelectOk())
            return
        if transaction is None:
            raise ChannelFault("channel is not transactional", codes.PRECONDITION_FAILED)
        if isinstance(method, commands.Tx.Commit):
            transaction.commit()
            channel.answers.lasting(commands.Tx.CommitOk())
        else:
            transaction.roll_back()
            channel.answers.say(commands.Tx.RollbackOk())


def _priority_of(arguments: Arguments) -> int:
    value = arguments.get(_PRIORITY, 0)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ChannelFault(f"invalid arg '{_PRIORITY}': it is a number", codes.PRECONDITION_FAILED)
    return value


class _Get(Later):
    """A basic.get of a queue in which there is only what waits for its commit."""

    def __init__(self, verbs: Verbs, queue: str, no_ack: bool) -> None:
        self._verbs: Final = verbs
        self._queue: Final = queue
        self._no_ack: Final = no_ack

    def answer(self) -> None:
        self._verbs.get_later(self._queue, self._no_ack)
