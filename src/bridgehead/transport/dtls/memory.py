"""GnuTLS's transport over memory, and the functions that it calls.

GnuTLS works while it is called and never besides, so one inbox and one outbox serve all handshakes of an end.
"""

from __future__ import annotations

import errno
from functools import cache
from typing import Any, Final, Protocol

from bridgehead.transport.dtls.gnutls import E_CERTIFICATE_ERROR, library


class Asked(Protocol):
    """The handshake that GnuTLS works for; it asks this one."""

    def psk(self, identity: bytes) -> bytes:
        """The key, or one nobody knows."""
        ...

    def peer_permitted(self) -> bool:
        """Whether the peer's certificate or raw key is accepted."""
        ...

    def own_cid(self) -> bytes:
        """The Connection ID for the peer to use."""
        ...

    def peer_cid(self, cid: bytes) -> None:
        """The Connection ID that a server gave out for records to it."""
        ...


class Memory:
    """`inbox`: the datagram that is read next. `outbox`: the records that were written, each as a whole."""

    def __init__(self) -> None:
        self.inbox: bytes = b""
        self.outbox: list[bytes] = []
        self.asked: Asked | None = None
        self.faults: list[BaseException] = []
        self.handle: Final[Any] = library().ffi.new_handle(self)

    def raise_fault(self) -> None:
        """What one of the functions below raised is raised again, outside of GnuTLS."""
        if self.faults:
            fault = self.faults[0]
            self.faults.clear()
            raise fault


class Callbacks:
    """The functions that GnuTLS calls, once per process."""

    def __init__(self) -> None:
        gnutls = library()
        ffi = gnutls.ffi
        lib = gnutls.lib
        last: list[Memory] = []  # whose function runs: where its fault goes

        def memory_at(pointer: Any) -> Memory:
            memory: Memory = ffi.from_handle(pointer)
            last[:] = [memory]
            return memory

        def asked_by(session: Any) -> Asked:
            asked = memory_at(lib.gnutls_session_get_ptr(session)).asked
            assert asked is not None, "GnuTLS asks within a step of a handshake only"
            return asked

        def failed(kind: Exception, fault: Any, trace: Any) -> None:
            del kind, trace
            last[0].faults.append(fault)

        def push(pointer: Any, data: Any, size: int) -> int:
            memory_at(pointer).outbox.append(bytes(ffi.buffer(data, size)))
            return size

        def pull(pointer: Any, buffer: Any, size: int) -> int:
            memory = memory_at(pointer)
            data = memory.inbox
            if not data:
                ffi.errno = errno.EAGAIN
                return -1
            memory.inbox = b""
            taken = min(size, len(data))
            ffi.memmove(buffer, data, taken)
            return taken

        def pull_timeout(pointer: Any, milliseconds: int) -> int:
            del milliseconds
            return 1 if memory_at(pointer).inbox else 0

        def psk(session: Any, name: Any, key: Any) -> int:
            found = asked_by(session).psk(gnutls.octets(name))
            place = lib.gnutls_malloc(len(found))  # GnuTLS frees it
            if place == ffi.NULL:
                return -1
            ffi.memmove(place, found, len(found))
            key.data = ffi.cast("unsigned char *", place)
            key.size = len(found)
            return 0

        def verify(session: Any) -> int:
            return 0 if asked_by(session).peer_permitted() else E_CERTIFICATE_ERROR

        def send_cid(session: Any, extension: Any) -> int:
            cid = asked_by(session).own_cid()
            octets = bytes([len(cid)]) + cid
            code = int(lib.gnutls_buffer_append_data(extension, octets, len(octets)))
            return code if code < 0 else len(octets)

        def receive_cid(session: Any, data: Any, size: int) -> int:
            octets = bytes(ffi.buffer(data, size)) if size else b""
            if octets and octets[0] == len(octets) - 1:
                asked_by(session).peer_cid(octets[1:])
            return 0

        self.push: Final[Any] = ffi.callback("ssize_t(void *, const void *, size_t)", push, -1, failed)
        self.pull: Final[Any] = ffi.callback("ssize_t(void *, void *, size_t)", pull, -1, failed)
        self.pull_timeout: Final[Any] = ffi.callback("int(void *, unsigned int)", pull_timeout, -1, failed)
        self.psk: Final[Any] = ffi.callback("int(void *, const gnutls_datum_t *, gnutls_datum_t *)", psk, -1, failed)
        self.verify: Final[Any] = ffi.callback("int(void *)", verify, E_CERTIFICATE_ERROR, failed)
        self.send_cid: Final[Any] = ffi.callback("int(void *, void *)", send_cid, -1, failed)
        self.receive_cid: Final[Any] = ffi.callback(
            "int(void *, const unsigned char *, size_t)", receive_cid, -1, failed
        )


@cache
def callbacks() -> Callbacks:
    """Errors: DtlsError."""
    return Callbacks()
