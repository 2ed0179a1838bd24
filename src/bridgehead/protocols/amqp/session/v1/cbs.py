"""The node `$cbs`: a token given anew while the connection is open (AMQP Claims-based Security, CSD 01).

Two forms are taken: "put-token" with an answer on a receiving link (as Azure's clients and SmallRye do, the former
without saying where to), and the draft's "set-token", whose outcome is the answer. Both prove the identity anew; none
proves another one.
"""

from __future__ import annotations

from typing import Final

from bridgehead.core.errors import NOT_AUTHORIZED, Refusal
from bridgehead.protocols.amqp.codec.v1.errors import (
    INVALID_FIELD,
    NOT_ALLOWED,
    RESOURCE_LIMIT_EXCEEDED,
    UNAUTHORIZED_ACCESS,
    AmqpError,
)
from bridgehead.protocols.amqp.codec.v1.performatives import Attach
from bridgehead.protocols.amqp.codec.v1.sections import (
    AMQP_VALUE,
    APPLICATION_PROPERTIES,
    Properties,
    Sections,
    put_properties,
    put_section,
)
from bridgehead.protocols.amqp.codec.v1.states import ACCEPTED
from bridgehead.protocols.amqp.codec.v1.termini import Target as Terminus
from bridgehead.protocols.amqp.codec.v1.types import Int
from bridgehead.protocols.amqp.session.proving import Renewal, renewing
from bridgehead.protocols.amqp.session.speaker import Speaker
from bridgehead.protocols.amqp.session.v1.contract import (
    IncomingDelivery,
    IncomingLink,
    OutgoingDelivery,
    OutgoingLink,
    Source,
    Target,
)
from bridgehead.protocols.amqp.session.v1.faults import rejected_for

ADDRESS: Final = "$cbs"
_WAITING: Final = 16  # tokens not judged yet, and answers not taken yet: more than any client has under way
_TYPES: Final = ("jwt", "amqp:jwt")
_OK: Final = 200
_BAD_REQUEST: Final = 400
_UNAUTHORIZED: Final = 401


class _Asked(Renewal):
    """One token that was brought, until it is judged."""

    def __init__(
        self,
        node: TokenNode,
        link: IncomingLink,
        delivery: IncomingDelivery,
        properties: Properties,
        answered: bool,
        token: str,
    ) -> None:
        self._node: Final = node
        self._link: Final = link
        self._delivery: Final = delivery
        self._answered: Final = answered
        self._reply_to: Final = properties.reply_to
        self._id: Final = properties.message_id if properties.correlation_id is None else properties.correlation_id
        self.token: Final = token

    def granted(self, expires_at: float) -> None:
        self._link.answer(self._delivery, ACCEPTED, not self._delivery.second)
        self._tell(_OK, "the token is accepted")
        self._node.judged()

    def refused(self, because: str) -> None:
        if self._answered:
            self._link.answer(self._delivery, ACCEPTED, not self._delivery.second)
            self._tell(_UNAUTHORIZED, because)
        else:
            fault = AmqpError(UNAUTHORIZED_ACCESS, because)
            self._link.answer(self._delivery, rejected_for(fault), not self._delivery.second)
        self._node.judged()

    def _tell(self, status: int, text: str) -> None:
        if self._answered:
            self._node.tell(self._reply_to, self._id, status, text)


class TokenNode:
    """`$cbs` of one connection: judges one token after the other, and answers on the peer's receiving links."""

    def __init__(self, connection: Speaker) -> None:
        self._connection: Final = connection
        self._waiting: list[_Asked] = []
        self._sources: list[CbsSource] = []
        self._current: _Asked | None = None

    def add(self, source: CbsSource) -> None:
        self._sources.append(source)

    def remove(self, source: CbsSource) -> None:
        if source in self._sources:
            self._sources.remove(source)

    def is_heard(self) -> bool:
        """Whether the peer has a link for answers."""
        return bool(self._sources)

    def bring(self, asked: _Asked) -> None:
        """Errors: AmqpError."""
        if len(self._waiting) >= _WAITING:
            raise AmqpError(RESOURCE_LIMIT_EXCEEDED, "too many tokens at once: wait for the answers")
        self._waiting.append(asked)
        if self._current is None:
            self._next()

    def judged(self) -> None:
        self._current = None
        self._next()

    def _next(self) -> None:
        while self._waiting and self._current is None:
            asked = self._waiting.pop(0)
            session = self._connection.hub_session
            if session is None:
                return
            self._current = asked
            try:
                turn = renewing(self._connection.mechanisms, session.principal.name, asked.token, asked)
            except Refusal as refusal:
                asked.refused(refusal.because)
                return  # `judged` has gone on with the next
            self._connection.ask(turn)

    def tell(self, reply_to: object, correlation_id: object, status: int, text: str) -> None:
        """Answer on the receiving link that the request named, or on the one there is."""
        if not self._sources:
            return
        chosen = self._sources[-1]
        for source in self._sources:
            if source.is_at(reply_to):
                chosen = source
        properties = Properties(to=reply_to, correlation_id=correlation_id)
        told: dict[object, object] = {"status-code": Int(status), "status-description": text}
        chosen.give(
            put_properties(properties) + put_section(APPLICATION_PROPERTIES, told) + put_section(AMQP_VALUE, "")
        )


