"""An OCSP responder (RFC 6960) for what the hub's authorities issued, and responses to staple to handshakes.

A response is signed by a short-lived leaf of the very authority that is asked about, with id-pkix-ocsp-nocheck. One
certificate per request, as RFC 5019 2.1.1 has it. What is revoked is what the revocation lists say.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509 import ocsp
from cryptography.x509.ocsp import OCSPCertStatus, OCSPRequest, OCSPResponseBuilder, OCSPResponseStatus

from bridgehead.security import files
from bridgehead.security.errors import SecurityError
from bridgehead.security.pki import Pki, certificates, profiles
from bridgehead.security.pki.authority import Authority
from bridgehead.security.pki.certificates import SigningKey

MOST_OCTETS: Final = 4096  # of a request; one certificate and a nonce need about 120
NONCE_OCTETS: Final = 32  # RFC 8954 2.1: at most, and at least one
RESPONSE_LIFE: Final = 86400.0  # seconds until nextUpdate; a client may keep it so long
_SUBJECT: Final = "ocsp-responder"
_HASHES: Final = ("sha1", "sha256", "sha384", "sha512")  # of an issuer's name and key, as its identifier


class _Signer:
    """The responder's key and certificate for one authority."""

    def __init__(self, certificate: x509.Certificate, key: SigningKey) -> None:
        self.certificate: Final = certificate
        self.key: Final = key


