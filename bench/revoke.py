"""From the revocation of a device to the last message that reaches it, with a thousand connections open over TLS.

A publisher sends to the topic of the device whose turn it is, a thousand messages a second, while the act of another
thread takes the credentials back: it writes the registry as `device revoke` does, and the hub finds out by itself.
"""

from __future__ import annotations

import argparse
import os
import queue
import selectors
import socket
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script: the folder above is not on the path

from bench.hub import Hub, flavour
from bridgehead.protocols.mqtt.codec.encode import encode, publish_form
from bridgehead.protocols.mqtt.codec.packets import Connect, Subscribe, SubscriptionRequest
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES
from bridgehead.security.identity.identity import Identity, Wanted
from bridgehead.security.records import PermissionRecord

PUBLISHER: Final = "publisher"
TOWN: Final = "town"
INTERVAL: Final = 0.001  # seconds between two messages
LEAD: Final = 0.05  # seconds of messages before the act
GIVE_UP: Final = 5.0
LIMIT: Final = 0.1  # seconds: what the 99th percentile may be


class Revocation:
    """One device's: seconds from the return of the act to its last message and to its connection's end."""

    def __init__(self, last_message: float, closed: float) -> None:
        self.last_message: Final = last_message
        self.closed: Final = closed


class Actor:
    """Revokes on a thread of its own, since a registry's connection belongs to its thread and the act waits for the
    disk."""

    def __init__(self, data: Path) -> None:
        self._data: Final = data
        self._names: Final[queue.SimpleQueue[str]] = queue.SimpleQueue()
        self.done: Final[queue.SimpleQueue[float]] = queue.SimpleQueue()
        threading.Thread(target=self._work, daemon=True).start()

    def revoke(self, name: str) -> None:
        self._names.put(name)

    def _work(self) -> None:
        identity = Identity(self._data)
        while True:
            identity.revoke(self._names.get())
            self.done.put(time.monotonic())


def enrol(data: Path, count: int, folder: Path, progress: Callable[[str], None]) -> list[str]:
    """`count` devices with certificates in `folder`, and the publisher; returns their names."""
    identity = Identity(data)
    names = [f"device-{number}" for number in range(count)]
    own = PermissionRecord(f"{TOWN}/${{device}}", publish=False, subscribe=True)
    everywhere = PermissionRecord(f"{TOWN}/#", publish=True, subscribe=False)
    try:
        for number, name in enumerate((*names, PUBLISHER)):
            permission = everywhere if name == PUBLISHER else own
            with identity.enrolling(Wanted(name, [permission], certificate=True)) as enrolled:
                assert enrolled.certificate is not None
                pem = enrolled.certificate.key_pem + enrolled.certificate.certificate_pem
                with os.fdopen(os.open(folder / name, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
                    file.write(pem)
            if number % 100 == 0:
                progress(f"{number:,} of {count:,} devices enrolled")
    finally:
        identity.close()
    return names


def connect(hub: Hub, folder: Path, name: str) -> ssl.SSLSocket:
    """Connected by its certificate, and subscribed to its own topic unless it is the publisher."""
    context = ssl.create_default_context(cafile=str(hub.ca))
    context.load_cert_chain(folder / name)
    stream = context.wrap_socket(socket.create_connection((hub.host, hub.tls_port), GIVE_UP), server_hostname=hub.host)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream.sendall(encode(Connect(5, True, 0, name, None, None, None, NO_PROPERTIES), 5))
    answer = stream.recv(4096)
    if answer[:1] != b"\x20" or answer[3] != 0:
        raise RuntimeError(f"{name} was not accepted: {answer.hex()}")
    if name != PUBLISHER:
        wanted = SubscriptionRequest(f"{TOWN}/{name}", 0, False, False, 0)
        stream.sendall(encode(Subscribe(1, [wanted], NO_PROPERTIES), 5))
        if stream.recv(4096)[:1] != b"\x90":
            raise RuntimeError(f"{name} could not subscribe")
    stream.setblocking(False)
    return stream


def one(name: str, victim: ssl.SSLSocket, publisher: ssl.SSLSocket, actor: Actor) -> Revocation:
    form = publish_form(5, f"{TOWN}/{name}", b"x" * 64, 0, False, NO_PROPERTIES)
    frame = form.head + form.tail
    begun = time.monotonic()
    last = closed = 0.0
    asked = False
    with selectors.DefaultSelector() as selector:
        selector.register(victim, selectors.EVENT_READ)
        while not closed:
            now = time.monotonic()
            if now - begun > GIVE_UP:
                raise RuntimeError(f"{name} was revoked and is still connected after {GIVE_UP:g} s")
            if not asked and now - begun > LEAD:
                asked = True
                actor.revoke(name)
            publisher.send(frame)
            if selector.select(INTERVAL):
                try:
                    data = victim.recv(65536)
                except ssl.SSLWantReadError:
                    continue
                except (ssl.SSLError, ConnectionError):
                    data = b""
                now = time.monotonic()
                if not data:
                    closed = now
                elif data[0] >> 4 == 3:  # PUBLISH; DISCONNECT comes alone or behind it
                    last = now
    returned = actor.done.get(timeout=GIVE_UP)
    return Revocation(max(0.0, last - returned), max(0.0, closed - returned))


def measure(hub: Hub, connections: int, revocations: int, progress: Callable[[str], None]) -> list[Revocation]:
    """`hub` is not started yet: the devices are enrolled before."""
    with tempfile.TemporaryDirectory(prefix="bridgehead-bench-") as place:
        folder = Path(place)
        names = enrol(hub.data, connections, folder, progress)
        hub.start()
        streams: dict[str, ssl.SSLSocket] = {}
        try:
            for name in names:
                streams[name] = connect(hub, folder, name)
            publisher = connect(hub, folder, PUBLISHER)
            actor = Actor(hub.data)
            found = []
            for number, name in enumerate(names[:revocations]):
                progress(f"{number} of {revocations} revoked")
                found.append(one(name, streams[name], publisher, actor))
            publisher.close()
        finally:
            for stream in streams.values():
                stream.close()
            hub.stop()
    return found


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure how fast a revocation takes effect.")
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--revocations", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bridgehead-bench-") as folder:
        hub = Hub(Path(folder), {}, [])
        found = measure(hub, options.connections, options.revocations, lambda text: None)
    print(f"{options.connections} connections, {options.revocations} revocations, {flavour()}; milliseconds")
    for title, values in (
        ("act's return to last message", [each.last_message for each in found]),
        ("act's return to connection's end", [each.closed for each in found]),
    ):
        figures = "  ".join(
            f"{label} {percentile(values, share) * 1000:.1f}"
            for label, share in (("p50", 0.5), ("p99", 0.99), ("max", 1))
        )
        print(f"  {title:<34} {figures}")
    worst = percentile([each.last_message for each in found], 0.99)
    return 0 if worst < LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
