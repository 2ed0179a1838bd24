"""What OpenSSL can do and Python's `ssl` does not offer: OCSP stapling, exported keying material, several groups for
the key exchange, and how long a session lasts.

Reached by ctypes in the very libssl that `_ssl` is linked to, through the pointers inside of CPython's objects
(docs/adr/0007). Nothing here is used before `find()` has held those pointers against what Python says of the same
objects; where anything differs, the hub goes on without these abilities and says why.
"""

from __future__ import annotations

import _ssl
import ctypes
import ssl
import sys
import sysconfig
import weakref
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

# openssl/tls1.h and openssl/ssl.h; part of OpenSSL's stable ABI since 1.1.0.
_SET_STATUS_CALLBACK: Final = 63  # SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB
_SET_CACHE_MODE: Final = 44  # SSL_CTRL_SET_SESS_CACHE_MODE
_CACHE_OFF: Final = 0  # SSL_SESS_CACHE_OFF
_SET_GROUPS: Final = 92  # SSL_CTRL_SET_GROUPS_LIST
_SET_STATUS_RESPONSE: Final = 71  # SSL_CTRL_SET_TLSEXT_STATUS_REQ_OCSP_RESP
_OK: Final = 0  # SSL_TLSEXT_ERR_OK
_NO_ACKNOWLEDGEMENT: Final = 3  # SSL_TLSEXT_ERR_NOACK: the handshake goes on without a response
_LARGEST_RESPONSE: Final = 16_384
_UNSET_LIFETIME: Final = 7200  # seconds; tls_v1_2_default_timeout and its sisters

# RFC 9266 section 2: the label and length of the channel binding "tls-exporter".
_EXPORTER_LABEL: Final = b"EXPORTER-Channel-Binding"
_EXPORTER_OCTETS: Final = 32

# The releases whose Modules/_ssl.c was read: SSL_CTX* is the first member of PySSLContext, SSL* the second of
# PySSLSocket, after the strong reference to the socket.
_KNOWN: Final = ((3, 11), (3, 12), (3, 13))
_HEADER: Final = object.__basicsize__
_WORD: Final = ctypes.sizeof(ctypes.c_void_p)

_StatusCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)


class Missing(Exception):
    """The text says why OpenSSL cannot be reached."""


