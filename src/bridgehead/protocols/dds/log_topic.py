"""Security's log on a topic of each secured domain: BuiltinLoggingType (DDS Security 1.1 section 9.6).

The topic is `DDS/Security/LogTopic`, as Cyclone DDS 0.10 refuses the colons of the specification's name. It knows no
maps: `structured_data` is a sequence of pairs, which has the same octets as a map (DDS-XTypes 1.3 section 7.4.3.5).
Governance encrypts it like any other topic, and permissions say who may read it: nobody but the hub writes it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from time import monotonic
from typing import Any, Final

from bridgehead.core.errors import Refusal
from bridgehead.protocols.dds import policies
from bridgehead.protocols.dds.codec.errors import Unencodable
from bridgehead.protocols.dds.codec.stream import XCDR1
from bridgehead.protocols.dds.config import DomainConfig
from bridgehead.protocols.dds.cyclone import DdsError
from bridgehead.protocols.dds.idl import Compiled, compiled
from bridgehead.protocols.dds.mapping.settings import TRANSIENT_LOCAL, RouteConfig, RouteQos
from bridgehead.protocols.dds.participant import Participant
from bridgehead.protocols.dds.writer import RawWriter
from bridgehead.security.dds.routes import LOG_TOPIC

# Severities (RFC 5424 section 6.2.1), by their names in LoggingLevel.
ERROR: Final = "ERROR_LEVEL"
WARNING: Final = "WARNING_LEVEL"
NOTICE: Final = "NOTICE_LEVEL"
INFORMATIONAL: Final = "INFO_LEVEL"
LEVELS: Final = (
    "EMERGENCY_LEVEL",
    "ALERT_LEVEL",
    "CRITICAL_LEVEL",
    ERROR,
    WARNING,
    NOTICE,
    INFORMATIONAL,
    "DEBUG_LEVEL",
)
_FACILITY: Final = 10  # security and authorization messages (section 9.6, and RFC 5424 table 1)
_ELEMENT: Final = "bridgehead"
_NANOSECONDS: Final = 1_000_000_000
_KEPT: Final = 100  # lines that a late reader gets
_RATE: Final = 50.0  # lines a second; more are counted, and the next line says how many


@cache
def logging_type() -> Compiled:
    """As one of the binding's classes, made when DDS is there. Errors: IdlError."""
    from cyclonedds.idl import annotations, make_idl_enum, make_idl_struct

    types: Any = import_module("cyclonedds.idl.types")

    def structure(kind: str, members: dict[str, Any]) -> Any:
        return annotations.final(make_idl_struct(kind, f"DDSSecurity.{kind}", members))

    level = make_idl_enum("LoggingLevel", "DDSSecurity.LoggingLevel", {each: at for at, each in enumerate(LEVELS)})
    pair = structure("NameValuePair", {"name": str, "value": str})
    element = structure("StructuredElement", {"key": str, "value": types.sequence[pair]})
    time = structure("Time_t", {"sec": types.int32, "nanosec": types.uint32})
    texts = dict.fromkeys(("hostname", "hostip", "appname", "procid", "msgid", "message"), str)
    members = {"facility": types.uint8, "severity": level, "timestamp": time, **texts}
    line = structure("BuiltinLoggingTypeV2", {**members, "structured_data": types.sequence[element]})
    return compiled(line, LOG_TOPIC)


class SecurityLog:
    """Of one domain. Lines before `open` and after `close` are not kept: the audit log has them."""

    def __init__(self, domain: DomainConfig) -> None:
        qos = RouteQos(durability=TRANSIENT_LOCAL, depth=_KEPT)
        self._route: Final = RouteConfig(domain.domain, LOG_TOPIC, qos=qos)
        self._writer: RawWriter | None = None
        self._host: Final = socket.gethostname()
        self._allowed = _RATE
        self._last = monotonic()
        self._left_out = 0

    @property
    def name(self) -> str:
        return self._route.name

    def open(self, participant: Participant) -> None:
        """Errors: DdsError."""
        described = logging_type()
        representation = policies.XCDR1 if described.codec.representation == XCDR1 else policies.XCDR2
        topic = participant.topic(LOG_TOPIC, described.python, representation, described.type.extensibility)
        self._writer = RawWriter(participant, topic, self._route)

    def close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def write(self, severity: str, event: str, message: str, fields: Mapping[str, object], now: float) -> bool:
        """`now`: seconds since the epoch. False: left out, because there is no room or too much is told."""
        if self._writer is None or not self._admits():
            return False
        pairs = [{"name": name, "value": _shown(value)} for name, value in fields.items()]
        if self._left_out:
            pairs.append({"name": "left-out", "value": str(self._left_out)})
        line = {
            "facility": _FACILITY,
            "severity": severity,
            "timestamp": {"sec": int(now), "nanosec": int(now % 1 * _NANOSECONDS)},
            "hostname": self._host,
            "hostip": "",
            "appname": "bridgehead",
            "procid": str(os.getpid()),
            "msgid": event,
            "message": _shown(message),
            "structured_data": [{"key": _ELEMENT, "value": pairs}],
        }
        try:
            written = self._writer.write(logging_type().codec.encode(line), 0)
        except (Refusal, Unencodable, DdsError):
            written = False
        self._left_out = 0 if written else self._left_out + 1
        return written

    def _admits(self) -> bool:
        now = monotonic()
        self._allowed = min(_RATE, self._allowed + (now - self._last) * _RATE)
        self._last = now
        if self._allowed < 1:
            self._left_out += 1
            return False
        self._allowed -= 1
        return True


def _shown(value: object) -> str:
    """A text without NUL, which CDR strings cannot have."""
    return str(value).replace("\0", "\N{REPLACEMENT CHARACTER}")
