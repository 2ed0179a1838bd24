"""The files that a secured participant is configured with (DDS Security 1.1 sections 9.3.1 and 9.4.1)."""

from __future__ import annotations

from pathlib import Path
from typing import Final


class DomainFiles:
    """Paths of what a participant is configured with, the same in every domain: the hub's, or those of a bundle for
    dds. `crl` is a revocation list (PEM), None in a bundle that has none."""

    def __init__(self, folder: Path, has_crl: bool = True) -> None:
        self.identity_ca: Final = folder / "identity_ca.cert.pem"
        self.certificate: Final = folder / "cert.pem"
        self.key: Final = folder / "key.pem"
        self.permissions_ca: Final = folder / "permissions_ca.cert.pem"
        self.governance: Final = folder / "governance.p7s"
        self.permissions: Final = folder / "permissions.p7s"
        self.crl: Final[Path | None] = folder / "crl.pem" if has_crl else None

    def __repr__(self) -> str:
        return f"DomainFiles({str(self.key.parent)!r})"
