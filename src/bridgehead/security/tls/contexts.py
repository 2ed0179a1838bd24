"""TLS contexts after a named profile (tls_profiles.py), for the hub and for its own clients.

Session tickets (RFC 5077, RFC 8446 4.6.1) are on: a resumption costs a fifth of a handshake. Their keys live in the
context's memory only, are never written, and end with the context; each listener has a context of its own, so a
session cannot move from one listener to another. A new context (new certificate, somebody was revoked, or a day has
gone by) ends them. How long one is valid is set by the node (`tls.ticket_lifetime`). 0-RTT data is off: it could be
replayed. A resumed session carries the client's certificate, and the authenticator judges it again.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes

from bridgehead.security import files
from bridgehead.security.errors import SecurityError
from bridgehead.security.pki import Pki
from bridgehead.security.pki.certificates import read_certificates
from bridgehead.security.tls.profiles import INTERMEDIATE, Profile, harden, harden_server

CONTEXT_LIFE: Final = 86400.0  # seconds after which a context should be made anew, with new ticket keys


class ServerContext(ssl.SSLContext):
    """Knows the channel binding of its own certificate, None where RFC 5929 defines none for it."""

    end_point: bytes | None = None


def end_point(path: Path) -> bytes | None:
    """The channel binding "tls-server-end-point" (RFC 5929 section 4.1) of the first certificate in the PEM file."""
    algorithm: hashes.HashAlgorithm | None
    try:
        certificate = x509.load_pem_x509_certificates(files.read(path))[0]
        algorithm = certificate.signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm):
        return None
    if algorithm is None:  # Ed25519 signs without a hash of its own: undefined
        return None
    if algorithm.name in ("md5", "sha1"):
        algorithm = hashes.SHA256()
    return certificate.fingerprint(algorithm)


def server_context(
    pki: Pki,
    *,
    certificate: Path | None = None,
    key: Path | None = None,
    client_ca: Path | None = None,
    client_lists: Sequence[Path] = (),
    lists_enforced: bool = False,
    client_certificate_required: bool = False,
    alpn: Sequence[str] = ("mqtt",),
    profile: Profile = INTERMEDIATE,
    tickets: bool = True,
) -> ssl.SSLContext:
    """A listener's context. Without `certificate` (PEM chain) and `key` the hub's own are used.

    Client certificates of the hub's authority are verified against its revocation list. `client_ca` (PEM) adds
    foreign authorities; where it holds no revocation list for each of them OpenSSL cannot check lists at all, and
    revocation of the hub's own certificates rests on the authenticator, which checks every one. `client_lists`: their
    lists in files of their own; with `lists_enforced` a certificate without a list in force is refused. ALPN is
    optional for clients. Errors: SecurityError.
    """
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    harden_server(context, profile, tickets)
    own = pki.server_file if certificate is None else certificate
    _load_own(context, own, key)
    context.end_point = end_point(own)
    context.verify_mode = ssl.CERT_REQUIRED if client_certificate_required else ssl.CERT_OPTIONAL
    _trust(context, pki.trust_file)
    if client_ca is not None:
        _trust(context, client_ca)
    for path in client_lists:
        _trust(context, path)
    if client_ca is None or lists_enforced or _brings_revocation_lists(client_ca):
        _trust(context, pki.revocation_file)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    if client_ca is None:
        context.verify_flags |= ssl.VERIFY_X509_STRICT  # foreign authorities are often sloppy
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def check_files(certificate: Path | None, key: Path | None, client_ca: Path | None, now: float) -> None:
    """What can be said of a listener's files without opening it: they are PEM, belong together, and are in force.

    Errors: SecurityError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if certificate is not None:
        _load_own(context, certificate, key)
    if client_ca is not None:
        _trust(context, client_ca)
    for path in (certificate, client_ca):
        if path is None:
            continue
        for each in read_certificates(files.read(path), str(path)):
            begin, end = each.not_valid_before_utc, each.not_valid_after_utc
            if not begin.timestamp() <= now < end.timestamp():
                raise SecurityError(
                    f"{path}: {each.subject.rfc4514_string()} is valid from {begin:%Y-%m-%d} to {end:%Y-%m-%d}: "
                    "renew it, or set the clock"
                )


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
    harden(context)
    if ca_file is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        _trust(context, ca_file)
    if certificate is not None:
        _load_own(context, certificate, key)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


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
