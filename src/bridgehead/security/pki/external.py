"""An issuing authority that somebody else's root has signed: chain and key as they come, or by a request.

Errors: SecurityError, NotAcceptable; then nothing has changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from bridgehead.security import files
from bridgehead.security.errors import NotAcceptable
from bridgehead.security.pki import authority, certificates, profiles
from bridgehead.security.pki.authority import date
from bridgehead.security.pki.certificates import SigningKey
from bridgehead.security.pki.hub import Pki
from bridgehead.security.pki.rollover import Maker

REQUEST_KEY: Final = "request.key"
_MOST: Final = 5  # certificates of a chain


def read_chain(pem: bytes, where: str, now: float) -> list[x509.Certificate]:
    """Checked: from the issuing authority to a self-signed root, each signed by the next, all in force."""
    chain = certificates.read_certificates(pem, where)
    if len(chain) > _MOST:
        raise NotAcceptable(f"{where} holds {len(chain)} certificates: give the chain of one authority alone")
    for each, issuer in zip(chain, [*chain[1:], chain[-1]], strict=True):
        name = each.subject.rfc4514_string()
        if not certificates.is_issued_by(each, issuer):
            last = each is chain[-1]
            remedy = "end the file with the self-signed root" if last else "put each authority before the one above it"
            raise NotAcceptable(f"{where}: {name} is not signed by what follows it: {remedy}")
        if not _is_authority(each):
            raise NotAcceptable(f"{where}: {name} is no authority (CA:TRUE): give the chain of an issuing authority")
        if now < certificates.not_before(each):
            begin = date(certificates.not_before(each))
            raise NotAcceptable(f"{where}: {name} is valid from {begin} on: wait, or set the clock")
        if now >= certificates.not_after(each):
            raise NotAcceptable(f"{where}: {name} has expired on {date(certificates.not_after(each))}: get a new one")
    _check_usage(chain[0], where)
    return chain


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, *certificates.UNREADABLE):
        return False


def _check_usage(issuing: x509.Certificate, where: str) -> None:
    """It signs certificates and revocation lists (RFC 5280 4.2.1.3)."""
    try:
        usage = issuing.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not usage.key_cert_sign or not usage.crl_sign:
        raise NotAcceptable(
            f"{where}: {issuing.subject.rfc4514_string()} may not sign certificates and revocation lists: "
            "ask its issuer for keyCertSign and cRLSign"
        )


def with_chain(chain: Sequence[x509.Certificate], key: SigningKey, where: str) -> Maker:
    """For rollover.roll_over."""
    profiles.check_key(key.public_key())
    if key.public_key() != chain[0].public_key():
        raise NotAcceptable(
            f"{where} is not the key of {chain[0].subject.rfc4514_string()}: give the key that it is for"
        )
    return lambda folder: authority.install(folder, chain[:-1], chain[-1], key)


def request(pki: Pki) -> bytes:
    """A PKCS #10 request in PEM for an issuing authority; its key waits here for `install`. Asked again, the same key
    is requested for again."""
    path = pki.folder / REQUEST_KEY
    with files.locked(pki.folder / ".lock"):
        if not path.exists():
            files.write_whole(path, certificates.key_pem(certificates.new_key()))
        key = requested_key(pki)
    return certificates.make_request(key).public_bytes(serialization.Encoding.PEM)


def requested_key(pki: Pki) -> SigningKey:
    path = pki.folder / REQUEST_KEY
    if not path.exists():
        raise NotAcceptable("no request is open: make one with `bridgehead ca request` first")
    files.check_private(path)
    return certificates.read_key(files.read(path), str(path))


def forget_request(pki: Pki) -> None:
    Path(pki.folder / REQUEST_KEY).unlink(missing_ok=True)