class CbsSource(Source):
    """Where answers come from, settled."""

    def __init__(self, node: TokenNode, link: OutgoingLink, address: object) -> None:
        super().__init__()
        self._node: Final = node
        self._link: Final = link
        self._address: Final = address
        self._waiting: list[bytes] = []
        node.add(self)

    def is_at(self, reply_to: object) -> bool:
        return reply_to is not None and (reply_to == self._address or reply_to == self._link.name)

    def give(self, payload: bytes) -> None:
        if len(self._waiting) >= _WAITING:
            del self._waiting[0]
        self._waiting.append(payload)
        self.more()

    def more(self) -> None:
        while self._waiting and self._link.may_send():
            self._link.send_settled(self._waiting.pop(0))

    def drain(self) -> bool:
        self.more()
        return not self._waiting

    def outcome(self, delivery: OutgoingDelivery, state: object | None, settled: bool) -> None:
        """Nothing is sent unsettled."""

    def again(self, delivery: OutgoingDelivery) -> None:
        """Nothing is sent unsettled."""

    def suspended(self) -> None:
        self._node.remove(self)

    def closed(self) -> None:
        self._node.remove(self)


class CbsTarget(Target):
    """Where tokens go to."""

    def __init__(self, node: TokenNode, link: IncomingLink) -> None:
        super().__init__()
        self._node: Final = node
        self._link: Final = link

    def transfer(self, delivery: IncomingDelivery) -> None:
        sections = Sections(delivery.payload)
        properties = sections.properties()
        said = sections.application_properties()
        operation = said.get("operation", properties.subject)
        kind = said.get("type", said.get("token-type"))
        answered = operation != "set-token" and self._node.is_heard()
        token = _token(sections)
        if operation not in ("put-token", "set-token"):
            self._refuse(delivery, properties, INVALID_FIELD, "what $cbs does is put-token: name it as the operation")
        elif kind not in _TYPES:
            self._refuse(delivery, properties, NOT_ALLOWED, "the type of the token is not known here: send a jwt")
        elif token is None:
            self._refuse(delivery, properties, INVALID_FIELD, "the body is no token: send it as one string")
        else:
            self._node.bring(_Asked(self._node, self._link, delivery, properties, answered, token))

    def _refuse(self, delivery: IncomingDelivery, properties: Properties, condition: str, because: str) -> None:
        if not self._node.is_heard():
            raise AmqpError(condition, because)
        self._link.answer(delivery, ACCEPTED, not delivery.second)
        named = properties.message_id if properties.correlation_id is None else properties.correlation_id
        self._node.tell(properties.reply_to, named, _BAD_REQUEST, because)

    def suspended(self) -> None:
        """Nothing lasts."""

    def closed(self) -> None:
        """Nothing lasts."""


def open_cbs_source(attach: Attach, link: OutgoingLink, connection: Speaker) -> CbsSource:
    """For a peer that receives the answers."""
    address = attach.target.address if isinstance(attach.target, Terminus) else None
    return CbsSource(_node_of(connection), link, address)


def open_cbs_target(attach: Attach, link: IncomingLink, connection: Speaker) -> CbsTarget:
    """For a peer that brings tokens. Errors: Refusal, where the connection was opened without one that could end."""
    if connection.hub_session is None:
        raise Refusal(NOT_AUTHORIZED, "nobody's identity is proven here yet")
    link.offered = _WAITING
    return CbsTarget(_node_of(connection), link)


def _node_of(connection: Speaker) -> TokenNode:
    found = connection.token_node
    if isinstance(found, TokenNode):
        return found
    made = TokenNode(connection)
    connection.token_node = made
    return made


def _token(sections: Sections) -> str | None:
    values = sections.values()
    value = values[0] if len(values) == 1 else None
    if isinstance(value, bytes):
        return value.decode("ascii", "replace")
    return value if isinstance(value, str) else None
