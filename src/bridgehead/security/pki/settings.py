"""How long certificates last and what they say of the hub: settings that every command on the data folder follows."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from bridgehead.security import files
from bridgehead.security.errors import SecurityError
from bridgehead.security.pki import profiles
from bridgehead.security.pki.certificates import DAY

FILE: Final = "settings.json"


class PkiSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Days of life by profile. `url` is where devices reach revocation lists and OCSP ("http://hub.example:8080"),
    written into certificates; empty: they say nothing of it."""

    server_days: float = profiles.SERVER.life / DAY
    device_days: float = profiles.DEVICE.life / DAY
    administrator_days: float = profiles.ADMINISTRATOR.life / DAY
    dds_days: float = profiles.DDS_IDENTITY.life / DAY
    url: str = ""

    def life(self, profile: profiles.Profile) -> float:
        """Seconds."""
        days = {
            profiles.SERVER.name: self.server_days,
            profiles.DEVICE.name: self.device_days,
            profiles.ADMINISTRATOR.name: self.administrator_days,
            profiles.DDS_IDENTITY.name: self.dds_days,
        }.get(profile.name)
        return profile.life if days is None else days * DAY


def read_settings(folder: Path) -> PkiSettings:
    """Those of the folder; the defaults where none were written. Errors: SecurityError."""
    path = folder / FILE
    if not path.exists():
        return PkiSettings()
    try:
        return msgspec.json.decode(files.read(path), type=PkiSettings)
    except msgspec.MsgspecError:
        raise SecurityError(
            f"{path} cannot be read: remove it, the hub writes it anew from its configuration"
        ) from None


def write_settings(folder: Path, settings: PkiSettings) -> None:
    """Unless they are there already. Errors: SecurityError."""
    data = msgspec.json.encode(settings)
    path = folder / FILE
    if path.exists() and files.read(path) == data:
        return
    files.write_whole(path, data)
