"""A device asks for its certificate itself (RFC 7030): the first time with a one-time token, then with the present one.

The key is the device's own and never here. The subject of a request is empty or names the device; whatever else it
asks for (alternative names, extensions) is not taken over: the record says who the device is.
"""

from __future__ import annotations

from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs7
from msgspec.structs import replace

from bridgehead.security.credentials import CertificateRecord
from bridgehead.security.errors import NotAcceptable
from bridgehead.security.events import DEVICE_ENROLLED
from bridgehead.security.identity.credentials import certificate_record
from bridgehead.security.identity.identity import Identity
from bridgehead.security.pki import IssuedCertificate, Pki, certificates, profiles
from bridgehead.security.pki.names import device_of, device_of_certificate
from bridgehead.security.records import Device

MOST_OCTETS: Final = 16 * 1024  # of a request
MOST_CERTIFICATES: Final = 4  # of one device; the next one revokes the one that ends first
_WEAK: Final = (hashes.MD5, hashes.SHA1)


class NotProven(NotAcceptable):
    """Token or certificate do not prove the device."""


def read_request(der: bytes) -> x509.CertificateSigningRequest:
    """A PKCS #10 request whose signature shows that the asker has the key (RFC 2986), of a kind that is certified.

    Errors: NotAcceptable, whatever octets come.
    """
    if not 0 < len(der) <= MOST_OCTETS:
        raise NotAcceptable("the certification request is empty or too large")
    try:
        request = x509.load_der_x509_csr(der)
        key = request.public_key()
        algorithm = request.signature_hash_algorithm
    except certificates.UNREADABLE:
        raise NotAcceptable("the certification request cannot be read: send DER of PKCS #10") from None
    profiles.check_key(key)
    if isinstance(algorithm, _WEAK):
        raise NotAcceptable("the certification request is signed with a hash that is broken: use SHA-256")
    try:
        proven = request.is_signature_valid
    except certificates.UNREADABLE:
        proven = False
    if not proven:
        raise NotAcceptable("the signature of the certification request is wrong: sign it with the key in it")
    return request


def _check_subject(request: x509.CertificateSigningRequest, name: str) -> None:
    try:
        named = device_of(request.subject, request.extensions)
    except NotAcceptable:
        raise
    except certificates.UNREADABLE:
        raise NotAcceptable("the extensions of the certification request cannot be read") from None
    if named is not None and named != name:
        raise NotAcceptable("the certification request names another device: leave the subject empty, or give its name")


def simple_enroll(identity: Identity, name: str, token: str, request_der: bytes) -> IssuedCertificate:
    """RFC 7030 4.2.1 with HTTP Basic. The token counts once, and not at all when the request is not acceptable.

    Errors: NotProven, NotAcceptable, SecurityError; nothing has changed then.
    """
    request = read_request(request_der)
    _check_subject(request, name)
    with identity.registry.transaction():
        try:
            device = identity.redeem(token)
        except NotAcceptable as fault:
            raise NotProven(str(fault)) from None
        if device.name != name:
            raise NotProven("this invitation is unknown, used or expired: ask for a new one (`device invite`)")
        issued = _issue(identity, device, request, "token")
    identity.publish_revocations()
    return issued


def simple_reenroll(identity: Identity, certificate_der: bytes, request_der: bytes) -> IssuedCertificate:
    """RFC 7030 4.2.2: the certificate with which TLS was entered is on the record, ours, and in force. It holds on
    until its own end.

    Errors: NotProven, NotAcceptable, SecurityError; nothing has changed then.
    """
    request = read_request(request_der)
    known = certificates.fingerprint(certificate_der)
    now = identity.now()
    with identity.registry.transaction():
        device = identity.registry.device_by_fingerprint(known)
        if device is None or not device.enabled:
            raise NotProven("this certificate is no enabled device's")
        record = next(each for each in device.certificates if each.fingerprint == known)
        if not record.not_before <= now <= _end(record):
            raise NotProven("this certificate is not in force")
        if record.until is not None:
            # It counts to the overlap's end and no longer: who took its key shall not prolong it.
            raise NotProven("this certificate was replaced by another one: enrol again with that")
        try:
            named = device_of_certificate(x509.load_der_x509_certificate(certificate_der))
        except (*certificates.UNREADABLE, NotAcceptable):
            named = ""
        if named != device.name:
            raise NotProven("this certificate does not name its device")
        _check_subject(request, device.name)
        issued = _issue(identity, device, request, "certificate")
    identity.publish_revocations()
    return issued


def _issue(identity: Identity, device: Device, request: x509.CertificateSigningRequest, by: str) -> IssuedCertificate:
    now = identity.now()
    issued = identity.pki.issue(profiles.DEVICE, [device.name], request.public_key(), now)
    kept = sorted((each for each in device.certificates if _end(each) > now), key=_end)
    kept = kept[-(MOST_CERTIFICATES - 1) :]
    changed = replace(device, certificates=(*kept, certificate_record(issued)))
    identity.registry.update_device(changed, now)
    fields: dict[str, str | int | float | bool] = {"principal": device.name, "by": by, "serial": f"{issued.serial:x}"}
    identity.audit(DEVICE_ENROLLED, fields)
    return issued


def _end(record: CertificateRecord) -> float:
    return record.not_after if record.until is None else min(record.not_after, record.until)


def certs_only(*found: x509.Certificate) -> bytes:
    """A degenerate PKCS #7 (RFC 5652 5.1; RFC 7030 4.1.3, 4.2.3) in DER."""
    return pkcs7.serialize_certificates(list(found), serialization.Encoding.DER)


def authorities(pki: Pki) -> bytes:
    """RFC 7030 4.1.3: the roots that clients are to trust, and what issues below them."""
    every = dict.fromkeys(each for one in pki.authorities for each in (one.root, *one.chain))
    return certs_only(*every)
