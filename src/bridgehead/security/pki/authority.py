"""One authority of the hub: a root, what issues below it, and where its keys lie."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509

from bridgehead.security import files
from bridgehead.security.errors import SecurityError
from bridgehead.security.pki import certificates
from bridgehead.security.pki.certificates import SigningKey


class Authority:
    """`name`: its folder's, "" for the single authority of the first version. `until`: when it ceases to be accepted,
    None while it signs. A value: a change on disk makes another one."""

    def __init__(
        self, name: str, folder: Path, root: x509.Certificate, chain: Sequence[x509.Certificate], until: float | None
    ) -> None:
        self.name: Final = name
        self.folder: Final = folder
        self.root: Final = root
        self.chain: Final = tuple(chain)  # the issuing authority first, without the root; empty when the root issues
        self.until: Final = until
        self.certificate: Final = self.chain[0] if self.chain else root
        self.fingerprint: Final = certificates.fingerprint(certificates.certificate_der(self.certificate))
        single = not name
        self.certificate_file: Final = folder / ("ca.pem" if single else "issuing.pem")
        self.key_file: Final = folder / ("ca.key" if single else "issuing.key")
        self.root_key_file: Final = folder / ("ca.key" if single else "root.key")
        self.responder_file: Final = folder / "ocsp.pem"

    def __repr__(self) -> str:
        return f"Authority({self.name!r}, until={self.until!r})"

    @property
    def can_sign(self) -> bool:
        return self.key_file.exists()

    def key(self) -> SigningKey:
        """Read only while something is signed. Errors: SecurityError."""
        path = self.key_file
        if not path.exists():
            raise SecurityError(f"{path}, the key of the hub's authority, is not there: put it back to sign anything")
        files.check_private(path)
        key = certificates.read_key(files.read(path), str(path))
        if key.public_key() != self.certificate.public_key():
            raise SecurityError(f"{path} is not the key of {self.certificate_file}: restore both from one backup")
        return key

    def check_validity(self, now: float) -> None:
        """Errors: SecurityError."""
        for each in (*self.chain, self.root):
            begin, end = certificates.not_before(each), certificates.not_after(each)
            if now < begin:
                raise SecurityError(
                    f"the hub's authority ({self.certificate_file}) is valid from {date(begin)} on and this machine's "
                    f"clock says {date(now)}: set the clock"
                )
            if now >= end:
                raise SecurityError(
                    f"the hub's authority ({self.certificate_file}) has expired on {date(end)}: make another one with "
                    "`bridgehead ca roll-over --overlap 0d`, and give every device and client the new ca.pem"
                )


def date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def single(folder: Path) -> Authority:
    """As the first version made it: the root issues by itself. Errors: SecurityError."""
    path = folder / "ca.pem"
    return Authority("", folder, certificates.read_certificate(files.read(path), str(path)), (), None)


def read(folder: Path, until: float | None) -> Authority:
    """What lies in authorities/N. Errors: SecurityError."""
    root, issuing = folder / "root.pem", folder / "issuing.pem"
    for key in (folder / "issuing.key", folder / "root.key"):
        if key.exists():
            files.check_private(key)
    first = certificates.read_certificate(files.read(root), str(root))
    chain = [each for each in certificates.read_certificates(files.read(issuing), str(issuing)) if each != first]
    return Authority(folder.name, folder, first, chain, until)


def make(folder: Path, now: float) -> None:
    """A root and an issuing authority below it. The keys come first: no certificate without its key."""
    files.private_folder(folder)
    root_key, key = certificates.new_key(), certificates.new_key()
    files.write_whole(folder / "root.key", certificates.key_pem(root_key))
    files.write_whole(folder / "issuing.key", certificates.key_pem(key))
    root = certificates.make_root(root_key, now)
    files.write_whole(folder / "root.pem", certificates.certificate_pem(root))
    issuing = certificates.make_issuing(root, root_key, key, now)
    files.write_whole(folder / "issuing.pem", certificates.certificate_pem(issuing))


def make_below(folder: Path, root: x509.Certificate, root_key: SigningKey, keep_key: bool, now: float) -> None:
    """Another issuing authority below a root that clients trust already."""
    files.private_folder(folder)
    key = certificates.new_key()
    if keep_key:
        files.write_whole(folder / "root.key", certificates.key_pem(root_key))
    install(folder, [certificates.make_issuing(root, root_key, key, now)], root, key)


def install(folder: Path, chain: Sequence[x509.Certificate], root: x509.Certificate, key: SigningKey) -> None:
    """An authority that was signed elsewhere. `chain`: the issuing one first, without the root."""
    files.private_folder(folder)
    files.write_whole(folder / "issuing.key", certificates.key_pem(key))
    files.write_whole(folder / "root.pem", certificates.certificate_pem(root))
    files.write_whole(folder / "issuing.pem", certificates.certificate_pem(*(chain or [root])))
