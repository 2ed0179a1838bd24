"""Decodes composite values: from octets, and from a described list that lay within another value."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from bridgehead.protocols.amqp.codec.v1.composites import (
    ACCEPTED_CODE,
    ATTACH,
    BEGIN,
    CLOSE,
    COORDINATOR,
    DECLARE,
    DECLARED,
    DETACH,
    DISCHARGE,
    DISPOSITION,
    END,
    ERROR,
    FLOW,
    MAX_UINT,
    MODIFIED,
    OPEN,
    RCV_FIRST,
    RECEIVED,
    REJECTED,
    RELEASED_CODE,
    SASL_CHALLENGE,
    SASL_INIT,
    SASL_MECHANISMS,
    SASL_OUTCOME,
    SASL_RESPONSE,
    SND_MIXED,
    SOURCE,
    TARGET,
    TRANSACTIONAL_STATE,
    TRANSFER,
    Composite,
    DeliveryState,
    Error,
    Performative,
)
from bridgehead.protocols.amqp.codec.v1.errors import undecodable
from bridgehead.protocols.amqp.codec.v1.fields import Fields
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
from bridgehead.protocols.amqp.codec.v1.reader import MAX_VALUES, NESTING, Reader
from bridgehead.protocols.amqp.codec.v1.sasl import (
    SaslChallenge,
    SaslInit,
    SaslMechanisms,
    SaslOutcome,
    SaslResponse,
)
from bridgehead.protocols.amqp.codec.v1.states import (
    ACCEPTED,
    RELEASED,
    Declare,
    Declared,
    Discharge,
    Modified,
    Received,
    Rejected,
    TransactionalState,
)
from bridgehead.protocols.amqp.codec.v1.termini import Coordinator, Source, Target
from bridgehead.protocols.amqp.codec.v1.types import Described, Symbol, ULong

# The number, name and section of each composite type.
_KINDS: Final[tuple[tuple[int, str, str], ...]] = (
    (OPEN, "open", "AMQP-2.7.1"),
    (BEGIN, "begin", "AMQP-2.7.2"),
    (ATTACH, "attach", "AMQP-2.7.3"),
    (FLOW, "flow", "AMQP-2.7.4"),
    (TRANSFER, "transfer", "AMQP-2.7.5"),
    (DISPOSITION, "disposition", "AMQP-2.7.6"),
    (DETACH, "detach", "AMQP-2.7.7"),
    (END, "end", "AMQP-2.7.8"),
    (CLOSE, "close", "AMQP-2.7.9"),
    (ERROR, "error", "AMQP-2.8.14"),
    (RECEIVED, "received", "AMQP-3.4.1"),
    (ACCEPTED_CODE, "accepted", "AMQP-3.4.2"),
    (REJECTED, "rejected", "AMQP-3.4.3"),
    (RELEASED_CODE, "released", "AMQP-3.4.4"),
    (MODIFIED, "modified", "AMQP-3.4.5"),
    (SOURCE, "source", "AMQP-3.5.3"),
    (TARGET, "target", "AMQP-3.5.4"),
    (COORDINATOR, "coordinator", "AMQP-4.5.1"),
    (DECLARE, "declare", "AMQP-4.5.2"),
    (DISCHARGE, "discharge", "AMQP-4.5.3"),
    (DECLARED, "declared", "AMQP-4.5.5"),
    (TRANSACTIONAL_STATE, "transactional-state", "AMQP-4.5.6"),
    (SASL_MECHANISMS, "sasl-mechanisms", "AMQP-5.3.3.1"),
    (SASL_INIT, "sasl-init", "AMQP-5.3.3.2"),
    (SASL_CHALLENGE, "sasl-challenge", "AMQP-5.3.3.3"),
    (SASL_RESPONSE, "sasl-response", "AMQP-5.3.3.4"),
    (SASL_OUTCOME, "sasl-outcome", "AMQP-5.3.3.5"),
)
_FEW: Final = 4_000  # values: of each a few octets come, and a hundred are kept
NAMES: Final[dict[int, str]] = {code: name for code, name, _ in _KINDS}
_SECTIONS: Final[dict[int, str]] = {code: section for code, _, section in _KINDS}
_SYMBOLS: Final[dict[str, int]] = {f"amqp:{name}:list": code for code, name, _ in _KINDS}


def decode_performative(data: bytes, offset: i64, end: i64) -> tuple[Performative, i64]:
    """The performative of a frame's body, and where its payload begins. Raises AmqpError."""
    # An unsettled map may be long (2.7.3); anything else says what it says with few values.
    is_attach = end - offset > 3 and data[offset + 1] == 0x53 and data[offset + 2] == ATTACH
    reader = Reader(data, offset, end, MAX_VALUES if is_attach else _FEW)
    value = composite_of(reader.value(NESTING))
    if not isinstance(value, Performative):
        raise undecodable("the frame's body begins with no performative", int(offset), "AMQP-2.3.2")
    return value, reader.pos


