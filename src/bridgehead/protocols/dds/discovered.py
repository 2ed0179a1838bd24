"""The type of a topic, asked of whoever announces it (DDS-XTypes 1.3 section 7.6.3.3).

The question and the answer travel in clear, whatever a domain protects else, and the answer is what somebody else says:
only domains whose configuration permits it ask.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from bridgehead.protocols.dds import cyclone
from bridgehead.protocols.dds.cyclone import DdsError, checked, ffi, library
from bridgehead.protocols.dds.idl import Compiled, IdlError, compiled
from bridgehead.protocols.dds.participant import Participant
from bridgehead.protocols.dds.session.ports import Endpoint

_PATIENCE: Final = 5_000_000_000  # nanoseconds for an answer
_READ: Final = 4096  # endpoints that are looked through


class _Entity:
    """As the binding's calls want a participant."""

    def __init__(self, entity: int) -> None:
        self._ref: Final = entity


def learn(participant: Participant, endpoint: Endpoint) -> Compiled:
    """The type that the remote writer or reader has announced. Blocks until others have answered. Errors: DdsError."""
    identifier = _identifier(participant, endpoint)
    if identifier is None:
        raise DdsError(
            f"{endpoint.type_name} of topic {endpoint.topic} can't be learnt: who announces it tells no type "
            "information; name its IDL file in the route"
        )
    types = import_module("cyclonedds.idl._typesupport.DDS.XTypes")
    dynamic = import_module("cyclonedds.dynamic")
    try:
        found = types.TypeIdentifier.deserialize(identifier, has_header=False, use_version_2=True)
        python, _ = dynamic.get_types_for_typeid(_Entity(participant.entity), found, _PATIENCE)
        return compiled(python, f"type {endpoint.type_name} of topic {endpoint.topic}")
    except IdlError as error:
        raise DdsError(str(error)) from error
    except Exception as error:  # what others say of their types makes the binding raise anything
        raise DdsError(
            f"{endpoint.type_name} of topic {endpoint.topic} can't be learnt ({error}): name its IDL file in the route"
        ) from error


def _identifier(participant: Participant, endpoint: Endpoint) -> bytes | None:
    """The serialised TypeIdentifier: only the binding's own look at discovery gives it."""
    lib = library()
    read = import_module("cyclonedds._clayer").ddspy_read_endpoint
    for topic in (cyclone.PUBLICATION_TOPIC, cyclone.SUBSCRIPTION_TOPIC):
        code = lib.dds_create_reader(participant.entity, topic, ffi().NULL, ffi().NULL)
        reader = checked(code, "discovery can't be read")
        try:
            told: Any = read(reader, _READ, _key_and_type, _nothing)
        except (SystemError, ValueError):  # a name that isn't UTF-8, of whomever: the binding gives nothing at all then
            told = None
        finally:
            lib.dds_delete(reader)
        for key, identifier in told if isinstance(told, list) else ():
            if key == endpoint.guid:
                return bytes(identifier) if identifier else None
    return None


def _key_and_type(*told: Any) -> tuple[bytes, bytes | None]:
    """Key, participant, handle, topic, type, QoS, sample information, type identifier."""
    return told[0], told[-1]


def _nothing(qos: object) -> None:
    """The QoS is known from discovery.py."""
