"""How exchanges and bindings are written as records (MessagePack arrays), and read again."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from pamqp import decode, encode

from bridgehead.broker import records
from bridgehead.broker.ports import Store
from bridgehead.broker.queues.stock import Author
from bridgehead.protocols.amqp.session.v091.arguments import Arguments
from bridgehead.protocols.amqp.session.v091.bindings import Binding, Exchange

EXCHANGES: Final = "exchange"  # by name
BINDINGS: Final = "binding"  # by Binding.key


class ExchangeRecord:
    """Without its name, which is the record's key."""

    def __init__(self, kind: str, auto_delete: bool, internal: bool, alternate: str, author: Author) -> None:
        self.kind: Final = kind
        self.auto_delete: Final = auto_delete
        self.internal: Final = internal
        self.alternate: Final = alternate
        self.author: Final = author


class BindingRecord:
    """`to_exchange`: what it leads to is an exchange and no queue."""

    def __init__(
        self, source: str, destination: str, to_exchange: bool, routing_key: str, arguments: Arguments, author: Author
    ) -> None:
        self.source: Final = source
        self.destination: Final = destination
        self.to_exchange: Final = to_exchange
        self.routing_key: Final = routing_key
        self.arguments: Final = arguments
        self.author: Final = author


def write_exchange(exchange: Exchange) -> bytes:
    """One that lasts and was declared by somebody."""
    assert exchange.owner is not None
    return records.write(
        (
            exchange.kind,
            exchange.auto_delete,
            exchange.internal,
            exchange.alternate,
            _author(exchange.owner),
        )
    )


def read_exchange(record: bytes) -> ExchangeRecord:
    kind, auto_delete, internal, alternate, author = records.read(record, "exchange", 5)
    return ExchangeRecord(str(kind), bool(auto_delete), bool(internal), str(alternate), _read_author(author))


def write_binding(binding: Binding) -> bytes:
    destination = binding.queue.name if binding.queue is not None else ""
    if binding.exchange is not None:
        destination = binding.exchange.name
    return records.write(
        (
            binding.source.name,
            destination,
            binding.exchange is not None,
            binding.routing_key,
            _packed(binding.arguments),
            _author(Author.of(binding.binder)),
        )
    )


def read_binding(record: bytes) -> BindingRecord:
    source, destination, to_exchange, routing_key, arguments, author = records.read(record, "binding", 6)
    table = _unpacked(arguments)
    if not isinstance(table, dict):
        raise records.CorruptRecord("the arguments of a stored binding are no table")
    return BindingRecord(
        str(source), str(destination), bool(to_exchange), str(routing_key), table, _read_author(author)
    )


def identities_of(store: Store) -> set[str]:
    """The names of those who declared exchanges that are kept, or bound them: they are to be admitted before."""
    found = {read_exchange(record).author.name for _, record in store.scan(EXCHANGES)}
    for _, record in store.scan(BINDINGS):
        found.add(read_binding(record).author.name)
    return found


# Field values (section 4.2.5) whose types MessagePack does not have, or has another use for, as lists that begin with
# one of these.
_LIST: Final = 0
_TIME: Final = 1  # as on the wire
_DECIMAL: Final = 2


def _packed(value: object) -> object:
    """A field value so that it comes back with its type, which headers are matched by."""
    if isinstance(value, dict):
        return {name: _packed(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_LIST, *[_packed(each) for each in value]]
    if isinstance(value, Decimal):
        return [_DECIMAL, str(value)]
    if value is None or isinstance(value, (bool, int, float, str, bytes, bytearray)):
        return value
    return [_TIME, _time(value)]  # the one kind that is left of what pamqp reads


def _time(value: Any) -> bytes:
    return encode.timestamp(value)


def _unpacked(value: Any) -> object:
    if isinstance(value, dict):
        return {str(name): _unpacked(each) for name, each in value.items()}
    if not isinstance(value, list):
        return value
    kind = value[0]
    if kind == _LIST:
        return [_unpacked(each) for each in value[1:]]
    if kind == _TIME:
        return decode.timestamp(value[1])[1]
    return Decimal(value[1])


def _author(author: Author) -> tuple[object, ...]:
    return (author.name, author.created, records.write_context(author.context))


def _read_author(fields: Any) -> Author:
    name, created, context = fields
    return Author(str(name), float(created), records.read_context(context))
