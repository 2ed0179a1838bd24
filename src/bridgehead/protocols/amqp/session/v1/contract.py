"""What links and termini owe each other: the engine of links on one side, topics, queues and coordinators on the other.

The engine (`Sender` for receivers of the peer, `Taker` for senders of the peer) knows credit, windows, frames,
settlement; a terminus knows where messages come from or go to. A terminus never writes a frame.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from bridgehead.broker.broker import Broker
from bridgehead.core.message import Origin
from bridgehead.core.policy import Principal
from bridgehead.core.session import Receiver, Session
from bridgehead.protocols.amqp.codec.v1.composites import DeliveryState
from bridgehead.protocols.amqp.codec.v1.errors import NOT_IMPLEMENTED, AmqpError
from bridgehead.protocols.amqp.codec.v1.performatives import Attach
from bridgehead.protocols.amqp.config import AmqpConfig
from bridgehead.wire.outbox import Outbox

# snd-settle-mode (2.8.2) and rcv-settle-mode (2.8.3).
UNSETTLED: Final = 0
SETTLED: Final = 1
MIXED: Final = 2
FIRST: Final = 0
SECOND: Final = 1

NO_ID: Final = -1  # of a delivery that is not on its way in this session


def terminus_key(prefix: str, container_id: str, link_name: str) -> str:
    """The hub's client identifier of a link: injective, for both names are the peer's and hold what it likes.
    `prefix` is "amqp" for what the peer receives and "amqp-from" for what it sends: a link's name is unique in its
    direction only (2.6.1)."""
    return f"{prefix}/{_escaped(container_id)}/{_escaped(link_name)}"


def _escaped(name: str) -> str:
    return name.replace("%", "%25").replace("/", "%2F")


class Peer:
    """The container at the other end of one connection, as its links know it.

    `receiver` is the connection's own end of the hub: pass it to the door and the journal wherever they want to know
    who waits for a commit (`door.publish(..., peer.receiver)`, `door.settled(session, peer.receiver)`,
    `queues.accept(..., peer.receiver)`), then give the ticket to `IncomingLink.hold`, `OutgoingLink.settle` or
    `Source.ticket`. `principal` is another object after a token was renewed: don't keep it, ask for it.
    """

    def __init__(
        self,
        broker: Broker,
        config: AmqpConfig,
        outbox: Outbox,
        principal: Principal,
        origin: Origin,
        container_id: str,
        receiver: Receiver,
        session: Session,
    ) -> None:
        self.broker: Final = broker
        self.config: Final = config
        self.outbox: Final = outbox
        self.principal: Principal = principal
        self.origin: Final = origin  # principal, "amqp", verified, the connection's client_id, address
        self.container_id: Final = container_id
        self.receiver: Final = receiver
        self.session: Final = session  # the connection's own hub session


@mypyc_attr(allow_interpreted_subclasses=True)
class OutgoingDelivery:
    """One unsettled delivery to the peer. Termini derive from it to know what it is of. `tag` is at most 32 octets
    (2.8.7) and unique among the link's unsettled ones.

    `known`: the peer has said (in the unsettled map of its attach) that it has this one: it goes with resume=true.
    `state`: the last that the peer told. `settled`: the peer has settled it.
    """

    def __init__(self, tag: bytes) -> None:
        self.tag: Final = tag
        self.delivery_id = NO_ID
        self.known = False
        self.state: DeliveryState | None = None
        self.settled = False
        self.link: OutgoingLink | None = None  # the engine's
        self.txn_id: bytes | None = None  # acquired (4.4.3) or settled (4.4.2) in this transaction, not yet discharged


class IncomingDelivery:
    """One delivery of the peer, whole. `state` is what its transfer carried (None, or a TransactionalState);
    `second`: it is settled by the sender after our outcome (rcv-settle-mode second); `known`: it was resumed."""

    def __init__(
        self, delivery_id: int, tag: bytes, message_format: int, payload: bytes, settled: bool, second: bool
    ) -> None:
        self.delivery_id = delivery_id
        self.tag: Final = tag
        self.message_format: Final = message_format
        self.payload = payload  # until it was handed over
        self.settled: Final = settled  # by the sender, on the transfer
        self.second: Final = second
        self.state: DeliveryState | None = None
        self.known = False
        self.outcome: DeliveryState | None = None  # what we have told
        self.link: IncomingLink | None = None  # the engine's


class Link:
    """What both ends have in common."""

    def __init__(self, peer: Peer, name: str) -> None:
        self.peer: Final = peer
        self.name: Final = name
        self.attached = False  # our attach is out

    def detach(self, condition: str, because: str) -> None:
        """End the link (detach with closed=true) with an error of codec/v1/errors.py, "" for none. The terminus is
        told by its `closed`."""
        raise NotImplementedError

    def steal(self) -> None:
        """The container attached a link of this name again (2.6.1): this one ends, its terminus lasts."""
        raise NotImplementedError


# The peer receives: our sending end. ----------------------------------------------------------------


class OutgoingLink(Link):
    """One receiving link of the peer. Made by the engine at the peer's attach and given to `termini.open_source`,
    which may set `source` (a codec Source: what our attach says of it) and the two settle modes (2.8.2, 2.8.3)."""

    def __init__(self, peer: Peer, attach: Attach) -> None:
        super().__init__(peer, attach.name)
        self.snd_settle_mode: int = attach.snd_settle_mode
        self.rcv_settle_mode: int = attach.rcv_settle_mode
        self.max_message_size: int = max(attach.max_message_size, 0)  # octets that the peer takes, 0: any
        self.source: object = attach.source
        self.properties: dict[object, object] | None = None  # of our attach
        self.credit = 0  # messages that may be sent now
        self.drain = False
        self.acquires_in: bytes | None = None  # the transaction that what is sent now is acquired in (4.4.3)

    def may_send(self) -> bool:
        """Whether a message may be given now: credit, the session's window, room in the outbox, nothing cut off
        half-way. When not, `Source.more` tells when."""
        raise NotImplementedError

    def may_resume(self, delivery: OutgoingDelivery) -> bool:
        """As `may_send`, for what `Source.again` gave: also while the peer's unsettled map was incomplete, which
        forbids what is new (2.7.3)."""
        raise NotImplementedError

    def send_settled(self, payload: bytes) -> None:
        """One message, settled: at most once. Only after `may_send`. `payload` are the message's sections."""
        raise NotImplementedError

    def send(self, delivery: OutgoingDelivery, payload: bytes) -> None:
        """One message, unsettled, kept in the link's table until `settle`. Only after `may_send`."""
        raise NotImplementedError

    def settle(self, delivery: OutgoingDelivery, ticket: int = 0) -> None:
        """It is over for us: forgotten here, and the peer is told unless it settled before. `ticket`: tell it after
        that commit."""
        raise NotImplementedError

    def later(self, yielding: bool = False) -> None:
        """Let `Source.more` be called at the end of the turn; `yielding`: only after others had theirs."""
        raise NotImplementedError

    def outcome(self, delivery: OutgoingDelivery, state: DeliveryState | None, settled: bool) -> None:
        """Hand a state on to the source, if the link still has one: for transactions."""
        raise NotImplementedError

    def drained(self) -> None:
        """The source has nothing more now: what is left of the credit is used up (2.6.7)."""
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class Source:
    """Where a receiving link's messages come from. `termini.open_source(attach, link) -> Source` makes it; it raises
    Refusal or AmqpError when there is none for this peer: then the attach is refused (2.6.3: attach with source null,
    then detach with the error)."""

    def __init__(self) -> None:
        self.ticket = 0  # the commit that our attach waits for

    def more(self) -> None:
        """Credit, window or room has come, or our attach is out: send while `link.may_send()`."""
        raise NotImplementedError

    def drain(self) -> bool:
        """As `more`, and True when there is nothing (more) now; False: `link.drained()` is called later."""
        raise NotImplementedError

    def outcome(self, delivery: OutgoingDelivery, state: DeliveryState | None, settled: bool) -> None:
        """The peer told its state (codec/v1/states.py): ACCEPTED, Rejected, RELEASED, Modified (of a committed
        transaction too), Received or None (not terminal; with `settled` the default outcome of the source is meant).
        The source calls `link.settle(delivery)` when the state is terminal or `settled`."""
        raise NotImplementedError

    def unsettled(self) -> list[OutgoingDelivery]:
        """What an earlier link of this terminus sent and has not settled, in its order; asked once, before our attach
        goes out (2.6.13). For each the engine then calls `outcome` (the peer's map has a terminal state) or `again`."""
        return []

    def again(self, delivery: OutgoingDelivery) -> None:
        """An unsettled one is to be sent again (`delivery.known` is set), before all that is new: by `link.send` when
        `link.may_send()`."""
        raise NotImplementedError

    def renewed(self) -> None:
        """`peer.principal` is another object: the identity was proven anew."""

    def suspended(self) -> None:
        """The link is gone without being closed (detach with closed=false, the session's or connection's end): it may
        be resumed. Deliveries of the link are not settled any more. Nothing is called after it."""
        raise NotImplementedError

    def closed(self) -> None:
        """The link is closed: the terminus is given up. Nothing is called after it."""
        raise NotImplementedError