class Responder:
    """Answers for all accepted authorities of one data folder. May be called from several threads."""

    def __init__(self, pki: Pki) -> None:
        self._pki: Final = pki
        self._lock: Final = threading.Lock()
        self._signers: dict[str, _Signer] = {}
        self._lists: list[x509.CertificateRevocationList] = []
        self._lists_at: object = None

    def respond(self, request_der: bytes, now: float) -> bytes:
        """A DER OCSPResponse to any octets. Errors: none; what goes wrong here is `internalError` or `tryLater`."""
        with self._lock:
            try:
                return self._respond(request_der, now)
            except SecurityError:
                return _failure(OCSPResponseStatus.INTERNAL_ERROR)

    def _respond(self, request_der: bytes, now: float) -> bytes:
        try:
            request = _read(request_der)
            nonce = _nonce_of(request)
            wanted = request.hash_algorithm
            name_hash, key_hash, serial = request.issuer_name_hash, request.issuer_key_hash, request.serial_number
            if serial < 0:  # RFC 5280 4.1.2.2
                raise ValueError("serial numbers are positive")
        except (*certificates.UNREADABLE, NotImplementedError):
            return _failure(OCSPResponseStatus.MALFORMED_REQUEST)
        for each in self._pki.authorities:
            if _identifies(each.certificate, wanted, name_hash, key_hash):
                return self._answer(each, serial, now, wanted, nonce)
        # RFC 6960 2.3: the server is not authoritative for this certificate.
        return _failure(OCSPResponseStatus.UNAUTHORIZED)

    def about(self, certificate: x509.Certificate, now: float) -> bytes | None:
        """A response to staple; None when none of our authorities issued the certificate. Errors: SecurityError."""
        with self._lock:
            for each in self._pki.authorities:
                if certificates.is_issued_by(certificate, each.certificate):
                    return self._answer(each, certificate.serial_number, now, hashes.SHA1(), None)  # noqa: S303
        return None

    # ------------------------------------------------------------------------------------------------

    def _answer(
        self, authority: Authority, serial: int, now: float, algorithm: hashes.HashAlgorithm, nonce: bytes | None
    ) -> bytes:
        signer = self._signer(authority, now)
        if signer is None:
            return _failure(OCSPResponseStatus.TRY_LATER)
        status, revoked_at = self._status(authority, serial)
        # A response does not outlive the signer: RFC 6960 4.2.2.2 asks that it be valid when it is used.
        until = min(now + RESPONSE_LIFE, certificates.not_after(signer.certificate))
        builder = OCSPResponseBuilder().add_response_by_hash(
            issuer_name_hash=_digest(algorithm, authority.certificate.subject.public_bytes()),
            issuer_key_hash=_digest(algorithm, _key_bits(authority.certificate.public_key())),
            serial_number=serial,
            algorithm=algorithm,
            cert_status=status,
            this_update=_time(now),
            next_update=_time(until),
            revocation_time=None if revoked_at is None else revoked_at,
            revocation_reason=None,
        )
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
        builder = builder.certificates([signer.certificate])
        if nonce is not None:
            builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
        by = None if isinstance(signer.key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
        return builder.sign(signer.key, by).public_bytes(serialization.Encoding.DER)

    def _status(self, authority: Authority, serial: int) -> tuple[OCSPCertStatus, datetime | None]:
        for each in self._revocation_lists():
            entry = each.get_revoked_certificate_by_serial_number(serial) if _is_of(each, authority) else None
            if entry is not None:
                return OCSPCertStatus.REVOKED, entry.revocation_date_utc
        noted = self._pki.ledger.find(serial)
        # The first version kept no ledger: what its single authority has not revoked is good, as RFC 6960 2.2 allows.
        if (noted is not None and noted.issuer == authority.fingerprint) or (noted is None and not authority.chain):
            return OCSPCertStatus.GOOD, None
        return OCSPCertStatus.UNKNOWN, None

    def _revocation_lists(self) -> list[x509.CertificateRevocationList]:
        stamp = self._pki.stamp()
        if stamp != self._lists_at:
            path = self._pki.revocation_file
            self._lists = certificates.read_revocation_lists(files.read(path), str(path))
            self._lists_at = stamp
        return self._lists

    def _signer(self, authority: Authority, now: float) -> _Signer | None:
        """Made, or made anew when a third of its life is left. None: the authority's key is elsewhere."""
        known = self._signers.get(authority.fingerprint)
        if known is not None and _lasts(known.certificate, now):
            return known
        path = authority.responder_file
        with files.locked(self._pki.folder / ".lock"):
            if path.exists():
                files.check_private(path)
                pem = files.read(path)
                found = _Signer(certificates.read_certificate(pem, str(path)), certificates.read_key(pem, str(path)))
                ours = certificates.is_issued_by(found.certificate, authority.certificate)
                if ours and (_lasts(found.certificate, now) or (not authority.can_sign and _in_force(found, now))):
                    self._signers[authority.fingerprint] = found
                    return found
            if not authority.can_sign:
                return None
            key = certificates.new_key()
            issued = self._pki.issue(
                profiles.OCSP, [_SUBJECT], key.public_key(), now, certificates.key_pem(key), authority
            )
            files.write_whole(path, issued.key_pem + certificates.certificate_pem(issued.certificate))
        made = _Signer(issued.certificate, key)
        self._signers[authority.fingerprint] = made
        return made


class Staple:
    """The response for the hub's own certificate, ready for handshakes."""

    def __init__(self, pki: Pki, responder: Responder, clock: Callable[[], float]) -> None:
        self._pki: Final = pki
        self._responder: Final = responder
        self._clock: Final = clock
        self._response: bytes | None = None
        self._until = 0.0

    def renew(self) -> None:
        """Sign anew: at the start, when certificates change, and every hour. Errors: SecurityError."""
        certificate = self._pki.server_certificate()
        now = self._clock()
        self._response = None if certificate is None else self._responder.about(certificate, now)
        self._until = now + RESPONSE_LIFE

    def current(self) -> bytes | None:
        """None when there is none that holds: a stale one would make clients refuse the hub."""
        return self._response if self._clock() < self._until else None


def _read(der: bytes) -> OCSPRequest:
    if not 0 < len(der) <= MOST_OCTETS:
        raise ValueError("the request has an impossible size")
    return ocsp.load_der_ocsp_request(der)


def _nonce_of(request: OCSPRequest) -> bytes | None:
    try:
        nonce = request.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
    except x509.ExtensionNotFound:
        return None
    if not 1 <= len(nonce) <= NONCE_OCTETS:
        raise ValueError("RFC 8954 2.1: a nonce has 1 to 32 octets")
    return nonce


def _identifies(issuer: x509.Certificate, algorithm: hashes.HashAlgorithm, name_hash: bytes, key_hash: bytes) -> bool:
    if algorithm.name not in _HASHES:
        return False
    return name_hash == _digest(algorithm, issuer.subject.public_bytes()) and key_hash == _digest(
        algorithm, _key_bits(issuer.public_key())
    )


def _digest(algorithm: hashes.HashAlgorithm, data: bytes) -> bytes:
    return hashlib.new(algorithm.name, data, usedforsecurity=False).digest()


def _key_bits(key: CertificatePublicKeyTypes) -> bytes:
    """The subjectPublicKey's contents (RFC 6960 4.1.1: without tag, length and unused bits)."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)


def _is_of(listed: x509.CertificateRevocationList, authority: Authority) -> bool:
    return listed.issuer == authority.certificate.subject


def _lasts(certificate: x509.Certificate, now: float) -> bool:
    begin, end = certificates.not_before(certificate), certificates.not_after(certificate)
    return begin <= now and end - now > (end - begin) / 3


def _in_force(signer: _Signer, now: float) -> bool:
    return certificates.not_before(signer.certificate) <= now < certificates.not_after(signer.certificate)


def _failure(status: OCSPResponseStatus) -> bytes:
    return OCSPResponseBuilder.build_unsuccessful(status).public_bytes(serialization.Encoding.DER)


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)
