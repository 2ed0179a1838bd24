"""A data folder with devices, its bundles for DDS, and the hub's own participant; patched plug-ins."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from bridgehead.protocols.dds import binding
from bridgehead.security.dds.guard import library
from bridgehead.security.dds.hub import HubParticipant
from bridgehead.security.dds.routes import RouteGrant, Routing
from bridgehead.security.export.folder import BundleFolder
from bridgehead.security.export.gather import gathering
from bridgehead.security.export.targets import TARGETS, Order
from bridgehead.security.identity.identity import Identity, Wanted
from bridgehead.security.records import PermissionRecord
from tests.dds.security.peers import Peer, Place, bundle_files, hub_files
from tests.security.support import machine

HERE = Path(__file__).parent
HOUR = 3600.0
TEMPERATURE = ("Temperature", "")
DOOR = ("Door", "")


def routing(domain: int) -> Routing:
    """Two routes: Temperature is Office/+/Temperature, Door is Office/+/Door."""
    routes = [
        RouteGrant(domain, "Temperature", "", "Office/+/Temperature", "", True, True),
        RouteGrant(domain, "Door", "", "Office/+/Door", "", True, True),
    ]
    return Routing({domain: "encrypt"}, routes)


class World:
    """By the real clock: Cyclone looks at it. `domain` is the one of all its participants."""

    def __init__(self, folder: Path, domain: int, routes: Routing | None = None) -> None:
        self.folder = folder
        self.domain = domain
        self.routing = routing(domain) if routes is None else routes
        self.identity = Identity(folder / "data")
        self.identity.maintain([], machine)
        self.hub = HubParticipant(self.identity)

    def add(self, name: str, *permissions: PermissionRecord) -> Path:
        """Its bundle, exported now."""
        with self.identity.enrolling(Wanted(name, permissions, certificate=True)):
            pass
        folder = BundleFolder(self.folder / name)
        with gathering(self.identity, name, ["dds"], HOUR) as enrolled:
            order = Order(self.identity, enrolled, "localhost", 8883, self.routing)
            folder.put(TARGETS["dds"].build(order))
        return folder.folder

    def hub_peer(
        self, writers: Sequence[Place] = (), readers: Sequence[Place] = (), text: str = "from the hub"
    ) -> Peer:
        """With documents of now, and with the hub's plug-in, as its server does it."""
        files = self.hub.make(time.time(), self.routing, HOUR)
        guard = library()
        assert guard is not None, "run `python tools/cyclonedds.py`"
        return Peer(self.domain, hub_files(files), writers, readers, text, {"auth": str(guard)})

    def peer(
        self,
        bundle: Path,
        writers: Sequence[Place] = (),
        readers: Sequence[Place] = (),
        text: str = "",
        plugins: dict[str, str] | None = None,
        environment: dict[str, str] | None = None,
    ) -> Peer:
        """It writes `text`, by default "from NAME", NAME being its bundle's."""
        written = text or f"from {bundle.name}"
        return Peer(self.domain, bundle_files(bundle), writers, readers, written, plugins, environment)


class Patched:
    """The plug-ins of patched peers, compiled."""

    def __init__(self, folder: Path) -> None:
        real = binding.plugin_folder()
        assert real is not None
        self.environment = {
            "REAL_AUTHENTICATION": str(real / binding.PLUGINS[0]),
            "REAL_ACCESS": str(real / binding.PLUGINS[1]),
        }
        self.authentication = self._compiled(folder, "patched_authentication")
        self.access_control = self._compiled(folder, "patched_access_control")

    @staticmethod
    def _compiled(folder: Path, name: str) -> str:
        output = folder / f"lib{name}.so"
        command = ["cc", "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", str(output), str(HERE / f"{name}.c"), "-ldl"]
        subprocess.run(command, check=True)
        return str(output)
