"""Whose certificate is it: the written rule of security/pki/names.py, case by case."""

from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from bridgehead.security.errors import NotAcceptable
from bridgehead.security.pki import certificates
from bridgehead.security.pki.names import device_of_certificate

KEY = certificates.new_key()
TODAY = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def certificate(common_names: list[str], uris: list[str] | None = None) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each) for each in common_names])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(KEY.public_key())
    builder = builder.serial_number(1).not_valid_before(TODAY).not_valid_after(TODAY + datetime.timedelta(days=1))
    if uris is not None:
        names = [x509.UniformResourceIdentifier(each) for each in uris]
        builder = builder.add_extension(x509.SubjectAlternativeName([*names, x509.DNSName("hub.example")]), False)
    return builder.sign(KEY, hashes.SHA256())


DEVICE = "urn:bridgehead:device:"


@pytest.mark.parametrize(
    ("common_names", "uris", "name"),
    [
        (["sensor-7"], [DEVICE + "sensor-7"], "sensor-7"),
        (["other"], [DEVICE + "sensor-7"], "sensor-7"),  # the alternative name comes first
        ([], [DEVICE + "sensor-7"], "sensor-7"),
        (["a", "b"], [DEVICE + "sensor-7"], "sensor-7"),
        (["x"], [DEVICE + "sensor-7", "urn:other:1", "https://example.org"], "sensor-7"),
        (["sensor-7"], None, "sensor-7"),
        (["sensor-7"], ["urn:other:1"], "sensor-7"),
    ],
)
def test_one_name(common_names: list[str], uris: list[str] | None, name: str) -> None:
    assert device_of_certificate(certificate(common_names, uris)) == name


@pytest.mark.parametrize(
    ("common_names", "uris", "said"),
    [
        (["a"], [DEVICE + "a", DEVICE + "b"], "several identities"),
        (["a"], [DEVICE + "a", DEVICE + "a"], "several identities"),
        (["a"], [DEVICE + "a", "urn:bridgehead:administrator:b"], "several identities"),
        (["a"], [DEVICE + "a", "URN:BRIDGEHEAD:DEVICE:b"], "several identities"),
        (["a"], ["URN:BRIDGEHEAD:DEVICE:a"], "names no device"),
        (["a"], ["urn:bridgehead:administrator:a"], "names no device"),  # nor by its Common Name
        (["a"], [DEVICE], "a device that cannot exist"),
        (["a"], [DEVICE + "a/b"], "a device that cannot exist"),
        (["a"], [DEVICE + "+"], "a device that cannot exist"),
        (["a", "b"], None, "several Common Names"),
        (["a", "a"], None, "several Common Names"),
        (["a b"], None, "a device that cannot exist"),
        ([], None, "neither urn:bridgehead:device:NAME nor a Common Name"),
    ],
)
def test_none_or_several_are_refused(common_names: list[str], uris: list[str] | None, said: str) -> None:
    with pytest.raises(NotAcceptable, match=said):
        device_of_certificate(certificate(common_names, uris))
