"""MQTT.js in a Node.js process of its own, told what to do line by line."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from tests.clients.office import CERTIFICATE, SECRET, TLS, UNIX, Office, Way

_FOLDER: Final = Path(__file__).resolve().parent.parent / "peers" / "mqttjs"


class MqttJs:
    """`keep`: the session outlives the connection, and one that is there is resumed."""

    def __init__(self, office: Office, way: Way, name: str, client_id: str, keep: bool = False) -> None:
        files: dict[str, str] = {}
        options: dict[str, object] = {
            "protocolVersion": way.version,
            "clientId": client_id,
            "clean": not keep,
            "reconnectPeriod": 100,
        }
        if way.version == 3:
            options["protocolId"] = "MQIsdp"
        if way.is_v5 and keep:
            options["properties"] = {"sessionExpiryInterval": 3600}
        if way.door == UNIX:
            url = f"mqtt+unix:{office.socket}"
        else:
            url = f"{way.door}://localhost:{office.port(way.door)}" + ("" if way.door == TLS else "/mqtt")
            files["ca"] = str(office.ca)
        if way.credential == CERTIFICATE:
            files |= {"cert": str(office.certificate(name)), "key": str(office.key(name))}
        else:
            options |= {"username": name, "password": SECRET}
        self._connect: Final = {"url": url, "files": files, "options": options}
        self._process: Final = subprocess.Popen(
            ["node", str(_FOLDER / "driver.js")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._messages: list[dict[str, Any]] = []
        self._others: list[dict[str, Any]] = []

    def __enter__(self) -> MqttJs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def tell(self, command: str, **arguments: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"command": command, **arguments}) + "\n")
        self._process.stdin.flush()

    def connect(self) -> bool:
        """Whether the session was there."""
        self.tell("connect", **self._connect)
        return bool(self.await_event("connected")["present"])

    def subscribe(self, topic_filter: str, qos: int) -> None:
        self.tell("subscribe", filter=topic_filter, qos=qos)
        assert self.await_event("subscribed")["qos"] == qos

    def publish(self, topic: str, payload: str, qos: int, retain: bool = False) -> None:
        """Returns when the hub has taken charge of it (QoS 0: when it is sent)."""
        self.tell("publish", topic=topic, payload=payload, options={"qos": qos, "retain": retain})
        self.await_event("published")

    def end(self) -> None:
        """DISCONNECT, and the process ends."""
        self.tell("end")
        assert self._process.wait(30) == 0

    def await_event(self, name: str) -> dict[str, Any]:
        """The next event of that name. AssertionError when the process has ended."""
        waiting = self._messages if name == "message" else self._others
        while True:
            for index, event in enumerate(waiting):
                if event["event"] == name:
                    return waiting.pop(index)
            self._read()

    def message(self) -> tuple[str, int, bool]:
        """(payload, QoS, RETAIN) of the next one."""
        event = self.await_event("message")
        return event["payload"], event["qos"], event["retain"]

    def _read(self) -> None:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "MQTT.js's process has ended"
        event = json.loads(line)
        (self._messages if event["event"] == "message" else self._others).append(event)
