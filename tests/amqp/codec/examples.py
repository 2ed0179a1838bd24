"""One of each composite type, and messages: the seeds of the fuzz targets."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.amqp.codec.v1.composites import Composite, Error
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
from bridgehead.protocols.amqp.codec.v1.sections import (
    AMQP_SEQUENCE,
    AMQP_VALUE,
    APPLICATION_PROPERTIES,
    DELIVERY_ANNOTATIONS,
    FOOTER,
    MESSAGE_ANNOTATIONS,
    Header,
    Properties,
    put_data,
    put_header,
    put_properties,
    put_section,
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
from bridgehead.protocols.amqp.codec.v1.types import Described, Symbol, UInt

_ERROR: Final = Error("amqp:not-found", "no such node", {Symbol("k"): "v"})
_SOURCE: Final = Source(
    "a/#",
    2,
    "never",
    9,
    False,
    {Symbol("lifetime-policy"): Described(Symbol("amqp:delete-on-close:list"), [])},
    "copy",
    {Symbol("f"): Described(Symbol("apache.org:selector-filter:string"), "a = 1")},
    RELEASED,
    [Symbol("amqp:accepted:list")],
    [Symbol("topic")],
)
COMPOSITES: Final[list[Composite]] = [
    Open("c", "hub", 4096, 255, 1000, [Symbol("en")], [], [Symbol("a"), Symbol("b")], [], {Symbol("product"): "x"}),
    Begin(0, 4_294_967_295, 10, 10, 255),
    Attach("l", 0, True, 0, 1, _SOURCE, Target("b"), {b"1": None, b"2": Received(1, 2)}, True, 5, 100),
    Attach("t", 1, False, target=Coordinator([Symbol("amqp:local-transactions")])),
    Flow(1, 2, 3, 4),
    Flow(-1, 2, 3, 4, 5, 6, 7, 8, True, True, {Symbol("k"): UInt(1)}),
    Transfer(0, 300, b"tag", 0, 1),
    Transfer(0, 1, bytes(32), 0, 0, True, 1, TransactionalState(b"t", ACCEPTED), True, True, True),
    Transfer(7, more=True),
    Disposition(True, 0, 5, True, ACCEPTED),
    Disposition(False, 1, -1, False, Rejected(_ERROR), True),
    Disposition(True, 1, -1, True, Modified(True, True, {Symbol("x-opt-k"): "v"})),
    Detach(0, True, _ERROR),
    End(_ERROR),
    Close(),
    Declare(),
    Discharge(b"t", True),
    Declared(b"t"),
    SaslMechanisms([Symbol("PLAIN"), Symbol("EXTERNAL")]),
    SaslInit("PLAIN", b"\0a\0b", "hub"),
    SaslChallenge(b"c"),
    SaslResponse(b"r"),
    SaslOutcome(0, b"v=1"),
]
_TOLD: Final = Properties("id", b"me", "/topics/a", "s", "/topics/b", b"c", "text/plain", "gzip", 1, 2, "g", 3, "h")
MESSAGES: Final[list[bytes]] = [
    put_data(b"21.5"),
    put_header(Header(True, 9, 1000, True, 3)) + put_data(b"a") + put_data(b"b" * 300),
    put_section(DELIVERY_ANNOTATIONS, {Symbol("d"): 1})
    + put_section(MESSAGE_ANNOTATIONS, {Symbol("x-opt-retain"): True})
    + put_properties(_TOLD)
    + put_section(APPLICATION_PROPERTIES, {"k": UInt(4)})
    + put_section(AMQP_VALUE, {"a": [1, None]})
    + put_section(FOOTER, {Symbol("f"): 1}),
    put_section(AMQP_SEQUENCE, [1, "x"]) * 2,
]
