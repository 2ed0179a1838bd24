"""TLS contexts: 1.2 and 1.3, forward secrecy and AEAD only (RFC 9325), for the hub and for its own clients.

Session tickets (RFC 5077, RFC 8446 4.6.1) are on: a resumption costs a fifth of a handshake. Their keys live in the
context's memory only, are never written, and end with the context; each listener has a context of its own, so a
session cannot move from one listener to another. A new context (new certificate, somebody was revoked, or a day has
gone by) ends them. OpenSSL gives a ticket two hours. 0-RTT data is off: it could be replayed. A resumed session
carries the client's certificate, and the authenticator judges it again.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography import x509

from bridgehead.security import files
from bridgehead.security.errors import SecurityError
from bridgehead.security.pki import Pki

# TLS 1.2. TLS 1.3's own suites all have both properties. AES-128 first; the client's order counts, since none is weak.
SUITES: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
)
# The one group that every TLS 1.3 client must have (RFC 8446 9.1) and that small devices have in hardware. Without
# a choice OpenSSL accepts ffdhe8192 as well: 107 ms of our processor for one ClientHello that costs its sender
# nothing (CVE-2022-40735), against 0.6 ms. Python 3.11 can name one group only; a client that guessed another
# one is asked once more (HelloRetryRequest), which was measured to cost no processor time.
GROUP: Final = "prime256v1"
CONTEXT_LIFE: Final = 86400.0  # seconds after which a context should be made anew, with new ticket keys
_TICKETS: Final = 1  # per TLS 1.3 handshake; OpenSSL's default of 2 is for browsers with parallel connections


def server_context(
    pki: Pki,
    *,
    certificate: Path | None = None,
    key: Path | None = None,
    client_ca: Path | None = None,
    client_certificate_required: bool = False,
    alpn: Sequence[str] = ("mqtt",),
) -> ssl.SSLContext:
    """A listener's context. Without `certificate` (PEM chain) and `key` the hub's own are used.

    Client certificates of the hub's authority are verified against its revocation list. `client_ca` (PEM) adds
    foreign authorities; where it holds no revocation list for each of them OpenSSL cannot check lists at all, and
    revocation of the hub's own certificates rests on the authenticator, which checks every one. ALPN is optional for
    clients. Errors: SecurityError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context)
    context.set_ecdh_curve(GROUP)
    context.num_tickets = _TICKETS
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    _load_own(context, pki.server_file if certificate is None else certificate, key)
    context.verify_mode = ssl.CERT_REQUIRED if client_certificate_required else ssl.CERT_OPTIONAL
    _trust(context, pki.trust_file)
    if client_ca is not None:
        _trust(context, client_ca)
    if client_ca is None or _brings_revocation_lists(client_ca):
        _trust(context, pki.revocation_file)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    if client_ca is None:
        context.verify_flags |= ssl.VERIFY_X509_STRICT  # foreign authorities are often sloppy
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def client_context(
    ca_file: Path | None,
    certificate: Path | None = None,
    key: Path | None = None,
    alpn: Sequence[str] = (),
) -> ssl.SSLContext:
    """A client's context, which verifies the server's certificate and name.

    `ca_file` (PEM) is what it trusts, None for the system's authorities. Errors: SecurityError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _harden(context)
    if ca_file is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        _trust(context, ca_file)
    if certificate is not None:
        _load_own(context, certificate, key)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def _harden(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    # Python 3.11.2 sets it, later ones don't: a connection cut in two would look like one that ended in order.
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    context.set_ciphers(":".join(SUITES) + ":@SECLEVEL=2")


def _load_own(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    secret = certificate if key is None else key

    def password() -> str:  # else OpenSSL would ask on the terminal, and wait
        raise SecurityError(f"the private key {secret} is encrypted: give the hub one without a pass phrase, mode 0600")

    try:
        context.load_cert_chain(certificate, key, password)
    except ssl.SSLError as fault:
        if "KEY_VALUES_MISMATCH" in str(fault):
            raise SecurityError(f"{secret} is not the private key of the certificate {certificate}") from None
        raise SecurityError(
            f"{certificate} and {secret} hold no usable certificate and key in PEM: {_of(fault)}"
        ) from None
    except OSError as fault:
        raise SecurityError(f"cannot read {certificate} or {secret}: {(fault.strerror or '').lower()}") from None


def _trust(context: ssl.SSLContext, path: Path) -> None:
    """Certificates and revocation lists."""
    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError as fault:
        raise SecurityError(f"{path} holds no usable certificate or revocation list in PEM: {_of(fault)}") from None
    except OSError as fault:
        raise SecurityError(f"cannot read {path}: {(fault.strerror or '').lower()}") from None


def _of(fault: ssl.SSLError) -> str:
    return fault.reason.replace("_", " ").lower() if fault.reason else "nothing that begins with -----BEGIN"


def _brings_revocation_lists(client_ca: Path) -> bool:
    """Whether the file has a revocation list of each authority in it that issues leaves: of all but those that stand
    above another one."""
    pem = files.read(client_ca)
    begin = b"-----BEGIN X509 CRL-----"
    try:
        issuers = {x509.load_pem_x509_crl(begin + part).issuer for part in pem.split(begin)[1:]}
        authorities = x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise SecurityError(f"{client_ca} holds a certificate or revocation list that cannot be read") from None
    above = {each.issuer for each in authorities if each.issuer != each.subject}
    return {each.subject for each in authorities} - above <= issuers
