"""Whose is a certificate of somebody else's authority? By its fingerprint or one of its names, as the record says.

TLS has verified it against the authorities of the listener (`client_ca`). A certificate that a Bridgehead authority
issued says so in its names, and is known by the record of its issue alone: here it is nobody's, whatever it is called.
"""

from __future__ import annotations

from typing import Final

from cryptography import x509

from bridgehead.security.login.proof import Unproven
from bridgehead.security.mechanisms import CERTIFICATE
from bridgehead.security.pki.certificates import fingerprint, not_after, not_before
from bridgehead.security.records import Device
from bridgehead.security.registry.registry import Registry
from bridgehead.security.rights.enforced import mark_of

_OURS: Final = "urn:bridgehead:"
_MOST_NAMES: Final = 64  # of one certificate that are looked up


def foreign_names(certificate: x509.Certificate) -> list[tuple[str, str]]:
    """(kind, value) of credentials.ForeignCertificate: subject alternative names first, then the subject; a host name
    and the domain of an address in small letters (RFC 5280 section 7)."""
    found: list[tuple[str, str]] = []
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        names = None
    if names is not None:
        found += [("uri", value) for value in names.get_values_for_type(x509.UniformResourceIdentifier)]
        found += [("dns", value.lower()) for value in names.get_values_for_type(x509.DNSName)]
        for value in names.get_values_for_type(x509.RFC822Name):
            local, at, domain = value.rpartition("@")
            found.append(("email", local + at + domain.lower()))
    subject = certificate.subject.rfc4514_string()
    if subject:
        found.append(("subject", subject))
    return found


def foreign_device(registry: Registry, der: bytes, now: float) -> tuple[Device, float, str] | None:
    """The device that the certificate speaks for, until when, and the record's mark; None: it is on no record.

    Names of two devices in one certificate prove neither. Errors: Unproven, SecurityError.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        names = foreign_names(certificate)
        begins, ends = not_before(certificate), not_after(certificate)
    except ValueError:  # what OpenSSL takes, and `cryptography` does not
        raise Unproven("the certificate cannot be read") from None
    known = fingerprint(der)
    holders: dict[str, tuple[Device, str]] = {}
    exact = registry.device_by_foreign("fingerprint", known)
    if exact is not None:
        holders[exact.name] = exact, mark_of(CERTIFICATE, f"fingerprint {known}")
    elif not any(kind == "uri" and value.startswith(_OURS) for kind, value in names):
        for kind, value in names[:_MOST_NAMES]:
            device = registry.device_by_foreign(kind, value)
            if device is not None:
                holders.setdefault(device.name, (device, mark_of(CERTIFICATE, f"{kind} {value}")))
    if not holders:
        return None
    if len(holders) > 1:
        raise Unproven(f"the certificate {known[:16]}... names several devices: {', '.join(sorted(holders))}")
    ((name, (device, mark)),) = holders.items()
    # In a resumed session TLS has not looked again.
    if now < begins:
        raise Unproven(f"the certificate {known[:16]}... of {name!r} is not valid yet")
    if now > ends:
        raise Unproven(f"the certificate {known[:16]}... of {name!r} has expired")
    return device, ends, mark