class OpenSsl:
    """The few functions, with their types. Made by `find` only."""

    def __init__(self) -> None:
        """Errors: Missing."""
        if sys.implementation.name != "cpython" or sys.version_info[:2] not in _KNOWN:
            raise Missing(f"the inside of {sys.implementation.name} {sys.version.split()[0]} is not known")
        if hasattr(sys, "gettotalrefcount") or sysconfig.get_config_var("Py_GIL_DISABLED"):
            raise Missing("this Python is a debugging or a free-threaded one")
        try:
            # A look-up in _ssl's own file finds the libssl and libcrypto that it is linked to, and no others.
            library = ctypes.CDLL(_ssl.__file__)
            self._get_options: Final = _typed(library.SSL_CTX_get_options, ctypes.c_uint64, ctypes.c_void_p)
            self._callback_ctrl: Final = _typed(
                library.SSL_CTX_callback_ctrl, ctypes.c_long, ctypes.c_void_p, ctypes.c_int, _StatusCallback
            )
            self._context_ctrl: Final = _typed(
                library.SSL_CTX_ctrl, ctypes.c_long, ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_char_p
            )
            self._get_timeout: Final = _typed(library.SSL_CTX_get_timeout, ctypes.c_long, ctypes.c_void_p)
            self._set_timeout: Final = _typed(
                library.SSL_CTX_set_timeout, ctypes.c_long, ctypes.c_void_p, ctypes.c_long
            )
            self._ctrl: Final = _typed(
                library.SSL_ctrl, ctypes.c_long, ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_void_p
            )
            self._context_of: Final = _typed(library.SSL_get_SSL_CTX, ctypes.c_void_p, ctypes.c_void_p)
            self._export: Final = _typed(
                library.SSL_export_keying_material,
                ctypes.c_int,
                ctypes.c_void_p,
                ctypes.c_char_p,
                ctypes.c_size_t,
                ctypes.c_char_p,
                ctypes.c_size_t,
                ctypes.c_char_p,
                ctypes.c_size_t,
                ctypes.c_int,
            )
            self._malloc: Final = _typed(
                library.CRYPTO_malloc, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_int
            )
            version = _typed(library.OpenSSL_version_num, ctypes.c_ulong)
        except (AttributeError, OSError) as fault:
            raise Missing(f"Python's libssl cannot be called: {fault}") from None
        if version() != ssl.OPENSSL_VERSION_NUMBER:
            raise Missing("another libssl than Python's own was found")
        # A callback must live as long as its context, and a context lives as long as any connection made with it.
        self._callbacks: Final[weakref.WeakKeyDictionary[ssl.SSLContext, object]] = weakref.WeakKeyDictionary()
        self._check()

    # Stapling. --------------------------------------------------------------------------------------

    def staple(self, context: ssl.SSLContext, response: Callable[[], bytes | None]) -> None:
        """Answer `status_request` (RFC 6066 section 8) in handshakes of this server's context with what `response()`
        returns then: a DER OCSPResponse of at most 16 KiB, or None for nothing. It is called inside the handshake,
        so it must be quick; what it raises counts as None."""

        def asked(connection: int, _argument: int) -> int:
            try:
                der = response()
            except Exception:  # noqa: BLE001 - it would unwind through OpenSSL's frames; the handshake goes on without
                return _NO_ACKNOWLEDGEMENT
            if der is None or not 0 < len(der) <= _LARGEST_RESPONSE:
                return _NO_ACKNOWLEDGEMENT
            block = self._malloc(len(der), b"", 0)  # OpenSSL frees it with the connection
            if not block:
                return _NO_ACKNOWLEDGEMENT
            ctypes.memmove(block, der, len(der))
            self._ctrl(connection, _SET_STATUS_RESPONSE, len(der), block)
            return _OK

        callback = _StatusCallback(asked)
        self._callback_ctrl(_word_at(id(context) + _HEADER), _SET_STATUS_CALLBACK, callback)
        self._callbacks[context] = callback

    # Groups and sessions. ---------------------------------------------------------------------------

    def set_groups(self, context: ssl.SSLContext, groups: str) -> bool:
        """The groups of the key exchange, by OpenSSL's names with colons between them, best first. False, and nothing
        changed, where OpenSSL does not know one of them."""
        done: int = self._context_ctrl(_word_at(id(context) + _HEADER), _SET_GROUPS, 0, groups.encode("ascii"))
        return done == 1

    def set_lifetime(self, context: ssl.SSLContext, seconds: int) -> None:
        """How long a session of this context may be resumed: what its tickets say, and what is held against them.
        With 0 none is: no tickets are given, and TLS 1.2's sessions are not kept here either (RFC 5246 7.4.1.3)."""
        pointer = _word_at(id(context) + _HEADER)
        self._set_timeout(pointer, seconds)
        if not seconds:
            self._context_ctrl(pointer, _SET_CACHE_MODE, _CACHE_OFF, None)

    # Channel binding. -------------------------------------------------------------------------------

    def exporter(self, connection: ssl.SSLSocket | ssl.SSLObject) -> bytes | None:
        """The channel binding "tls-exporter" (RFC 9266), 32 octets; None unless the connection is TLS 1.3 with its
        handshake done. (In TLS 1.2 it is safe with the extended master secret only, and peers disagree whether no
        context means an empty one.)"""
        if connection.version() != "TLSv1.3":
            return None
        pointer = self._connection_pointer(connection)
        out = ctypes.create_string_buffer(_EXPORTER_OCTETS)
        label = _EXPORTER_LABEL
        done = self._export(pointer, out, _EXPORTER_OCTETS, label, len(label), b"", 0, 1)
        return out.raw if done == 1 else None

    # Certainty. -------------------------------------------------------------------------------------

    def _check(self) -> None:
        """Two contexts that differ and a connection, each seen alike by both sides. Errors: Missing."""
        for options in (ssl.OP_NO_TICKET, ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.options |= options
            pointer = _word_at(id(context) + _HEADER)
            if not _is_mapped(pointer) or self._get_options(pointer) != int(context.options) % 2**64:
                raise Missing("the pointer inside of an SSLContext is not where it was looked for")
            # ssl shows neither of the two, but an unset lifetime is OpenSSL's default, and an unknown group is refused.
            if self._get_timeout(pointer) != _UNSET_LIFETIME or self.set_groups(context, "no-such-group"):
                raise Missing("a context does not answer as OpenSSL's do")
            if self._set_timeout(pointer, 1) != _UNSET_LIFETIME or self._get_timeout(pointer) != 1:
                raise Missing("a context's lifetime of sessions cannot be set")
            connection = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
            if not _is_mapped(_word_at(id(_inner(connection)) + _HEADER + _WORD)):
                raise Missing("a TLS connection holds no pointer where it was looked for")
            self._connection_pointer(connection)

    def _connection_pointer(self, connection: ssl.SSLSocket | ssl.SSLObject) -> int:
        pointer = _word_at(id(_inner(connection)) + _HEADER + _WORD)
        if self._context_of(pointer) != _word_at(id(connection.context) + _HEADER):
            raise Missing("the pointer inside of a TLS connection is not where it was looked for")
        return pointer


@cache
def find() -> OpenSsl | str:
    """OpenSSL's functions, or a sentence that says why they cannot be had here. The same for the whole process."""
    try:
        return OpenSsl()
    except Missing as fault:
        return f"no OCSP stapling, no tls-exporter channel binding, one group only, tickets last two hours: {fault}"


def exporter(connection: ssl.SSLSocket | ssl.SSLObject) -> bytes | None:
    """The channel binding "tls-exporter" (RFC 9266) of a TLS 1.3 connection; None where it cannot be had."""
    found = find()
    if isinstance(found, str):
        return None
    try:
        return found.exporter(connection)
    except Missing:
        return None


def staple(context: ssl.SSLContext, response: Callable[[], bytes | None]) -> bool:
    """As OpenSsl.staple; False where it cannot be had."""
    found = find()
    if isinstance(found, str):
        return False
    found.staple(context, response)
    return True


def set_groups(context: ssl.SSLContext, groups: str) -> bool:
    """As OpenSsl.set_groups; False where it cannot be had."""
    found = find()
    return not isinstance(found, str) and found.set_groups(context, groups)


def set_lifetime(context: ssl.SSLContext, seconds: int) -> bool:
    """As OpenSsl.set_lifetime; False where it cannot be had."""
    found = find()
    if isinstance(found, str):
        return False
    found.set_lifetime(context, seconds)
    return True


def _inner(connection: ssl.SSLSocket | ssl.SSLObject) -> object:
    """The `_ssl._SSLSocket`. Errors: Missing, where there is none: no handshake was begun, or the socket is closed."""
    inner: object = vars(connection).get("_sslobj")
    if type(inner).__name__ != "_SSLSocket":
        raise Missing("the connection speaks no TLS")
    return inner


def _typed(function: Any, result: Any, *arguments: Any) -> Any:
    """A function of its own: the attributes of a library are shared by everybody who loaded it."""
    prototype = ctypes.CFUNCTYPE(result, *arguments)
    return prototype(ctypes.cast(function, ctypes.c_void_p).value or 0)


def _word_at(address: int) -> int:
    return ctypes.c_void_p.from_address(address).value or 0


def _is_mapped(pointer: int) -> bool:
    """Whether the address can be read at all: else the next check would end the process instead of the ability."""
    if pointer == 0 or pointer % _WORD:
        return False
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return False
    for line in lines:
        place, mode = line.split(" ", 2)[:2]
        low, high = (int(part, 16) for part in place.split("-"))
        if low <= pointer < high:
            return mode.startswith("r")
    return False
