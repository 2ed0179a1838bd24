"""Credentials in the registry: whose is what a peer presents, which certificates are revoked, when old ones end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from bridgehead.security.credentials import CertificateRecord
from bridgehead.security.errors import NotAcceptable
from bridgehead.security.pki.certificates import REVOCATION_LIST_LIFE, Revoked
from bridgehead.security.records import Device
from bridgehead.security.registry.base import RegistryBase, number

# Kinds of identifiers in the table of that name.
_PSK = "psk"
_TOKEN = "token"  # noqa: S105 - a kind of credential
_KERBEROS = "kerberos"
_RAW_KEY = "rpk"
_OSCORE = "oscore"
_FOREIGN = "foreign:"
_DDS = "dds"

_WORDS = {
    _PSK: "the pre-shared key identity",
    _TOKEN: "the token subject",
    _KERBEROS: "the Kerberos principal",
    _RAW_KEY: "the raw public key",
    _OSCORE: "the OSCORE identifier",
    _DDS: "the DDS identity",
}


class RegistryCredentials(RegistryBase):
    """Errors of every method: SecurityError."""

    def device(self, name: str) -> Device | None:
        for (record,) in self._database.rows("SELECT record FROM devices WHERE name = ?", name):
            return self._decode(record, Device, name)
        return None

    # Whose is it? -----------------------------------------------------------------------------------

    def device_by_fingerprint(self, fingerprint: str) -> Device | None:
        """By a certificate that our own authority issued."""
        rows = self._database.rows("SELECT device FROM certificates WHERE fingerprint = ?", fingerprint)
        return self.device(str(rows[0][0])) if rows else None

    def device_by_psk_identity(self, identity: str) -> Device | None:
        return self._by(_PSK, identity.encode("utf-8", "surrogatepass"))

    def device_by_token_subject(self, issuer: str, subject: str) -> Device | None:
        return self._by(_TOKEN, _pair(issuer, subject))

    def device_by_kerberos(self, principal: str) -> Device | None:
        return self._by(_KERBEROS, principal.encode("utf-8", "surrogatepass"))

    def device_by_foreign(self, kind: str, value: str) -> Device | None:
        """`kind` and `value` as in credentials.ForeignCertificate."""
        return self._by(_FOREIGN + kind, value.encode("utf-8", "surrogatepass"))

    def device_by_raw_key(self, fingerprint: str) -> Device | None:
        """`fingerprint`: SHA-256 of the DER SubjectPublicKeyInfo, in hexadecimal."""
        return self._by(_RAW_KEY, fingerprint.encode())

    def device_by_oscore(self, sender_id: bytes, id_context: bytes) -> Device | None:
        """`sender_id` is the device's, our Recipient ID."""
        return self._by(_OSCORE, _oscore(sender_id, id_context))

    def oscore_owners(self, sender_id: bytes) -> list[str]:
        """The names of the devices that have a context with this Sender ID, whatever its ID Context: a request may
        leave that out (RFC 8613 section 5.1)."""
        first = _oscore(sender_id, b"")
        # The first octet is the identifier's length, so the next value of that length is no longer.
        beyond = (int.from_bytes(first, "big") + 1).to_bytes(len(first), "big")
        rows = self._database.rows(
            "SELECT DISTINCT device FROM identifiers WHERE kind = ? AND value >= ? AND value < ?",
            _OSCORE,
            first,
            beyond,
        )
        return [str(name) for (name,) in rows]

    def device_by_dds(self, fingerprint: str) -> Device | None:
        return self._by(_DDS, fingerprint.encode())

    def _by(self, kind: str, value: bytes) -> Device | None:
        rows = self._database.rows("SELECT device FROM identifiers WHERE kind = ? AND value = ?", kind, value)
        return self.device(str(rows[0][0])) if rows else None

    def _check_identifiers(self, device: Device) -> None:
        """Two devices cannot share what they are known by. Errors: NotAcceptable."""
        for certificate in device.certificates:
            if self.revoked_from(certificate.fingerprint) is not None:
                raise NotAcceptable(f"the certificate {certificate.fingerprint[:16]}... was revoked: issue another one")
            for (holder,) in self._database.rows(
                "SELECT device FROM certificates WHERE fingerprint = ?", certificate.fingerprint
            ):
                if holder != device.name:
                    raise NotAcceptable(f"a certificate of {device.name!r} belongs to the device {holder!r} already")
        for kind, value, shown in _identifiers(device):
            rows = self._database.rows("SELECT device FROM identifiers WHERE kind = ? AND value = ?", kind, value)
            if rows and rows[0][0] != device.name:
                what = _WORDS.get(kind, "the foreign certificate")
                raise NotAcceptable(f"{what} {shown!r} belongs to the device {rows[0][0]!r} already: take another one")

    def _index_credentials(self, device: Device) -> None:
        for certificate in device.certificates:
            self._database.write("INSERT INTO certificates VALUES (?, ?)", certificate.fingerprint, device.name)
        for kind, value, _ in _identifiers(device):
            self._database.write("INSERT OR IGNORE INTO identifiers VALUES (?, ?, ?)", kind, value, device.name)
        ends = [each for each in endings(device) if each is not None]
        if ends:
            self._database.write("INSERT INTO endings VALUES (?, ?)", device.name, min(ends))

    def _unindex_credentials(self, name: str) -> None:
        self._database.write("DELETE FROM certificates WHERE device = ?", name)
        self._database.write("DELETE FROM identifiers WHERE device = ?", name)
        self._database.write("DELETE FROM endings WHERE device = ?", name)

    # When the old ones of a rotation end. -----------------------------------------------------------

    def next_ending(self) -> float | None:
        """When the next overlap ends; None: there is none."""
        rows = self._database.rows("SELECT min(at) FROM endings")
        return None if rows[0][0] is None else number(rows[0][0])

    def devices_with_ended(self, now: float) -> list[str]:
        """Devices whose record holds a credential that has ended."""
        rows = self._database.rows("SELECT device FROM endings WHERE at <= ? ORDER BY device", now)
        return [str(name) for (name,) in rows]

    # Revoked certificates. --------------------------------------------------------------------------

    def revoked(self, now: float) -> list[Revoked]:
        """What a revocation list of today names: a certificate stays on it for a while after its own end."""
        rows = self._database.rows(
            "SELECT serial, revoked_at FROM revocations WHERE expires_at > ? ORDER BY revoked_at, serial",
            now - REVOCATION_LIST_LIFE,
        )
        return [Revoked(int(str(serial), 16), float(str(at))) for serial, at in rows]

    def revoked_from(self, fingerprint: str) -> str | None:
        """The name of the device that had this certificate before it was revoked. None: it was not."""
        rows = self._database.rows("SELECT device FROM revocations WHERE fingerprint = ?", fingerprint)
        return str(rows[0][0]) if rows else None

    def _revoke(self, device: str, certificates: Iterable[CertificateRecord], now: float) -> None:
        for each in certificates:
            self._database.write(
                "INSERT OR REPLACE INTO revocations VALUES (?, ?, ?, ?, ?)",
                each.serial,
                each.fingerprint,
                device,
                now,
                each.not_after,
            )


