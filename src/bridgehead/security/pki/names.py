"""Whose certificate is it? One written rule for every protocol.

1. Names of the form `urn:bridgehead:device:NAME` among the Subject Alternative Names: exactly one of them is the
   device's name; two are refused, also when they are equal.
2. Without any name of ours there (`urn:bridgehead:...`): the subject's Common Name, when there is exactly one.
3. A NAME that no device can have is refused. Nothing else in a certificate is looked at.

The record still decides: a certificate counts only when a device's record has its fingerprint.
"""

from __future__ import annotations

from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from bridgehead.security.errors import NotAcceptable
from bridgehead.security.pki import certificates
from bridgehead.security.records import is_name

URN: Final = "urn:bridgehead:"
DEVICE_URN: Final = "urn:bridgehead:device:"
ADMINISTRATOR_URN: Final = "urn:bridgehead:administrator:"


def device_of(subject: x509.Name, extensions: x509.Extensions) -> str | None:
    """The device named by a certificate's or request's subject and extensions; None when neither names anybody.

    Errors: NotAcceptable when several are named, or one that no device can be.
    """
    ours = [each for each in _uris(extensions) if each.lower().startswith(URN)]
    if ours:
        if len(ours) > 1:
            raise NotAcceptable("the certificate names several identities: exactly one urn:bridgehead:device:NAME")
        if not ours[0].startswith(DEVICE_URN):
            raise NotAcceptable("the certificate names no device: its alternative name is another kind of identity")
        return _checked(ours[0].removeprefix(DEVICE_URN))
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(names) > 1:
        raise NotAcceptable("the certificate has several Common Names: exactly one names the device")
    return _checked(str(names[0].value)) if names else None


def device_of_certificate(certificate: x509.Certificate) -> str:
    """Errors: NotAcceptable, also when it names nobody."""
    try:
        name = device_of(certificate.subject, certificate.extensions)
    except NotAcceptable:
        raise
    except certificates.UNREADABLE:
        raise NotAcceptable("the certificate's names cannot be read") from None
    if name is None:
        raise NotAcceptable("the certificate names no device: neither urn:bridgehead:device:NAME nor a Common Name")
    return name


def _uris(extensions: x509.Extensions) -> list[str]:
    try:
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return names.get_values_for_type(x509.UniformResourceIdentifier)


def _checked(name: str) -> str:
    if not is_name(name):
        raise NotAcceptable("the certificate names a device that cannot exist: use A-Z a-z 0-9 . _ - (at most 64)")
    return name
