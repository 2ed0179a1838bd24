"""The hub's participant in one domain: what it is made with, and topics in Cyclone's own form of a type."""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from time import time
from typing import Any, Final

from bridgehead.protocols.dds import binding, policies
from bridgehead.protocols.dds.codec.types import APPENDABLE, FINAL, MUTABLE
from bridgehead.protocols.dds.config import LAST_DOMAIN, DomainConfig
from bridgehead.protocols.dds.configuration import domain_xml
from bridgehead.protocols.dds.cyclone import (
    NOT_ALLOWED_BY_SECURITY,
    PRECONDITION_NOT_MET,
    DdsError,
    checked,
    ffi,
    library,
)
from bridgehead.protocols.dds.descriptors import mend
from bridgehead.protocols.dds.idl import from_binding
from bridgehead.security.dds import guard
from bridgehead.security.dds.bundle import DomainFiles
from bridgehead.security.dds.explain import why_refused

NAME: Final = "bridgehead"
_TOPIC_OCTETS: Final = 2048  # the type stands within the first of them in a dds_topic
# Cyclone DDS 0.10 puts the identifier of the type's own encapsulation before keys, which are plain CDR2 nevertheless.
_KEY_HEADERS: Final = {FINAL: b"\0\7", APPENDABLE: b"\0\x09", MUTABLE: b"\0\x0b"}
_POINTER: Final = struct.Struct("=Q")


def security_properties(files: DomainFiles, authentication: Path, plugins: Path) -> dict[str, str]:
    """The Property QoS that turns the plug-ins on (sections 9.3.1, 9.4.1, and Cyclone's own names): Cyclone's built-in
    ones of the folder `plugins`, and its `authentication` with the hub's comparison of GUIDs added."""
    properties = {
        "dds.sec.auth.library.path": str(authentication),
        "dds.sec.auth.library.init": "init_authentication",
        "dds.sec.auth.library.finalize": "finalize_authentication",
        "dds.sec.access.library.path": str(plugins / binding.PLUGINS[1]),
        "dds.sec.access.library.init": "init_access_control",
        "dds.sec.access.library.finalize": "finalize_access_control",
        "dds.sec.crypto.library.path": str(plugins / binding.PLUGINS[2]),
        "dds.sec.crypto.library.init": "init_crypto",
        "dds.sec.crypto.library.finalize": "finalize_crypto",
        "dds.sec.auth.identity_ca": f"file:{files.identity_ca}",
        "dds.sec.auth.identity_certificate": f"file:{files.certificate}",
        "dds.sec.auth.private_key": f"file:{files.key}",
        "dds.sec.auth.password": "",
        "dds.sec.access.permissions_ca": f"file:{files.permissions_ca}",
        "dds.sec.access.governance": f"file:{files.governance}",
        "dds.sec.access.permissions": f"file:{files.permissions}",
    }
    if files.crl is not None:
        properties["org.eclipse.cyclonedds.sec.auth.crl"] = f"file:{files.crl}"
    return properties


class Domain:
    """Cyclone's domain: its configuration and threads. Participants of it come and go. Errors: DdsError."""

    def __init__(self, config: DomainConfig, sample_octets: int) -> None:
        if not 0 <= config.domain <= LAST_DOMAIN:
            raise DdsError(f"DDS domain {config.domain} is out of range: choose one of 0 to {LAST_DOMAIN}")
        said = binding.security_missing() if config.is_secured else binding.missing()
        if said:
            raise DdsError(f"DDS domain {config.domain} is not joined: {said}")
        self.config: Final = config
        code = library().dds_create_domain(config.domain, domain_xml(config, sample_octets).encode())
        if code == PRECONDITION_NOT_MET:
            raise DdsError(f"DDS domain {config.domain} is open in this process already: join it once", code)
        remedy = "check `interfaces` and `peers` of the domain against this machine's network"
        self._entity: Final = checked(code, f"DDS domain {config.domain} can't be joined ({remedy})")

    def close(self) -> None:
        """Takes what is left in it along. Blocks until Cyclone's threads have ended."""
        library().dds_delete(self._entity)


class Topic:
    """A topic of this participant. `sertype` is Cyclone's checked form of the type, which raw samples are made with.
    `representation` is what its samples are written in, `key_header` what keys alone begin with."""

    def __init__(self, entity: int, sertype: Any, representation: int, extensibility: str) -> None:
        self.entity: Final = entity
        self.sertype: Final = sertype
        self.representation: Final = representation
        self.key_header: Final = _KEY_HEADERS[extensibility]

    def close(self) -> None:
        """After its readers and writers: another type may then have its name."""
        library().dds_delete(self.entity)

    @property
    def read_as(self) -> tuple[int, ...]:
        """What its samples may come in: types that XCDR1 can hold may come in XCDR2 too (DDS-XTypes 1.3 section
        7.6.3.1.1); Cyclone DDS writes none of the others in XCDR1, and reads none."""
        if self.representation == policies.XCDR1:
            return policies.XCDR1, policies.XCDR2
        return (self.representation,)


