"""What a peer and its source agree on (3.5.3): how long the terminus lasts, filters, outcomes, how it is distributed.

What our attach says of the source is what holds, not what was asked for (2.6.3): `answer`.
"""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.amqp.codec.v1 import termini
from bridgehead.protocols.amqp.codec.v1.composites import Outcome
from bridgehead.protocols.amqp.codec.v1.errors import INVALID_FIELD, NOT_IMPLEMENTED, AmqpError
from bridgehead.protocols.amqp.codec.v1.states import RELEASED, Accepted, Modified, Rejected, Released
from bridgehead.protocols.amqp.codec.v1.types import Described, Integer, Symbol, ULong
from bridgehead.protocols.amqp.session.v1.contract import OutgoingLink, terminus_key
from bridgehead.protocols.amqp.session.v1.selector import Selector
from bridgehead.protocols.amqp.session.v1.selector_parser import parse_selector

COPY: Final = "copy"
MOVE: Final = "move"

# Capabilities that say what an address names (AMQP's binding of JMS).
QUEUE_WORDS: Final = ("queue", "temporary-queue")
TOPIC_WORDS: Final = ("topic", "temporary-topic")

# 3.5.6
LINK_DETACH: Final = "link-detach"
SESSION_END: Final = "session-end"
CONNECTION_CLOSE: Final = "connection-close"
NEVER: Final = "never"

# Filters by their descriptors, as they are registered with AMQP's filters.
NO_LOCAL: Final = "apache.org:no-local-filter:list"
NO_LOCAL_CODE: Final = 0x0000_468C_0000_0003
SELECTOR: Final = "apache.org:selector-filter:string"
SELECTOR_CODE: Final = 0x0000_468C_0000_0004

_OUTCOMES: Final = (
    "amqp:accepted:list",
    "amqp:rejected:list",
    "amqp:released:list",
    "amqp:modified:list",
)
_CAPABILITIES: Final = (*QUEUE_WORDS, *TOPIC_WORDS)
# A link's property that other brokers know, too: who of a queue's consumers comes first.
_PRIORITY: Final = "rabbitmq:priority"
_HIGHEST: Final = 2**31 - 1


class Terms:
    """`client_id` is the hub's name for the terminus; `lasting`: seconds that it is kept without a link; `copies`:
    messages are shown and stay; `filters`: those in force, by the names that the peer gave them."""

    def __init__(
        self,
        client_id: str,
        lasting: float,
        selector: Selector | None,
        no_local: bool,
        filters: dict[object, object],
        default_outcome: Outcome,
        outcomes: list[Symbol],
        copies: bool,
        priority: int = 0,
    ) -> None:
        self.client_id: Final = client_id
        self.lasting: Final = lasting
        self.selector: Final = selector
        self.no_local: Final = no_local
        self.filters: Final = filters
        self.default_outcome: Final = default_outcome
        self.outcomes: Final = outcomes
        self.copies: Final = copies
        self.priority: Final = priority


def client_id_of(link: OutgoingLink, lasting: bool) -> str:
    """A terminus that lasts is known by container-id and link name (and its identity); any other is one link's of one
    connection."""
    peer = link.peer
    if lasting:
        return terminus_key("amqp", peer.container_id, link.name)
    return terminus_key(peer.origin.client_id, "", link.name)


def agree(link: OutgoingLink, source: termini.Source, is_topic: bool, properties: dict[object, object] | None) -> Terms:
    """Raises AmqpError for what the hub cannot do. `properties` are those of the attach."""
    mode = source.distribution_mode
    if mode not in (None, COPY, MOVE):
        raise AmqpError(INVALID_FIELD, "distribution-mode is move or copy", clause="AMQP-3.5.7")
    selector: Selector | None = None
    no_local = False
    filters: dict[object, object] = {}
    for name, value in (source.filter or {}).items():
        if _is(name, value, SELECTOR, SELECTOR_CODE):
            text = value.value if isinstance(value, Described) else value
            if not isinstance(text, str):
                raise AmqpError(INVALID_FIELD, "a selector is a string", clause="AMQP-3.5.8")
            if selector is not None:
                raise AmqpError(INVALID_FIELD, "there are two selectors: join them with AND", clause="AMQP-3.5.8")
            selector = parse_selector(text, link.peer.config.selector_octets)
            filters[name] = value
        elif _is(name, value, NO_LOCAL, NO_LOCAL_CODE) and is_topic:
            no_local = True
            filters[name] = value
    lasting = _lasting(link, source)
    return Terms(
        client_id_of(link, lasting > 0),
        lasting,
        selector,
        no_local,
        filters,
        _default_outcome(source),
        _outcomes(source),
        is_topic or mode == COPY,
        _priority(properties),
    )


def _is(name: object, value: object, symbol: str, code: int) -> bool:
    """A filter is known by its descriptor (3.5.8); one without is known by its name."""
    if isinstance(value, Described):
        descriptor = value.descriptor
        if isinstance(descriptor, ULong):
            return descriptor.value == code
        return isinstance(descriptor, str) and descriptor == symbol
    return value is not None and isinstance(name, str) and name == symbol


def _lasting(link: OutgoingLink, source: termini.Source) -> float:
    most = float(link.peer.broker.limits.session_expiry_interval)
    policy = source.expiry_policy
    if policy == NEVER:
        return most
    if policy not in (LINK_DETACH, SESSION_END, CONNECTION_CLOSE):
        raise AmqpError(INVALID_FIELD, f"there is no expiry-policy {policy[:64]!r}", clause="AMQP-3.5.6")
    return min(float(source.timeout), most)


def _default_outcome(source: termini.Source) -> Outcome:
    asked = source.default_outcome
    if asked is None:
        return RELEASED
    if isinstance(asked, Rejected):
        return Rejected(None)  # why is for nobody here, and is not kept
    if isinstance(asked, Modified):
        return Modified(asked.delivery_failed, asked.undeliverable_here, None)
    if isinstance(asked, Accepted | Released):
        return asked
    raise AmqpError(
        NOT_IMPLEMENTED, "the default-outcome is accepted, rejected, released or modified", clause="AMQP-3.5.3"
    )


def _outcomes(source: termini.Source) -> list[Symbol]:
    if not source.outcomes:
        return [Symbol(name) for name in _OUTCOMES]
    known = [Symbol(name) for name in _OUTCOMES if name in source.outcomes]
    if not known:
        raise AmqpError(NOT_IMPLEMENTED, f"the outcomes here are {', '.join(_OUTCOMES)}", clause="AMQP-3.5.3")
    return known


def _priority(properties: dict[object, object] | None) -> int:
    if properties is None or _PRIORITY not in properties:
        return 0
    asked = properties[_PRIORITY]
    value = asked.value if isinstance(asked, Integer) else asked
    if isinstance(value, bool) or not isinstance(value, int):
        raise AmqpError(INVALID_FIELD, f"{_PRIORITY} is a whole number", clause="AMQP-2.7.3")
    return max(-_HIGHEST, min(value, _HIGHEST // 2))


def answer(
    source: termini.Source, address: object, terms: Terms, node_properties: dict[object, object] | None
) -> termini.Source:
    """The source as it is in force. Time runs from the detaching of the link on, whatever ends it."""
    lasts = terms.lasting > 0
    return termini.Source(
        address,
        source.durable if lasts else 0,
        LINK_DETACH,
        int(terms.lasting),
        source.dynamic,
        node_properties,
        COPY if terms.copies else MOVE,
        terms.filters or None,
        terms.default_outcome,
        terms.outcomes,
        [each for each in source.capabilities if each in _CAPABILITIES],
    )