# The peer sends: our receiving end. -----------------------------------------------------------------


class IncomingLink(Link):
    """One sending link of the peer. Made by the engine; `termini` of targets may set `target` (what our attach says),
    `rcv_settle_mode` and `offered` (credit to be kept up; 0: none)."""

    def __init__(self, peer: Peer, attach: Attach) -> None:
        super().__init__(peer, attach.name)
        self.snd_settle_mode: int = attach.snd_settle_mode
        self.rcv_settle_mode: int = attach.rcv_settle_mode
        self.target: object = attach.target
        self.properties: dict[object, object] | None = None
        self.max_message_size: int = peer.config.message_octets
        self.offered: int = peer.config.credit
        # Whether the target's terminus outlives the session: only then is it worth waiting for the sender to settle.
        self.lasts = False
        self.posting_in: bytes | None = None  # the transaction of a message that has not arrived whole

    def answer(self, delivery: IncomingDelivery, state: DeliveryState, settled: bool) -> None:
        """Tell the outcome (in a batch with others at the end of the turn). Nothing is told of one that came settled.
        `settled`: and forget it; else the sender settles it, and `Target.disposed` follows."""
        raise NotImplementedError

    def hold(self, delivery: IncomingDelivery, ticket: int, granted: DeliveryState, refused: DeliveryState) -> None:
        """As `answer` (settled unless `delivery.second`) with `granted` after the commit, with `refused` when it
        fails; at once when `ticket` is 0."""
        raise NotImplementedError


