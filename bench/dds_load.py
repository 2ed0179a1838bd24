"""Load by DDS: C `ddsperf` as the publisher and as the subscriber that the hub is measured beside; MQTT's other end."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Final

from bench.dds_hub import DEVICE, PASSWORD
from bridgehead.cli.load.processes import cpu_seconds
from bridgehead.protocols.mqtt.codec.encode import encode
from bridgehead.protocols.mqtt.codec.packets import Connect, Publish, Subscribe, SubscriptionRequest
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES

READ: Final = 1 << 18  # octets
SAMPLE: Final = 60  # octets of a sample, as ddsperf counts them
BAGGAGE: Final = SAMPLE - 12
TIMEOUT: Final = 20.0
_TOTAL: Final = re.compile(rb"size \d+ total (\d+) lost (\d+)")
LOOPBACK: Final = (
    '<CycloneDDS xmlns="https://cdds.io/config"><Domain Id="any"><General><Interfaces>'
    '<NetworkInterface address="127.0.0.1" multicast="false"/></Interfaces><AllowMulticast>false</AllowMulticast>'
    "</General><Discovery><ParticipantIndex>auto</ParticipantIndex><MaxAutoParticipantIndex>60"
    '</MaxAutoParticipantIndex><Peers><Peer Address="127.0.0.1"/></Peers></Discovery></Domain></CycloneDDS>'
)


class Stalled(RuntimeError):
    """Nothing arrives."""


class Ddsperf:
    """One process of it; `total` is what its subscriber has received, once a second."""

    def __init__(self, folder: Path, domain: int, mode: list[str], cpu: int | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        command = ["ddsperf", "-1", "-i", str(domain), *mode]
        if cpu is not None:
            command = ["taskset", "-c", str(cpu), *command]
        with (folder / "ddsperf.log").open("ab") as log:
            self._process: Final = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, env={**os.environ, "CYCLONEDDS_URI": LOOPBACK}
            )
        self._changed: Final = threading.Condition()
        self.seconds = 0  # lines with a total
        self.total = 0
        self.lost = 0
        self._ears: Final = threading.Thread(target=self._listen, daemon=True)
        self._ears.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            found = _TOTAL.search(line)
            if found:
                with self._changed:
                    self.seconds += 1
                    self.total, self.lost = int(found[1]), int(found[2])
                    self._changed.notify_all()

    def next_second(self) -> tuple[int, float]:
        """The total of the next line that has one, and when it came (seconds, monotonic)."""
        with self._changed:
            before = self.seconds
            if not self._changed.wait_for(lambda: self.seconds > before, TIMEOUT):
                raise Stalled("ddsperf tells nothing more: is the other end there?")
            return self.total, time.monotonic()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._ears.join()
        assert self._process.stdout is not None
        self._process.stdout.close()


class Mqtt:
    """One MQTT 5.0 connection over a socket that blocks; PUBLISH packets of QoS 0 are cut, not decoded."""

    def __init__(self, port: int, client_id: str) -> None:
        self.sock: Final = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self.sock.sendall(encode(Connect(5, True, 0, client_id, None, DEVICE, PASSWORD.encode(), NO_PROPERTIES), 5))
        self._hear(0x20)

    def subscribe(self, topic_filter: str) -> None:
        self.sock.sendall(encode(Subscribe(1, [SubscriptionRequest(topic_filter, 0)], NO_PROPERTIES), 5))
        self._hear(0x90)

    def _hear(self, first: int) -> None:
        """Until a packet of that first octet came."""
        while True:
            for frame in self.frames():
                if frame[0] == first:
                    return

    def frames(self) -> list[bytes]:
        """The packets of one read, at least none. Errors: Stalled, TimeoutError."""
        data = self.sock.recv(READ)
        if not data:
            raise Stalled("the hub closed the connection")
        data = self._buffer + data
        found: list[bytes] = []
        at, end = 0, len(data)
        while end - at >= 2:
            length, shift, body = 0, 0, at + 1
            while body < end:
                octet = data[body]
                body += 1
                length |= (octet & 0x7F) << shift
                shift += 7
                if octet < 0x80:
                    break
            else:
                break  # the length isn't whole yet
            if body + length > end:
                break
            found.append(data[at : body + length])
            at = body + length
        self._buffer = data[at:]
        return found

    def close(self) -> None:
        self.sock.close()


class Rate:
    """Samples per second of a process' CPU time and of the clock."""

    def __init__(self, count: int, cpu: float, seconds: float) -> None:
        self.per_cpu_second: Final = count / cpu if cpu else 0.0
        self.per_second: Final = count / seconds
        self.busy: Final = cpu / seconds

    def line(self, name: str) -> str:
        return (
            f"{name:<12} {self.per_cpu_second:>11,.0f} per CPU second  {self.per_second:>11,.0f} per second  "
            f"server {self.busy:.0%}"
        )


def subscriber_rate(subscriber: Ddsperf, pid: int, seconds: float) -> Rate:
    """What `subscriber` receives from now on, and what that costs process `pid`."""
    before, began = subscriber.next_second()
    cpu = cpu_seconds([pid])
    total, now = before, began
    while now - began < seconds:
        total, now = subscriber.next_second()
    return Rate(total - before, cpu_seconds([pid]) - cpu, now - began)


def published_rate(hub_pid: int, figures: Mqtt, seconds: float) -> Rate:
    """What the hub lets in, by its own count `$SYS/broker/publish/messages/received` of each second."""
    first: tuple[int, float, float] | None = None
    while True:
        for frame in figures.frames():
            found = (int(payload_of(frame)), time.monotonic(), cpu_seconds([hub_pid]))
            if first is None:
                first = found
            elif found[1] - first[1] >= seconds:
                return Rate(found[0] - first[0], found[2] - first[2], found[1] - first[1])


def payload_of(frame: bytes) -> bytes:
    """Of a PUBLISH of QoS 0 of MQTT 5.0 whose properties take less than 128 octets."""
    at = 1
    while frame[at] >= 0x80:
        at += 1
    at += 1
    topic = int.from_bytes(frame[at : at + 2], "big")
    at += 2 + topic
    return frame[at + 1 + frame[at] :]


def counted_rate(hub_pid: int, subscriber: Mqtt, seconds: float) -> Rate:
    """What an MQTT subscriber gets."""
    began, cpu, count = time.monotonic(), cpu_seconds([hub_pid]), 0
    while (now := time.monotonic()) - began < seconds:
        count += len(subscriber.frames())
    return Rate(count, cpu_seconds([hub_pid]) - cpu, now - began)


def json_publishes(topic: str, count: int) -> bytes:
    """So many PUBLISH packets with a KeyedSeq in JSON, one behind the other."""
    baggage = base64.b64encode(bytes(BAGGAGE)).decode()
    values = ({"seq": number, "keyval": 0, "baggage": baggage} for number in range(count))
    return b"".join(encode(Publish(topic, json.dumps(each).encode()), 5) for each in values)


class Flood:
    """A thread that sends `data` again and again, as fast as the hub reads."""

    def __init__(self, client: Mqtt, data: bytes) -> None:
        self._client: Final = client
        self._data: Final = data
        self._ends: Final = threading.Event()
        self._thread: Final = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def _send(self) -> None:
        while not self._ends.is_set():
            try:
                self._client.sock.sendall(self._data)
            except OSError:
                return  # closed by `stop`

    def stop(self) -> None:
        self._ends.set()
        self._client.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._client.close()
