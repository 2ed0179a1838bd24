"""A real Mosquitto as a process, and what it permits to whom, asked over MQTT with paho."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

PATIENCE = 20.0


class Mosquitto:
    """`lines` are those of its configuration beside the listener."""

    def __init__(self, folder: Path, lines: Iterable[str]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.config = folder / "mosquitto.conf"
        self.config.write_text("\n".join([f"listener {self.port} 127.0.0.1", "user root", *lines]) + "\n")

    def __enter__(self) -> Mosquitto:
        self._process = subprocess.Popen(
            ["mosquitto", "-c", self.config],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1.0).close()
                return self
            except OSError:
                assert self._process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)


class Someone:
    """A client of that user; `received` are the topics that reached it."""

    def __init__(self, broker: Mosquitto, user: str, password: str) -> None:
        self.received: list[str] = []
        self._answers: dict[int, bool] = {}
        self._changed = threading.Condition()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=user, protocol=paho.MQTTv5)
        self._client.username_pw_set(user, password)
        self._client.on_publish = self._published
        self._client.on_message = self._message
        self._client.on_subscribe = self._subscribed
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()

    def _published(self, client: Any, data: Any, identifier: int, reason: Any, properties: Any) -> None:
        self._answer(identifier, not reason.is_failure)

    def _subscribed(self, client: Any, data: Any, identifier: int, reasons: list[Any], properties: Any) -> None:
        self._answer(identifier, not reasons[0].is_failure)

    def _answer(self, identifier: int, permitted: bool) -> None:
        with self._changed:
            self._answers[identifier] = permitted
            self._changed.notify_all()

    def _message(self, client: Any, data: Any, message: Any) -> None:
        with self._changed:
            self.received.append(message.topic)
            self._changed.notify_all()

    def _wait(self, identifier: int | None) -> bool:
        assert identifier is not None
        with self._changed:
            assert self._changed.wait_for(lambda: identifier in self._answers, PATIENCE)
            return self._answers[identifier]

    def publish(self, topic: str) -> bool:
        return self._wait(self._client.publish(topic, b"x", 1).mid)

    def subscribe(self, topic_filter: str) -> bool:
        return self._wait(self._client.subscribe(topic_filter, 1)[1])

    def await_topic(self, topic: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: topic in self.received, PATIENCE)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