class Room:
    """What the messages of one transaction need of queues."""

    def __init__(self) -> None:
        self.octets = 0
        self.by_queue: dict[str, tuple[int, int]] = {}  # messages and octets


class Posting:
    """A message that was sent in a transaction and is to be published when that commits (4.4.2). It was judged when it
    came, and counted."""

    def check(self, room: Room) -> None:
        """Raises Refusal when it could not be published now, beside those that were checked before."""
        raise NotImplementedError

    def publish(self) -> None:
        """Let it in: after all were checked nothing refuses it. The journal keeps what must last until it does."""
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class Target:
    """Where a sending link's messages go to. Made by `targets.open_target(attach, link)`, which raises as
    `open_source`."""

    def __init__(self) -> None:
        self.ticket = 0
        self.is_quick = False  # whether `take` may be called

    def take(self, payload: bytes, settled: bool) -> int:
        """One message outside of any transaction, that the receiver settles first: returns the ticket that its
        acceptance waits for, 0 for none. Raises Refusal or AmqpError: it is rejected."""
        raise NotImplementedError

    def transfer(self, delivery: IncomingDelivery) -> None:
        """One message in general: answer it by `link.answer` or `link.hold`. Refusal or AmqpError raised: rejected."""
        raise NotImplementedError

    def post(self, delivery: IncomingDelivery) -> Posting:
        """One message in a transaction: judged now, published by the Posting. Refusal or AmqpError: its provisional
        outcome is rejected."""
        raise AmqpError(NOT_IMPLEMENTED, "this target takes no messages in transactions")

    def unsettled(self) -> dict[bytes, DeliveryState | None]:
        """Tag -> state of what an earlier link of this terminus took and its sender has not settled (2.6.13)."""
        return {}

    def disposed(self, delivery: IncomingDelivery, state: DeliveryState | None, settled: bool) -> None:
        """The sender told its state, or settled: it knows our outcome, and the tag is free."""

    def renewed(self) -> None:
        """As Source.renewed."""

    def suspended(self) -> None:
        """As Source.suspended."""

    def closed(self) -> None:
        """As Source.closed."""
