"""Encodes the composite types. Every list has its full length, nulls included: some peers index fields unseen."""

from __future__ import annotations

from bridgehead.core.errors import LocalMisuse
from bridgehead.protocols.amqp.codec.v1.composites import ABSENT, Composite, DeliveryState, Error
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
from bridgehead.protocols.amqp.codec.v1.sasl import (
    SaslChallenge,
    SaslInit,
    SaslMechanisms,
    SaslOutcome,
    SaslResponse,
)
from bridgehead.protocols.amqp.codec.v1.states import (
    Declare,
    Declared,
    Discharge,
    Modified,
    Received,
    Rejected,
    TransactionalState,
)
from bridgehead.protocols.amqp.codec.v1.termini import Coordinator, Source, Target
from bridgehead.protocols.amqp.codec.v1.types import Array
from bridgehead.protocols.amqp.codec.v1.writer import (
    FALSE,
    NULL,
    TRUE,
    encode_value,
    put_binary,
    put_composite,
    put_map,
    put_pairs,
    put_string,
    put_symbol,
    put_symbols,
    put_uint,
    put_ulong,
)
from bridgehead.wire.writer import u8, u16


def encode(value: Composite) -> bytes:
    """The octets of a composite value: descriptor and list. Raises LocalMisuse for a field that does not fit."""
    return put_composite(int(value.code), _fields(value))


def frame(channel: int, body: bytes) -> bytes:
    """An AMQP frame (2.3.2) around a performative and its payload. An empty body keeps a connection alive."""
    return b"%b\x02\x00%b%b" % ((len(body) + 8).to_bytes(4, "big"), u16(channel), body)


def sasl_frame(body: bytes) -> bytes:
    """A SASL frame (5.3.1)."""
    return b"%b\x02\x01\x00\x00%b" % ((len(body) + 8).to_bytes(4, "big"), body)


def _fields(value: Composite) -> list[bytes]:
    if isinstance(value, Transfer):
        return _transfer(value)
    if isinstance(value, Disposition):
        return [
            _bool(value.role),
            put_uint(value.first),
            _uint(value.last),
            _bool(value.settled),
            _any(value.state),
            _bool(value.batchable),
        ]
    if isinstance(value, Flow):
        return _flow(value)
    if isinstance(value, Attach):
        return _attach(value)
    if isinstance(value, Detach):
        return [put_uint(value.handle), _bool(value.closed), _any(value.error)]
    if isinstance(value, End | Close):
        return [_any(value.error)]
    if isinstance(value, Open):
        return [
            put_string(value.container_id),
            _string(value.hostname),
            put_uint(value.max_frame_size),
            _ushort(value.channel_max),
            _uint(value.idle_time_out),
            put_symbols(value.outgoing_locales),
            put_symbols(value.incoming_locales),
            put_symbols(value.offered_capabilities),
            put_symbols(value.desired_capabilities),
            _map(value.properties),
        ]
    if isinstance(value, Begin):
        return [
            _ushort(value.remote_channel),
            put_uint(value.next_outgoing_id),
            put_uint(value.incoming_window),
            put_uint(value.outgoing_window),
            put_uint(value.handle_max),
            put_symbols(value.offered_capabilities),
            put_symbols(value.desired_capabilities),
            _map(value.properties),
        ]
    if isinstance(value, Source | Target | Coordinator):
        return _terminus(value)
    if isinstance(value, Error):
        return [put_symbol(value.condition), _string(value.description), _map(value.info)]
    if isinstance(value, SaslMechanisms | SaslInit | SaslChallenge | SaslResponse | SaslOutcome):
        return _sasl(value)
    return _state(value)


def _transfer(value: Transfer) -> list[bytes]:
    return [
        put_uint(value.handle),
        _uint(value.delivery_id),
        _binary(value.delivery_tag),
        _uint(value.message_format),
        NULL if value.settled == ABSENT else _bool(value.settled == 1),
        _bool(value.more),
        _ubyte(value.rcv_settle_mode),
        _any(value.state),
        _bool(value.resume),
        _bool(value.aborted),
        _bool(value.batchable),
    ]


