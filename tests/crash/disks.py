"""Disks that fill up: a small file system of its own where the system lets us mount one, and a limit on file sizes."""

from __future__ import annotations

import os
import resource
import subprocess
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

from bridgehead.security.records import PermissionRecord
from tests.cli.hub import Hub, command, wait_until

_ROOM: Final = 12  # MiB
_PIECE: Final = b"\0" * 4096


@cache
def can_mount() -> bool:
    """Whether an ordinary user may mount a file system that only its own processes see (user namespaces)."""
    attempt = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", "mount -t tmpfs none /mnt"]
    try:
        return subprocess.run(attempt, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


class LimitedHub(Hub):
    """Its files cannot grow beyond what they are when the disk is filled (RLIMIT_FSIZE). The device `device` (password
    `secret`) may do everything."""

    def add_device(self) -> None:
        self.enrol("device", "secret", (PermissionRecord("#", publish=True, subscribe=True),))

    def _limit(self, octets: int) -> None:
        assert self.process is not None
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (octets, resource.RLIM_INFINITY))

    def fill(self) -> None:
        # The log is smaller than the write-ahead log, so that it goes on.
        self._limit(max(part.stat().st_size for part in self.data.glob("hub.db*")))

    def free(self) -> None:
        self._limit(resource.RLIM_INFINITY)


class SmallDiskHub(Hub):
    """As LimitedHub. Its data folder lies on a file system of 12 MiB, which is gone with the process."""

    def launch(self) -> subprocess.Popen[bytes]:
        mount = self.folder / "disk"
        mount.mkdir()
        inside = mount / "data"
        script = f'mount -t tmpfs -o size={_ROOM}m none "$0" && exec "$@"'
        unshare = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, str(mount)]
        with (self.folder / "out").open("wb") as out, (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*unshare, *command("up", "--data", inside, "--config", self.config)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
            )
        self.data = Path(f"/proc/{self.process.pid}/root{inside}")
        return self.process

    def add_device(self) -> None:
        """From inside: SQLite does not open a file by way of /proc."""
        assert self.process is not None
        inside = self.folder / "disk" / "data"
        add = command("device", "add", "device", "--data", inside, "--publish", "#", "--subscribe", "#")
        enter = ["nsenter", "--target", str(self.process.pid), "--user", "--mount", "--preserve-credentials"]
        given = [*enter, *add, "--password-file", "-"]
        subprocess.run(given, input=b"secret\n", capture_output=True, check=True)

    @property
    def _ballast(self) -> Path:
        return self.data.parent / "ballast"

    def fill(self) -> None:
        with suppress(OSError), self._ballast.open("wb", buffering=0) as file:
            while True:
                file.write(_PIECE)
        wait_until("full", lambda: os.statvfs(self.data).f_bavail == 0)

    def free(self) -> None:
        self._ballast.unlink()


DISKS: Final[dict[str, type[LimitedHub] | type[SmallDiskHub]]] = {"limit": LimitedHub}
if can_mount():
    DISKS["tmpfs"] = SmallDiskHub
