"""Our hub as DDS' measured end: a domain without security on loopback, routes, MQTT for the other end."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bridgehead.security.identity.identity import Identity, Wanted
from bridgehead.security.identity.wanted import Fresh
from bridgehead.security.records import PermissionRecord
from tests.cli.hub import Hub

DEVICE: Final = "bench"
PASSWORD: Final = "correct horse battery"
IDL: Final = Path(__file__).resolve().parent / "ddsperf.idl"
TOPIC: Final = "DDSPerfRDataKS"  # ddsperf's own, reliable
KEEP_ALL: Final = '{reliability = "reliable", depth = 0}'
# Ceilings that a measurement by one identity meets, and a deployment would not.
CONFIG: Final = """
[[listener]]
bind = "127.0.0.1:0"
plaintext = true
[log]
level = "error"
[system_topics]
interval = 1
"""


def domain(number: int) -> str:
    return (
        f'[[dds.domain]]\nid = {number}\nsecurity = "none"\nguest = "{DEVICE}"\ninterfaces = ["127.0.0.1"]\n'
        'peers = ["127.0.0.1"]\nmulticast = false\n'
    )


def route(
    number: int, topic: str, hub: str, direction: str = "in", payload: str = "json", qos: str = KEEP_ALL
) -> str:  # fmt: skip
    """Of ddsperf's type."""
    return (
        f'[[dds.route]]\ndomain = {number}\ntopic = "{topic}"\ntype = "KeyedSeq"\nidl = "{IDL}"\nhub = "{hub}"\n'
        f'direction = "{direction}"\npayload = "{payload}"\nqos = {qos}\n'
    )


class DdsHub:
    """One running hub in `folder`, all of its threads on `cpu`."""

    def __init__(self, folder: Path, cpu: int | None, tables: Sequence[str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.hub: Final = Hub(folder, CONFIG + "\n".join(tables))
        self.host: Final = "127.0.0.1"
        rights = tuple(PermissionRecord(each, publish=True, subscribe=True) for each in ("#", "$SYS/#", "$DDS/#"))
        identity = Identity(self.hub.data)
        try:
            with identity.enrolling(Wanted(DEVICE, rights, fresh=Fresh(password=PASSWORD.encode()))):
                pass
        finally:
            identity.close()
        before = os.sched_getaffinity(0)
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})  # it is inherited, by Cyclone's threads too
        try:
            self.hub.start()
        finally:
            os.sched_setaffinity(0, before)
        self.port: Final = self.hub.port("mqtt")

    @property
    def pid(self) -> int:
        assert self.hub.process is not None
        return self.hub.process.pid

    @property
    def threads(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/task").iterdir()))

    def stop(self) -> None:
        self.hub.__exit__(None, None, None)
