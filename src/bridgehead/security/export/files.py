"""The names of what bundles have in common."""

from __future__ import annotations

from typing import Final

AUTHORITY: Final = "ca.pem"
CERTIFICATE: Final = "certificate.pem"
KEY: Final = "key.pem"
PASSWORD: Final = "password"  # noqa: S105 - a file's name
DESCRIPTION: Final = "device.json"
README: Final = "README.txt"
