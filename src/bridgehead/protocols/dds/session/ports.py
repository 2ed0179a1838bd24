"""Between the routes and the rim: what the rim tells of DDS, and what routes ask of it.

Handles are Cyclone's instance handles: numbers that mean one thing while the participant lives.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from bridgehead.core.policy import Principal
from bridgehead.protocols.dds.mapping.settings import RouteQos

# Instance states (DDS 1.4 section 2.2.2.5.1.3), as Cyclone numbers them.
ALIVE: Final = 16
DISPOSED: Final = 32
NO_WRITERS: Final = 64
# The last octet of a user-defined reader's GUID (RTPS 2.3 section 9.3.1.2): without and with key.
_READERS: Final = (0x04, 0x07)


@mypyc_attr(acyclic=True)
class Sample:
    """What was taken of a reader: `data` is CDR with its encapsulation header, the key fields alone when it is not
    `valid` (DDS 1.4 section 2.2.2.5.1.1). `timestamp` is the source's, in nanoseconds since the epoch."""

    def __init__(self, data: bytes, valid: bool, state: int, timestamp: int, instance: int, publication: int) -> None:
        self.data: Final = data
        self.valid: Final = valid
        self.state: Final = state
        self.timestamp: Final = timestamp
        self.instance: Final = instance
        self.publication: Final = publication


@mypyc_attr(acyclic=True)
class Endpoint:
    """A remote writer or reader, as discovery tells it. `guid` and `participant` are GUIDs of 16 octets; `identity`
    is the device whose certificate its participant has shown, "" when it is nobody's. `secured`: on a domain with
    security. `tags` are its writer's data tags ("NAME=VALUE")."""

    def __init__(
        self,
        handle: int,
        guid: bytes,
        participant: bytes,
        identity: str,
        topic: str,
        type_name: str,
        partitions: tuple[str, ...],
        qos: RouteQos,
        tags: tuple[str, ...] = (),
        secured: bool = False,
    ) -> None:
        self.handle: Final = handle
        self.guid: Final = guid
        self.participant: Final = participant
        self.identity: Final = identity
        self.topic: Final = topic
        self.type_name: Final = type_name
        self.partitions: Final = partitions
        self.qos: Final = qos
        self.tags: Final = tags
        self.secured: Final = secured

    @property
    def is_reader(self) -> bool:
        return self.guid[-1] in _READERS

    @property
    def strength(self) -> int:
        """Ownership Strength (DDS 1.4 section 2.2.3.10)."""
        return self.qos.strength


@mypyc_attr(allow_interpreted_subclasses=True)
class Writer:
    """The route's writer in DDS, made by the rim."""

    def look(self) -> None:
        """Before readers are asked for: have the route told of all that match now, and of those that have gone.
        Errors: Refusal: UNAVAILABLE."""
        raise NotImplementedError

    def write(self, cdr: bytes, timestamp: int) -> bool:
        """`timestamp` in nanoseconds since the epoch, 0 for now. False: it would have to wait now, try again later.
        Errors: Refusal: PAYLOAD_FORMAT_INVALID for octets that are no sample of the type, UNAVAILABLE when DDS fails.
        """
        raise NotImplementedError

    def dispose(self, cdr_key: bytes) -> bool:
        """The instance of this key is no more (DDS 1.4 section 2.2.2.4.2.13). As `write`."""
        raise NotImplementedError

    def unregister(self, cdr_key: bytes) -> bool:
        """The hub writes it no more (DDS 1.4 section 2.2.2.4.2.7). As `write`."""
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class Parties:
    """Whose rights count, made by the node."""

    def party(self, name: str, verified: bool) -> Principal | None:
        """The device's rights over DDS, live; None: there is no such device. `verified`: its participant has shown its
        certificate."""
        raise NotImplementedError
