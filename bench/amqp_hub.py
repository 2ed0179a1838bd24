"""Our hub as AMQP's measured server: one plaintext listener, one device with a password, a policy in force."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from bridgehead.security.identity.identity import Identity, Wanted
from bridgehead.security.identity.wanted import Fresh
from bridgehead.security.records import PermissionRecord
from tests.cli.hub import Hub

DEVICE: Final = "bench"
PASSWORD: Final = "correct horse battery"
# Ceilings that a measurement by one identity meets, and a deployment would not.
CONFIG: Final = """
[[listener]]
bind = "127.0.0.1:0"
protocol = "amqp"
plaintext = true
[limits]
sessions_per_identity = 100000
connections_per_address = 20000
[login]
tries_rate = 0
[log]
level = "error"
[system_topics]
interval = 0
"""


class AmqpHub:
    """One running hub in `folder`."""

    def __init__(self, folder: Path, cpu: int | None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.hub: Final = Hub(folder, CONFIG)
        self.host: Final = "127.0.0.1"
        self.user: Final = DEVICE
        self.password: Final = PASSWORD
        both = tuple(PermissionRecord(each, publish=True, subscribe=True) for each in ("bench/#", "$QUEUE/bench/#"))
        identity = Identity(self.hub.data)
        try:
            with identity.enrolling(Wanted(DEVICE, both, fresh=Fresh(password=PASSWORD.encode()))):
                pass
        finally:
            identity.close()
        self.hub.start()
        if cpu is not None:
            os.sched_setaffinity(self.pid, {cpu})
        self.port: Final = self.hub.port("amqp")

    @property
    def pid(self) -> int:
        assert self.hub.process is not None
        return self.hub.process.pid

    def stop(self) -> None:
        self.hub.__exit__(None, None, None)
