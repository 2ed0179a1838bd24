"""Which leaves the issuing authority makes, each for one purpose: none can stand in for another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID

from bridgehead.security.errors import NotAcceptable
from bridgehead.security.pki import certificates
from bridgehead.security.pki.certificates import COMMON_NAME_LIMIT, DAY, SigningKey
from bridgehead.security.pki.machine import Address, parse_host
from bridgehead.security.pki.names import ADMINISTRATOR_URN, DEVICE_URN
from bridgehead.security.records import check_name

RSA_BITS: Final = 2048  # NIST SP 800-57 part 1, table 2: the least with 112 bits of strength
RSA_BITS_MOST: Final = 8192  # a signature check with more costs us more than it costs who asks
RSA_EXPONENT: Final = 65537


class Profile:
    """`urn` is put before the subject's name in the alternative name, "" for none. `life` in seconds, the default."""

    def __init__(
        self,
        name: str,
        purpose: x509.ObjectIdentifier,
        life: float,
        urn: str = "",
        more: Sequence[x509.ExtensionType] = (),
    ) -> None:
        self.name: Final = name
        self.purpose: Final = purpose
        self.life: Final = life
        self.urn: Final = urn
        self.more: Final = more

    def __repr__(self) -> str:
        return f"Profile({self.name!r})"


# Short lives limit what a stolen key is worth; the hub renews its own, devices renew theirs by EST.
SERVER: Final = Profile("server", ExtendedKeyUsageOID.SERVER_AUTH, 90 * DAY)
DEVICE: Final = Profile("device", ExtendedKeyUsageOID.CLIENT_AUTH, 90 * DAY, DEVICE_URN)
ADMINISTRATOR: Final = Profile("administrator", ExtendedKeyUsageOID.CLIENT_AUTH, 60 * DAY, ADMINISTRATOR_URN)
DDS_IDENTITY: Final = Profile("dds-identity", ExtendedKeyUsageOID.CLIENT_AUTH, 90 * DAY, DEVICE_URN)
# CVE-2023-24011: DDS implementations take permissions signed by anything below the permissions CA. So the signer is a
# leaf that is given to them as that CA, and everything it could be mistaken for is not in it.
DDS_PERMISSIONS: Final = Profile("dds-permissions", ExtendedKeyUsageOID.EMAIL_PROTECTION, 365 * DAY)
# RFC 6960 4.2.2.2.1: a responder's certificate that clients need not check; so it is short-lived.
OCSP: Final = Profile("ocsp", ExtendedKeyUsageOID.OCSP_SIGNING, 30 * DAY, more=(x509.OCSPNoCheck(),))

PROFILES: Final = {each.name: each for each in (SERVER, DEVICE, ADMINISTRATOR, DDS_IDENTITY, DDS_PERMISSIONS, OCSP)}


def make(
    profile: Profile,
    issuer: x509.Certificate,
    issuer_key: SigningKey,
    public_key: CertificatePublicKeyTypes,
    subjects: Sequence[str | Address],
    now: float,
    life: float | None = None,
    url: str = "",
) -> x509.Certificate:
    """One leaf. `subjects`: a server's hosts, the first that fits is the Common Name; else one name.

    Errors: NotAcceptable for a name or a key that cannot be.
    """
    check_key(public_key)
    names: list[x509.GeneralName] = []
    if profile is SERVER:
        hosts = [parse_host(str(each)) for each in subjects]
        names = [x509.DNSName(host) if isinstance(host, str) else x509.IPAddress(host) for host in hosts]
        common = next((str(host) for host in hosts if len(str(host)) <= COMMON_NAME_LIMIT), "bridgehead")
    else:
        common = str(subjects[0])
        check_name(common, "certificate")
        if profile.urn:
            names = [x509.UniformResourceIdentifier(profile.urn + common)]
    lasts = profile.life if life is None else life
    return certificates.make_leaf(
        issuer, issuer_key, public_key, common, names, [profile.purpose], now, lasts, url, profile.more
    )


def check_key(public_key: CertificatePublicKeyTypes) -> None:
    """ECDSA on P-256 or P-384, Ed25519, RSA of 2048 to 8192 bits with a public exponent of 65537 or more (BSI
    TR-02102-1). Errors: NotAcceptable."""
    if isinstance(public_key, ed25519.Ed25519PublicKey):
        return
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        if isinstance(public_key.curve, ec.SECP256R1 | ec.SECP384R1):
            return
        raise NotAcceptable(f"a key on the curve {public_key.curve.name} is not certified: use P-256, P-384 or Ed25519")
    if isinstance(public_key, rsa.RSAPublicKey):
        exponent = public_key.public_numbers().e
        if exponent < RSA_EXPONENT:
            raise NotAcceptable(f"an RSA key with the exponent {exponent} is not certified: use {RSA_EXPONENT}")
        if RSA_BITS <= public_key.key_size <= RSA_BITS_MOST:
            return
        raise NotAcceptable(f"an RSA key of {public_key.key_size} bits is not certified: use {RSA_BITS} or more")
    raise NotAcceptable("a key of this kind is not certified: use ECDSA on P-256, Ed25519, or RSA")
