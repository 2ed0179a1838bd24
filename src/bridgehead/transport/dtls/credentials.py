"""An identity as GnuTLS holds it: credentials, priorities, the key of its tickets."""

from __future__ import annotations

from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from bridgehead.transport.dtls.contract import DtlsError, DtlsIdentity, DtlsSettings, Kind
from bridgehead.transport.dtls.gnutls import (
    FMT_PEM,
    KEY_DIGITAL_SIGNATURE,
    library,
)
from bridgehead.transport.dtls.memory import callbacks
from bridgehead.transport.dtls.suites import priorities

_LONGEST_CHAIN: Final = 5
_LARGEST_KEY: Final = 4096


class Credentials:
    """Of a server or a client. What GnuTLS holds ends with the object, so it must outlive the handshakes made with it.

    `own`: with what this end can prove itself.
    """

    def __init__(self, identity: DtlsIdentity, settings: DtlsSettings, *, server: bool) -> None:
        """Errors: DtlsError."""
        self._gnutls: Final = library()
        self._ends: Final[list[tuple[Any, Any]]] = []
        self._kept: Final[list[Any]] = []
        self.own: Final[tuple[Kind, ...]] = _own(identity, server)
        self.certificates: Final[Any] = self._certificates(identity)
        self.psk: Final[Any] = self._psk_server() if server else self._psk_client(identity)
        modes = tuple(mode for mode in settings.modes if _of_use(mode, identity, server))
        self.priorities: Final[Any] = self._priorities(priorities(settings, modes, server=server, own=self.own))
        # Only a server meets clients that list X.509 first for its certificate and cannot read one.
        raw_only = server and "rpk" in self.own
        self.raw_priorities: Final[Any] = (
            self._priorities(priorities(settings, modes, server=server, own=self.own, raw_server_only=True))
            if raw_only
            else self.priorities
        )

    def __del__(self) -> None:
        for end, thing in self._ends:
            end(thing)

    def new_ticket_key(self) -> Any:
        """A gnutls_datum_t; whoever holds no ticket of this key makes a whole handshake."""
        key = self._gnutls.ffi.new("gnutls_datum_t *")
        self._check(self._gnutls.lib.gnutls_session_ticket_key_generate(key), "make a key for session tickets")
        return self._gnutls.datum(self._gnutls.taken(key))

    def _check(self, code: int, act: str) -> None:
        if code < 0:
            raise DtlsError(f"GnuTLS cannot {act}: {self._gnutls.because(code)}")

    def _priorities(self, text: str) -> Any:
        ffi, lib = self._gnutls.ffi, self._gnutls.lib
        made, error = ffi.new("void **"), ffi.new("const char **")
        if lib.gnutls_priority_init(made, text.encode(), error) < 0:
            raise DtlsError(
                f"GnuTLS does not know {self._gnutls.text(error[0])!r} of the priorities for DTLS: "
                "install a newer GnuTLS, or loosen its system-wide configuration"
            )
        self._ends.append((lib.gnutls_priority_deinit, made[0]))
        return made[0]

    def _psk_server(self) -> Any:
        ffi, lib = self._gnutls.ffi, self._gnutls.lib
        made = ffi.new("void **")
        self._check(lib.gnutls_psk_allocate_server_credentials(made), "hold pre-shared keys")
        self._ends.append((lib.gnutls_psk_free_server_credentials, made[0]))
        lib.gnutls_psk_set_server_credentials_function2(made[0], callbacks().psk)
        return made[0]

    def _psk_client(self, identity: DtlsIdentity) -> Any:
        if not identity.psk_key:
            return None
        ffi, lib = self._gnutls.ffi, self._gnutls.lib
        made = ffi.new("void **")
        self._check(lib.gnutls_psk_allocate_client_credentials(made), "hold a pre-shared key")
        self._ends.append((lib.gnutls_psk_free_client_credentials, made[0]))
        name, key = self._gnutls.datum(identity.psk_identity), self._gnutls.datum(identity.psk_key)
        self._check(lib.gnutls_psk_set_client_credentials2(made[0], name, key, 0), "use the pre-shared key")
        return made[0]

    def _certificates(self, identity: DtlsIdentity) -> Any:
        gnutls = self._gnutls
        ffi, lib = gnutls.ffi, gnutls.lib
        made = ffi.new("void **")
        self._check(lib.gnutls_certificate_allocate_credentials(made), "hold certificates")
        held = made[0]
        self._ends.append((lib.gnutls_certificate_free_credentials, held))
        if identity.certificate:
            checked_key(identity.key, "the certificate's private key")
            code = lib.gnutls_certificate_set_x509_key_mem2(
                held,
                gnutls.datum(identity.certificate.encode()),
                gnutls.datum(identity.key.encode()),
                FMT_PEM,
                ffi.NULL,
                0,
            )
            self._check(code, "use the certificate with its key (is it the certificate's, and both in PEM?)")
        raw = identity.raw_key or identity.key
        if "rpk" in self.own:
            spki = checked_key(raw, "the private key of the raw public key")
            code = lib.gnutls_certificate_set_rawpk_key_mem(
                held,
                gnutls.datum(spki.encode()),
                gnutls.datum(raw.encode()),
                FMT_PEM,
                ffi.NULL,
                KEY_DIGITAL_SIGNATURE,
                ffi.NULL,
                0,
                0,
            )
            self._check(code, "use the raw public key")
        if identity.trust:
            code = lib.gnutls_certificate_set_x509_trust_mem(held, gnutls.datum(identity.trust.encode()), FMT_PEM)
            self._check(code if code else -1, "read the trusted authorities (PEM certificates)")
        if identity.lists:
            code = lib.gnutls_certificate_set_x509_crl_mem(held, gnutls.datum(identity.lists.encode()), FMT_PEM)
            self._check(code, "read the revocation lists (PEM)")
        lib.gnutls_certificate_set_verify_function(held, callbacks().verify)
        lib.gnutls_certificate_set_verify_limits(held, _LARGEST_KEY, _LONGEST_CHAIN)
        return held


def checked_key(pem: str, what: str) -> str:
    """The public half in PEM. Errors: DtlsError for what is no P-256 or Ed25519 key."""
    try:
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise DtlsError(f"{what} cannot be read: give one in PEM without a pass phrase") from None
    small = isinstance(key, ed25519.Ed25519PrivateKey)
    if not small and not (isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)):
        raise DtlsError(f"{what} is not for DTLS: others would wait for its handshakes; make a P-256 key instead")
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _own(identity: DtlsIdentity, server: bool) -> tuple[Kind, ...]:
    own: list[Kind] = []
    if identity.certificate:
        own.append("certificate")
    # A server's one key serves both ways. A client shows one thing: GnuTLS would not know which to choose.
    if (identity.raw_key or identity.key) and (server or not identity.certificate):
        own.append("rpk")
    if identity.psk_key:
        own.append("psk")
    return tuple(own)


def _of_use(mode: Kind, identity: DtlsIdentity, server: bool) -> bool:
    """Whether a peer could prove itself so. A server's look-ups know raw keys and pre-shared ones."""
    if mode == "certificate":
        return bool(identity.trust)
    if server:
        return True
    return bool(identity.psk_key if mode == "psk" else identity.peer_raw_keys)
