"""The hub that is killed: its process, its devices with certificates, and moments to kill it at."""

from __future__ import annotations

import ssl
import sys
import time
from pathlib import Path
from typing import Final

from bridgehead.security.identity.identity import Identity, Wanted
from bridgehead.security.records import PermissionRecord
from tests.cli.hub import PATIENCE, Hub

CONFIG: Final = """
[[listener]]
bind = "127.0.0.1:0"

[system_topics]
interval = 0

[limits]
queue_messages = 1000000
"""
_LOOKS: Final = 20_000


class Ground:
    """A hub in `folder`, with one device for each name that is asked for."""

    def __init__(self, folder: Path, config: str = CONFIG) -> None:
        self.hub: Final = Hub(folder, config)
        self._folder: Final = folder
        self.kills = 0
        self.kills_in_commit = 0

    @property
    def port(self) -> int:
        return self.hub.port("mqtts")

    def device(self, name: str) -> ssl.SSLContext:
        """A new device that may do everything; the context proves it."""
        certificate, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        identity = Identity(self.hub.data)
        try:
            wanted = Wanted(name, [PermissionRecord("#", publish=True, subscribe=True)], certificate=True)
            with identity.enrolling(wanted) as enrolled:
                assert enrolled.certificate is not None
                certificate.write_bytes(enrolled.certificate.certificate_pem)
                key.write_bytes(enrolled.certificate.key_pem)
        finally:
            identity.close()
        context = self.hub.trust()
        context.load_cert_chain(certificate, key)
        return context

    def kill(self, in_commit: bool = False) -> None:
        """SIGKILL; `in_commit`: while the store's thread waits for the disk, where the system can tell."""
        process = self.hub.process
        assert process is not None
        if in_commit and self._await_commit(process.pid):
            self.kills_in_commit += 1
        process.kill()
        process.wait(PATIENCE)
        self.kills += 1

    def start_killed(self, moment: float) -> None:
        """Start the hub and kill it `moment` seconds later, wherever it is by then."""
        process = self.hub.launch()
        time.sleep(moment)
        process.kill()
        process.wait(PATIENCE)
        self.kills += 1

    @staticmethod
    def _await_commit(pid: int) -> bool:
        """Linux: a thread in state D waits for the disk, and only the store's writing thread does. Whether it was
        met; a disk that is too fast, or another system, shows none."""
        if sys.platform != "linux":
            return False
        threads = [task / "stat" for task in Path(f"/proc/{pid}/task").iterdir() if task.name != str(pid)]
        for _ in range(_LOOKS):
            for stat in threads:
                if stat.read_text().rpartition(")")[2].split()[0] == "D":
                    return True
        return False
