"""The hub's own participant: its identity and signed documents, in DATA/dds/hub (0600 in 0700).

The subject is no device's name (there are spaces in it): permissions are granted to a subject and travel in clear, so
a device of the hub's name could show the hub's. The permissions are short-lived and made anew at half of their life;
a participant has to be made anew to use them, as well as a new revocation list.
"""

from __future__ import annotations

from typing import Final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from bridgehead.security import files
from bridgehead.security.dds import documents
from bridgehead.security.dds.authority import FOLDER, DdsAuthority
from bridgehead.security.dds.bundle import DomainFiles
from bridgehead.security.dds.guids import certificate_guid_prefix, low_name
from bridgehead.security.dds.revocations import revocation_list, revoked_by
from bridgehead.security.dds.routes import Routing, hub_rules
from bridgehead.security.errors import SecurityError
from bridgehead.security.identity.identity import Identity
from bridgehead.security.pki import certificates, profiles
from bridgehead.security.pki.authority import Authority
from bridgehead.security.pki.issued import IssuedCertificate

HUB: Final = "hub"
_STEM: Final = "Bridgehead Hub"
_ZERO_BITS: Final = 16
_LEFT: Final = 1 / 3  # of the identity's life, when it is renewed
_PROFILE: Final = profiles.DDS_IDENTITY


class HubParticipant:
    """To be used in the thread that `identity` was opened in. Errors of every method: SecurityError."""

    def __init__(self, identity: Identity) -> None:
        self._identity: Final = identity
        self._folder: Final = identity.data / FOLDER / HUB
        self.files: Final = DomainFiles(self._folder)
        self._certificate: x509.Certificate | None = None
        self._issuer = ""
        self._revoked: frozenset[int] = frozenset()
        self._seen: tuple[object, ...] = ()
        self._renew_at = 0.0

    def __repr__(self) -> str:
        return f"HubParticipant({str(self._folder)!r})"

    @property
    def guid_prefix(self) -> bytes:
        """The first six octets of the GUIDs of the hub's participants, after `make`."""
        if self._certificate is None:
            raise SecurityError("the hub's DDS identity is not made yet: call make() first")
        return certificate_guid_prefix(self._certificate)

    def due(self, now: float) -> bool:
        """Whether the participants are to be made anew with what `make` makes: half of the permissions' life is over,
        the authority is another one, or something was revoked."""
        signer = self._identity.pki.signer
        if self._certificate is None or now >= self._renew_at or signer.fingerprint != self._issuer:
            return True
        seen = self._changes()
        if seen == self._seen:
            return False
        if frozenset(each.serial for each in self._on_list(signer, now)) != self._revoked:
            return True
        self._seen = seen
        return False

    def make(self, now: float, routing: Routing, lifetime: float) -> DomainFiles:
        """Writes the files. `lifetime` is the permissions', in seconds, as far as the identity lasts. Takes some tenths
        of a second for the first time."""
        pki = self._identity.pki
        signer = pki.signer
        authority = DdsAuthority(self._identity.data, now)
        seen = self._changes()
        with files.locked(self._identity.data / FOLDER / ".hub.lock"):
            files.private_folder(self._folder)
            identity_ca = authority.identity_ca(signer)
            certificate = self._current(signer, now) or self._issue(signer, now)
            name = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
            end = min(now + lifetime, certificates.not_after(certificate))
            begin = now - certificates.BACKDATED
            permissions = documents.permissions(str(name), hub_rules(routing), begin, end)
            revoked = self._on_list(signer, now)
            for path, data in (
                (self.files.identity_ca, identity_ca),
                (self.files.permissions_ca, authority.permissions_ca_pem),
                (self.files.governance, authority.sign(documents.governance(routing.metadata))),
                (self.files.permissions, authority.sign(permissions)),
                (self._folder / "crl.pem", revocation_list(pki, signer, revoked, now, end)),
            ):
                files.write_whole(path, data)
        self._certificate, self._issuer, self._seen = certificate, signer.fingerprint, seen
        self._revoked = frozenset(each.serial for each in revoked)
        self._renew_at = now + (end - now) / 2
        return self.files

    def _changes(self) -> tuple[object, ...]:
        """Differs after whatever may have revoked something. It is asked often, and costs little."""
        return (self._identity.registry.change_number(), self._identity.pki.stamp())

    def _on_list(self, signer: Authority, now: float) -> list[certificates.Revoked]:
        return revoked_by(self._identity.pki, signer, self._identity.registry.revoked(now), now)

    def _current(self, signer: Authority, now: float) -> x509.Certificate | None:
        """What is there, while it does."""
        if not self.files.certificate.exists() or not self.files.key.exists():
            return None
        certificate = certificates.read_certificate(files.read(self.files.certificate), str(self.files.certificate))
        files.check_private(self.files.key)
        key = certificates.read_key(files.read(self.files.key), str(self.files.key))
        if key.public_key() != certificate.public_key() or not certificates.is_issued_by(
            certificate, signer.certificate
        ):
            return None
        begin, end = certificates.not_before(certificate), certificates.not_after(certificate)
        lasts = begin <= now and end - now > (end - begin) * _LEFT
        return certificate if lasts or (now < end and not signer.can_sign) else None

    def _issue(self, signer: Authority, now: float) -> x509.Certificate:
        """As profiles.make does it for a device, but for the name."""
        signer.check_validity(now)
        pki = self._identity.pki
        key = certificates.new_key()
        made = certificates.make_leaf(
            signer.certificate,
            signer.key(),
            key.public_key(),
            low_name(_STEM, _ZERO_BITS),
            [],
            [ExtendedKeyUsageOID.CLIENT_AUTH],
            now,
            pki.settings().life(_PROFILE),
        )
        issued = IssuedCertificate(made, signer.chain, certificates.key_pem(key))
        issued.issuer = signer.fingerprint
        pki.ledger.add(issued, _PROFILE.name, _STEM)
        files.write_whole(self.files.key, issued.key_pem)
        files.write_whole(self.files.certificate, certificates.certificate_pem(made))
        return made