def _flow(value: Flow) -> list[bytes]:
    return [
        _uint(value.next_incoming_id),
        put_uint(value.incoming_window),
        put_uint(value.next_outgoing_id),
        put_uint(value.outgoing_window),
        _uint(value.handle),
        _uint(value.delivery_count),
        _uint(value.link_credit),
        _uint(value.available),
        _bool(value.drain),
        _bool(value.echo),
        _map(value.properties),
    ]


def _attach(value: Attach) -> list[bytes]:
    return [
        put_string(value.name),
        put_uint(value.handle),
        _bool(value.role),
        _ubyte(value.snd_settle_mode),
        _ubyte(value.rcv_settle_mode),
        _any(value.source),
        _any(value.target),
        _unsettled(value.unsettled),
        _bool(value.incomplete_unsettled),
        _uint(value.initial_delivery_count),
        NULL if value.max_message_size == ABSENT else put_ulong(value.max_message_size),
        put_symbols(value.offered_capabilities),
        put_symbols(value.desired_capabilities),
        _map(value.properties),
    ]


def _terminus(value: Source | Target | Coordinator) -> list[bytes]:
    if isinstance(value, Coordinator):
        return [put_symbols(value.capabilities)]
    fields = [
        _any(value.address),
        put_uint(value.durable),
        put_symbol(value.expiry_policy),
        put_uint(value.timeout),
        _bool(value.dynamic),
        _map(value.dynamic_node_properties),
    ]
    if isinstance(value, Source):
        fields.append(NULL if value.distribution_mode is None else put_symbol(value.distribution_mode))
        fields.append(_map(value.filter))
        fields.append(_any(value.default_outcome))
        fields.append(put_symbols(value.outcomes))
    fields.append(put_symbols(value.capabilities))
    return fields


def _sasl(value: SaslMechanisms | SaslInit | SaslChallenge | SaslResponse | SaslOutcome) -> list[bytes]:
    if isinstance(value, SaslMechanisms):
        # Mandatory, so an array also of none: null would be an absent field.
        return [encode_value(Array(0xA3, list(value.sasl_server_mechanisms)))]
    if isinstance(value, SaslInit):
        return [put_symbol(value.mechanism), _binary(value.initial_response), _string(value.hostname)]
    if isinstance(value, SaslChallenge):
        return [put_binary(value.challenge)]
    if isinstance(value, SaslResponse):
        return [put_binary(value.response)]
    return [_ubyte(value.outcome), _binary(value.additional_data)]


def _state(value: Composite) -> list[bytes]:
    if isinstance(value, Rejected):
        return [_any(value.error)]
    if isinstance(value, Modified):
        return [_bool(value.delivery_failed), _bool(value.undeliverable_here), _map(value.message_annotations)]
    if isinstance(value, TransactionalState):
        return [put_binary(value.txn_id), _any(value.outcome)]
    if isinstance(value, Declared):
        return [put_binary(value.txn_id)]
    if isinstance(value, Received):
        return [put_uint(value.section_number), put_ulong(value.section_offset)]
    if isinstance(value, Declare):
        return [_any(value.global_id)]
    if isinstance(value, Discharge):
        return [put_binary(value.txn_id), _bool(value.fail)]
    return []


def _any(value: object) -> bytes:
    return encode(value) if isinstance(value, Composite) else encode_value(value)


def _bool(value: bool) -> bytes:
    return TRUE if value else FALSE


def _uint(value: int) -> bytes:
    return NULL if value == ABSENT else put_uint(value)


def _ushort(value: int) -> bytes:
    if value == ABSENT:
        return NULL
    if not 0 <= value <= 65_535:
        raise LocalMisuse(f"{value} is no ushort")
    return b"\x60" + u16(value)


def _ubyte(value: int) -> bytes:
    if value == ABSENT:
        return NULL
    if not 0 <= value <= 255:
        raise LocalMisuse(f"{value} is no ubyte")
    return b"\x50" + u8(value)


def _string(value: str | None) -> bytes:
    return NULL if value is None else put_string(value)


def _binary(value: bytes | None) -> bytes:
    return NULL if value is None else put_binary(value)


def _map(value: dict[object, object] | None) -> bytes:
    return NULL if value is None else put_map(value)


def _unsettled(value: dict[bytes, DeliveryState | None] | None) -> bytes:
    if value is None:
        return NULL
    parts: list[bytes] = []
    for tag, state in value.items():
        parts.append(put_binary(tag))
        parts.append(_any(state))
    return put_pairs(parts)
