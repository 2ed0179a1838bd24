"""A hub with every protocol: a secured DDS domain beside MQTT, both versions of AMQP, and CoAP over DTLS."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from bridgehead.security.identity.identity import Identity, Wanted
from bridgehead.security.identity.wanted import Fresh
from bridgehead.security.records import PermissionRecord
from tests.amqp.whole.across import COAP
from tests.amqp.whole.office import LISTENERS, Office
from tests.cli.hub import PATIENCE
from tests.coap.whole.harbour import may_both
from tests.dds.peers.hands import Hands, cyclone
from tests.dds.peers.town import bundle, domain_table, temperature_route

DTLS: Final = """
[[listener]]
bind = "127.0.0.1:0"
protocol = "coap"
"""
LOBBY: Final = "Office/Lobby/Temperature"
NODE: Final = "node"  # over CoAP; may everything below Office
OUTSIDER: Final = "outsider"  # over CoAP; may nothing there
ROBOT: Final = "robot"  # in the domain; may everything below Office
SPY: Final = "spy"  # in the domain; may nothing there
MARKER: Final = "marker"  # as robot, and may mark what it sends as TAG
CLEARED: Final = "cleared"  # over all but CoAP; may everything, also what is marked so
CLERK: Final = "clerk"  # over MQTT and AMQP; may everything but what is below Office
TAG: Final = "classification=secret"


class House(Office):
    """With DTLS, and a secured domain whose topic Temperature is Office/+/Temperature. `routes`: more of them."""

    def __init__(self, folder: Path, domain: int, routes: str = "") -> None:
        super().__init__(folder, domain_table(domain) + temperature_route(domain) + routes, LISTENERS + DTLS)
        self.domain: Final = domain
        self._keys: Final[dict[str, str]] = {}

    def start(self) -> None:
        self.node(NODE, may_both("Office/#"))
        self.node(OUTSIDER, may_both("Elsewhere/#"))
        self.add(ROBOT, may_both("Office/#"))
        self.add(SPY, may_both("Elsewhere/#"))
        self.add(CLERK, may_both("Elsewhere/#"))
        marks = PermissionRecord("$TAG/classification/secret", publish=True, subscribe=False)
        clearance = PermissionRecord("$TAG/classification/secret", publish=False, subscribe=True)
        self.add(MARKER, may_both("Office/#"), marks)
        self.add(CLEARED, may_both("#"), clearance)
        super().start()

    def node(self, name: str, *permissions: PermissionRecord) -> None:
        identity = Identity(self.hub.data)
        try:
            with identity.enrolling(Wanted(name, permissions, fresh=Fresh(psk=name))) as enrolled:
                assert enrolled.psk is not None
                self._keys[name] = enrolled.psk.key.decode()
        finally:
            identity.close()

    def coap(self, method: str, topic: str, *words: str, name: str = NODE) -> str:
        """libcoap's client over DTLS with a pre-shared key; what it printed."""
        uri = f"coaps://127.0.0.1:{self.port('coaps')}/t/{topic}"
        command = [COAP, "-u", name, "-k", self._keys[name], "-m", method, *words, uri]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
        return (done.stdout + done.stderr).rstrip("\n")

    @contextlib.contextmanager
    def observer(self, topic: str) -> Iterator[list[Any]]:
        """What libcoap's client observes, as it comes."""
        uri = f"coaps://127.0.0.1:{self.port('coaps')}/t/{topic}"
        command = [COAP, "-u", NODE, "-k", self._keys[NODE], "-s", "60", "-w", uri]
        shown: list[Any] = []
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            pipe = process.stdout
            assert pipe is not None
            reader = threading.Thread(target=lambda: shown.extend(json.loads(line) for line in pipe if "{" in line))
            reader.start()
            try:
                yield shown
            finally:
                process.kill()
                reader.join(PATIENCE)

    def credentials(self, name: str) -> Path:
        """The bundle for DDS, made once."""
        out = self.folder / f"{name}-dds"
        return out if out.exists() else bundle(self.hub, name, out)

    @contextlib.contextmanager
    def robot(
        self, folder: Path, does: str, name: str = ROBOT, topic: str = "Temperature", **options: object
    ) -> Iterator[Hands]:
        """Matched with the hub."""
        scratch = folder / name
        scratch.mkdir(exist_ok=True)
        with cyclone(
            scratch, does, self.domain, topic, "Temperature", credentials=self.credentials(name), **options
        ) as hands:
            yield hands.matched()