class Participant:
    """Made by `Domain`. `files` are given exactly when the domain is secured. Not to be used after `close`."""

    def __init__(self, domain: Domain, files: DomainFiles | None) -> None:
        self.domain: Final = domain.config.domain
        lib = library()
        with policies.made() as qos:
            lib.dds_qset_entity_name(qos, NAME.encode())
            if domain.config.is_secured:
                plugins, authentication = binding.plugin_folder(), guard.library()
                if files is None or plugins is None or authentication is None:
                    raise DdsError(f"DDS domain {self.domain} is secured, and the hub has no documents for it yet")
                for name, value in security_properties(files, authentication, plugins).items():
                    lib.dds_qset_prop(qos, name.encode(), value.encode())
            code = lib.dds_create_participant(self.domain, qos, ffi().NULL)
        remedy = "check the domain's network settings; Cyclone's own words are in the log"
        if code < 0 and files is not None:
            remedy = why_refused(files, time()) or "check the signed governance and permissions of the hub"
        self.entity: Final = checked(code, f"taking part in DDS domain {self.domain} isn't possible ({remedy})")
        guid = ffi().new("guid_t *")
        checked(lib.dds_get_guid(self.entity, guid), "the participant's GUID can't be read")
        self.guid: Final = bytes(guid.v)
        self._binding_participant: Any = None

    def close(self) -> None:
        """Takes its topics, readers and writers along."""
        library().dds_delete(self.entity)

    def topic(self, name: str, python: Any, representation: int, extensibility: str = FINAL) -> Topic:
        """Topic `name` of the type of the binding's class `python`; its samples are written in `representation`, and
        the type has that `extensibility` (codec/types.py).

        The binding knows how to make XTypes type information out of a class, Cyclone how to make its own form out of
        that. The binding's topic goes as soon as that is done. DdsError when either can't.
        """
        create = import_module("cyclonedds._clayer").ddspy_topic_create
        idl = python.__idl__
        idl.populate()
        idl.fill_type_data()
        with policies.made() as qos:
            policies.topic_qos(qos, (representation,))
            address = int(ffi().cast("uintptr_t", qos))
            teacher = checked(create(self.entity, name, python, address, None), self._cannot(name))
            try:
                entity = self._native(teacher, name, qos, python)
            finally:
                library().dds_delete(teacher)
        return Topic(entity, _sertype(entity, name), representation, extensibility)

    def _native(self, teacher: int, name: str, qos: Any, python: Any) -> int:
        lib = library()
        information, descriptor = ffi().new("void **"), ffi().new("void **")
        checked(lib.dds_get_typeinfo(teacher, information), f"topic {name} has no type information")
        try:
            code = lib.dds_create_topic_descriptor(0, self.entity, information[0], 0, descriptor)
            checked(code, f"Cyclone DDS can't use the type of topic {name}")
        finally:
            lib.dds_free_typeinfo(information[0])
        try:
            mend(descriptor[0], python.__idl__, from_binding(python))
            code = lib.dds_create_topic(self.entity, descriptor[0], name.encode(), qos, ffi().NULL)
            return checked(code, self._cannot(name))
        finally:
            lib.dds_delete_topic_descriptor(descriptor[0])

    def _cannot(self, name: str) -> str:
        return f"topic {name} of DDS domain {self.domain} can't be used"


def is_forbidden(error: DdsError) -> bool:
    """Whether signed documents say no: the route waits for others, instead of the hub's owner mending it."""
    return error.code == NOT_ALLOWED_BY_SECURITY


def _sertype(topic: int, name: str) -> Any:
    """The topic's type in Cyclone's form. No call gives it, so it is looked for in the topic's own memory.

    It is the one pointer there to something that begins with the table of functions of checked types
    (ddsi_sertype_ops_default). Reading goes through /proc/self/mem, which refuses what isn't mapped.
    """
    lib, declared = library(), ffi()
    wanted = int(declared.cast("uintptr_t", declared.addressof(lib, "ddsi_sertype_ops_default")))
    pinned = declared.new("void **")
    checked(lib.dds_topic_pin(topic, pinned), f"topic {name} can't be read")
    try:
        base = int(declared.cast("uintptr_t", pinned[0]))
        memory = os.open("/proc/self/mem", os.O_RDONLY | os.O_CLOEXEC)
        try:
            for offset in range(0, _TOPIC_OCTETS, _POINTER.size):
                # Not every word is an address: struct.error for a short read, OverflowError for one that is none.
                with suppress(OSError, OverflowError, struct.error):
                    (pointer,) = _POINTER.unpack(os.pread(memory, 8, base + offset))
                    if _POINTER.unpack(os.pread(memory, 8, pointer)) == (wanted,):
                        return declared.cast("void *", pointer)
        finally:
            os.close(memory)
    finally:
        lib.dds_topic_unpin(pinned[0])
    raise DdsError(f"topic {name} has no type that this Cyclone DDS checks: use Cyclone DDS 0.10")
