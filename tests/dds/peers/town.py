"""The hub with DDS as a process of its own, devices with rights and bundles, and MQTT clients beside the DDS peers."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from bridgehead.cli.main import run
from bridgehead.protocols.mqtt.codec.packets import Publish
from bridgehead.security.identity.identity import Identity, Wanted
from bridgehead.security.identity.wanted import Fresh
from bridgehead.security.records import PermissionRecord
from tests.cli.hub import PATIENCE, Hub
from tests.dds.peers.hands import IDL, Hands
from tests.peers.raw import Raw

PASSWORD: Final = "correct horse battery"
LISTENERS: Final = """
[[listener]]
bind = "127.0.0.1:0"
"""
TEMPERATURE: Final = "office::Temperature"
VALVE: Final = "office::Valve"
STRING: Final = "std_msgs::msg::dds_::String_"
Rights = tuple[PermissionRecord, ...]
ALL: Final = (
    PermissionRecord("#", publish=True, subscribe=True),
    PermissionRecord("$SYS/#", publish=False, subscribe=True),
    PermissionRecord("$DDS/#", publish=True, subscribe=False),
)


def domain_table(domain: int, guest: str = "", metadata: str = "encrypt") -> str:
    """A domain on loopback: `guest` on a plain one, secured without."""
    security = f'security = "none"\nguest = "{guest}"' if guest else f'metadata = "{metadata}"'
    return (
        f'[[dds.domain]]\nid = {domain}\n{security}\ninterfaces = ["127.0.0.1"]\npeers = ["127.0.0.1"]\n'
        "multicast = false\n"
    )


def temperature_route(
    domain: int, topic: str = "Temperature", hub: str = "Office/${room}/Temperature", qos: str = "{}", more: str = ""
) -> str:
    return (
        f'[[dds.route]]\ndomain = {domain}\ntopic = "{topic}"\ntype = "office.Temperature"\nidl = "{IDL}"\n'
        f'key = "room"\nhub = "{hub}"\nqos = {qos}\n{more}\n'
    )


def valve_route(domain: int, topic: str = "Valve", qos: str = "{}") -> str:
    return (
        f'[[dds.route]]\ndomain = {domain}\ntopic = "{topic}"\ntype = "office::Valve"\nidl = "{IDL}"\n'
        f'hub = "{topic}/${{number}}"\nqos = {qos}\n'
    )


def chatter_route(domain: int, topic: str = "chatter", kind: str = "std_msgs/String", qos: str = "{}") -> str:
    return f'[[dds.route]]\ndomain = {domain}\ntopic = "{topic}"\ntype = "{kind}"\npreset = "ros2"\nqos = {qos}\n'


def bundle(hub: Hub, name: str, out: Path, target: str = "dds") -> Path:
    """`bridgehead device export`, as the configuration's routes want it. `out`, which is new."""
    words = ["device", "export", name, "--data", str(hub.data), "--for", target, "--credential", "new"]
    assert run([*words, "--config", str(hub.config), "--out", str(out)]) == 0
    return out


class DdsTown:
    """`folder` gets the hub's files, and a folder for each bundle."""

    def __init__(self, folder: Path, config: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder: Final = folder
        self.hub: Final = Hub(folder, LISTENERS + config)

    def enrol(self, name: str, rights: Rights = ALL) -> None:
        """A device with a password for MQTT and an identity for DDS."""
        identity = Identity(self.hub.data)
        try:
            with identity.enrolling(Wanted(name, rights, fresh=Fresh(password=PASSWORD.encode()))):
                pass
        finally:
            identity.close()

    def bundle(self, name: str, target: str = "dds") -> Path:
        """The folder of `bridgehead device export`, as the configuration's routes want it: for ros2 the enclave's."""
        out = bundle(self.hub, name, self.folder / f"{name}-{target}", target)
        if target == "ros2":
            return next(path.parent for path in out.glob("keystore/enclaves/*/cert.pem"))
        return out

    def bundle_of(self, name: str) -> Path:
        """For Cyclone, made once."""
        out = self.folder / f"{name}-dds"
        return out if out.exists() else self.bundle(name)

    @contextlib.contextmanager
    def mqtt(self, name: str, client_id: str = "") -> Iterator[Raw]:
        sock = self.hub.dial()
        sock.settimeout(PATIENCE)
        client = Raw(sock)
        try:
            assert client.connect(client_id or name, name, PASSWORD).reason_code == 0
            yield client
        finally:
            client.close()

    def close(self) -> None:
        self.hub.__exit__(None, None, None)


@contextlib.contextmanager
def town(folder: Path, config: str, *devices: str) -> Iterator[DdsTown]:
    """A running one, where `devices` may do everything."""
    found = DdsTown(folder, config)
    for each in devices:
        found.enrol(each)
    try:
        found.hub.start()
        yield found
    finally:
        found.close()


def first_message(client: Raw, act: Callable[[], object]) -> Publish:
    """What comes first, `act` being done again and again until then."""
    deadline = time.monotonic() + PATIENCE
    client.sock.settimeout(0.3)
    try:
        while True:
            assert time.monotonic() < deadline, "no message came"
            act()
            try:
                return client.message()
            except TimeoutError:
                continue
    finally:
        client.sock.settimeout(PATIENCE)


def sent(client: Raw, topic: str, fields: dict[str, Any], listener: Hands) -> None:
    """Published until the listener has it: the two ends of a match don't come to know of it at once."""
    payload = json.dumps(fields).encode()
    listener.wait_for(
        f"{fields} of {topic}",
        lambda told: told.get("sample") == fields,
        meanwhile=lambda: client.publish(topic, payload),
    )


def folder_of(factory: pytest.TempPathFactory) -> Path:
    return factory.mktemp("town")