def decode_composite(data: bytes, offset: int = 0) -> tuple[Composite, int]:
    """A composite value (1.4), and the offset behind it. Raises AmqpError when the octets are anything else."""
    reader = Reader(data, offset, len(data))
    value = composite_of(reader.value(NESTING))
    if not isinstance(value, Composite):
        raise undecodable("this is no composite value", offset, "AMQP-1.4")
    return value, reader.pos


def descriptor_number(descriptor: object) -> int:
    """A descriptor's number, also where it is given as a symbol; -1 for one that belongs to no composite type."""
    if isinstance(descriptor, ULong):
        return descriptor.value
    if isinstance(descriptor, Symbol):
        return _SYMBOLS.get(descriptor, -1)
    return -1


def composite_of(value: object) -> object:
    """The composite value that a described list is; anything that is none comes back as it was.

    Raises AmqpError when the descriptor is a composite's and the fields are not.
    """
    if not isinstance(value, Described):
        return value
    code = descriptor_number(value.descriptor)
    name = NAMES.get(code)
    if name is None:
        return value
    values = value.value
    if not isinstance(values, list):
        raise undecodable(f"{name} is no list", clause=_SECTIONS[code])
    fields = Fields(values, name, _SECTIONS[code])
    composite = _composite(code, fields)
    fields.done()
    return composite


def _composite(code: int, fields: Fields) -> Composite:
    if OPEN <= code <= CLOSE:
        return _performative(code, fields)
    if RECEIVED <= code <= MODIFIED:
        return _outcome(code, fields)
    if code in (SOURCE, TARGET, COORDINATOR):
        return _terminus(code, fields)
    if code == ERROR:
        return Error(fields.mandatory_symbol("condition"), fields.string("description"), fields.mapping("info"))
    if DECLARE <= code <= TRANSACTIONAL_STATE:
        return _transaction(code, fields)
    return _sasl(code, fields)


def _performative(code: int, fields: Fields) -> Performative:
    if code == TRANSFER:
        return _transfer(fields)
    if code == FLOW:
        return _flow(fields)
    if code == DISPOSITION:
        return Disposition(
            fields.role(),
            fields.mandatory_uint("first"),
            fields.uint("last"),
            fields.boolean("settled"),
            _state(fields, "state"),
            fields.boolean("batchable"),
        )
    if code == ATTACH:
        return _attach(fields)
    if code == DETACH:
        return Detach(fields.mandatory_uint("handle"), fields.boolean("closed"), _error(fields))
    if code == END:
        return End(_error(fields))
    if code == CLOSE:
        return Close(_error(fields))
    if code == OPEN:
        return Open(
            fields.mandatory_string("container-id"),
            fields.string("hostname"),
            fields.uint("max-frame-size", MAX_UINT),
            fields.small("channel-max", 65_535),
            fields.uint("idle-time-out"),
            fields.symbols("outgoing-locales"),
            fields.symbols("incoming-locales"),
            fields.symbols("offered-capabilities"),
            fields.symbols("desired-capabilities"),
            fields.mapping("properties"),
        )
    return Begin(
        fields.small("remote-channel"),
        fields.mandatory_uint("next-outgoing-id"),
        fields.mandatory_uint("incoming-window"),
        fields.mandatory_uint("outgoing-window"),
        fields.uint("handle-max", MAX_UINT),
        fields.symbols("offered-capabilities"),
        fields.symbols("desired-capabilities"),
        fields.mapping("properties"),
    )


def _transfer(fields: Fields) -> Transfer:
    handle = fields.mandatory_uint("handle")
    delivery_id = fields.uint("delivery-id")
    delivery_tag = fields.binary("delivery-tag")
    if delivery_tag is not None and len(delivery_tag) > 32:
        raise undecodable("a delivery-tag has more than 32 octets", clause="AMQP-2.8.7")
    return Transfer(
        handle,
        delivery_id,
        delivery_tag,
        fields.uint("message-format"),
        _optional_boolean(fields, "settled"),
        fields.boolean("more"),
        fields.mode("rcv-settle-mode", -1, 1),
        _state(fields, "state"),
        fields.boolean("resume"),
        fields.boolean("aborted"),
        fields.boolean("batchable"),
    )


def _flow(fields: Fields) -> Flow:
    return Flow(
        fields.uint("next-incoming-id"),
        fields.mandatory_uint("incoming-window"),
        fields.mandatory_uint("next-outgoing-id"),
        fields.mandatory_uint("outgoing-window"),
        fields.uint("handle"),
        fields.uint("delivery-count"),
        fields.uint("link-credit"),
        fields.uint("available"),
        fields.boolean("drain"),
        fields.boolean("echo"),
        fields.mapping("properties"),
    )