def issued_to(device: Device) -> list[CertificateRecord]:
    """All certificates that our authority issued to it."""
    return [*device.certificates, *(() if device.dds_identity is None else (device.dds_identity,))]


def endings(device: Device) -> list[float | None]:
    """The `until` of every credential that can have one."""
    found = [each.until for each in device.certificates]
    found += [each.until for each in (device.password, device.former_password) if each is not None]
    found += [each.until for each in device.pre_shared_keys]
    found += [each.until for each in device.raw_public_keys]
    found += [each.until for each in device.oscore]
    return found


def _identifiers(device: Device) -> Iterator[tuple[str, bytes, str]]:
    """Kind, value as it is looked up, and how a sentence shows it."""
    for key in device.pre_shared_keys:
        yield _PSK, key.identity.encode("utf-8", "surrogatepass"), key.identity
    for subject in device.token_subjects:
        yield _TOKEN, _pair(subject.issuer, subject.subject), subject.subject
    for principal in device.kerberos_principals:
        yield _KERBEROS, principal.encode("utf-8", "surrogatepass"), principal
    for foreign in device.foreign_certificates:
        yield _FOREIGN + foreign.kind, foreign.value.encode("utf-8", "surrogatepass"), foreign.value
    for raw in device.raw_public_keys:
        yield _RAW_KEY, raw.fingerprint.encode(), raw.fingerprint
    for context in device.oscore:
        yield _OSCORE, _oscore(context.sender_id, context.id_context), context.sender_id.hex()
    if device.dds_identity is not None:
        yield _DDS, device.dds_identity.fingerprint.encode(), device.dds_identity.fingerprint


def _pair(first: str, second: str) -> bytes:
    """Injective: no issuer and subject look like others."""
    return msgspec.json.encode([first, second])


def _oscore(sender_id: bytes, id_context: bytes) -> bytes:
    return len(sender_id).to_bytes(1) + sender_id + id_context