def _attach(fields: Fields) -> Attach:
    return Attach(
        fields.mandatory_string("name"),
        fields.mandatory_uint("handle"),
        fields.role(),
        fields.mode("snd-settle-mode", SND_MIXED, 2),
        fields.mode("rcv-settle-mode", RCV_FIRST, 1),
        composite_of(fields.any()),
        composite_of(fields.any()),
        _unsettled(fields),
        fields.boolean("incomplete-unsettled"),
        fields.uint("initial-delivery-count"),
        fields.ulong("max-message-size"),
        fields.symbols("offered-capabilities"),
        fields.symbols("desired-capabilities"),
        fields.mapping("properties"),
    )


def _terminus(code: int, fields: Fields) -> Composite:
    if code == COORDINATOR:
        return Coordinator(fields.symbols("capabilities"))
    address = fields.any()
    durable = fields.uint("durable", 0)
    expiry_policy = fields.symbol("expiry-policy") or "session-end"
    timeout = fields.uint("timeout", 0)
    dynamic = fields.boolean("dynamic")
    dynamic_node_properties = fields.mapping("dynamic-node-properties")
    if code == TARGET:
        return Target(
            address,
            durable,
            expiry_policy,
            timeout,
            dynamic,
            dynamic_node_properties,
            fields.symbols("capabilities"),
        )
    return Source(
        address,
        durable,
        expiry_policy,
        timeout,
        dynamic,
        dynamic_node_properties,
        fields.symbol("distribution-mode"),
        fields.mapping("filter"),
        composite_of(fields.any()),
        fields.symbols("outcomes"),
        fields.symbols("capabilities"),
    )


def _outcome(code: int, fields: Fields) -> DeliveryState:
    if code == ACCEPTED_CODE:
        return ACCEPTED
    if code == RELEASED_CODE:
        return RELEASED
    if code == REJECTED:
        return Rejected(_error(fields))
    if code == MODIFIED:
        return Modified(
            fields.boolean("delivery-failed"),
            fields.boolean("undeliverable-here"),
            fields.mapping("message-annotations"),
        )
    section_number = fields.mandatory_uint("section-number")
    section_offset = fields.ulong("section-offset")
    if section_offset < 0:
        fields.present("section-offset", None)
    return Received(section_number, section_offset)


def _transaction(code: int, fields: Fields) -> Composite:
    if code == TRANSACTIONAL_STATE:
        return TransactionalState(fields.mandatory_binary("txn-id"), _state(fields, "outcome"))
    if code == DECLARE:
        return Declare(fields.any())
    if code == DISCHARGE:
        return Discharge(fields.mandatory_binary("txn-id"), fields.boolean("fail"))
    return Declared(fields.mandatory_binary("txn-id"))


def _sasl(code: int, fields: Fields) -> Performative:
    if code == SASL_MECHANISMS:
        return SaslMechanisms(fields.symbols("sasl-server-mechanisms", True))
    if code == SASL_INIT:
        return SaslInit(
            fields.mandatory_symbol("mechanism"), fields.binary("initial-response"), fields.string("hostname")
        )
    if code == SASL_CHALLENGE:
        return SaslChallenge(fields.mandatory_binary("challenge"))
    if code == SASL_RESPONSE:
        return SaslResponse(fields.mandatory_binary("response"))
    outcome = fields.small("code")
    if outcome < 0:
        fields.present("code", None)
    return SaslOutcome(outcome, fields.binary("additional-data"))


def _optional_boolean(fields: Fields, field: str) -> int:
    value = fields.any()
    if value is None:
        return -1
    if isinstance(value, bool):
        return 1 if value else 0
    raise fields.wrong(field)


def _state(fields: Fields, field: str) -> DeliveryState | None:
    value = composite_of(fields.any())
    if value is None or isinstance(value, DeliveryState):
        return value
    raise fields.wrong(field)


def _error(fields: Fields) -> Error | None:
    value = composite_of(fields.any())
    if value is None or isinstance(value, Error):
        return value
    raise fields.wrong("error")


def _unsettled(fields: Fields) -> dict[bytes, DeliveryState | None] | None:
    value = fields.mapping("unsettled")
    if value is None:
        return None
    found: dict[bytes, DeliveryState | None] = {}
    for tag, item in value.items():
        state = composite_of(item)
        if not isinstance(tag, bytes) or not (state is None or isinstance(state, DeliveryState)):
            raise fields.wrong("unsettled")
        found[tag] = state
    return found
