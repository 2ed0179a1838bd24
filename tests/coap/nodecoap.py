"""node-coap-client in a Node.js process of its own, told what to do line by line."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Final

_FOLDER: Final = Path(__file__).resolve().parent.parent / "peers" / "nodecoap"


class NodeCoap:
    def __init__(self) -> None:
        self._process: Final = subprocess.Popen(
            ["node", str(_FOLDER / "driver.js")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._waiting: Final[list[dict[str, Any]]] = []

    def __enter__(self) -> NodeCoap:
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

    def key(self, host: str, identity: str, key: str) -> None:
        """The pre-shared key for coaps at `host`."""
        self.tell("key", host=host, identity=identity, key=key)

    def connect(self, origin: str) -> str:
        """ "true", or why not."""
        self.tell("connect", origin=origin)
        return str(self.event("tried")["result"])

    def ping(self, origin: str) -> bool:
        self.tell("ping", origin=origin)
        return bool(self.event("pinged")["alive"])

    def request(self, uri: str, method: str, payload: str | None = None, confirmable: bool = True) -> tuple[str, str]:
        """Code and payload of the answer."""
        self.tell("request", uri=uri, method=method, payload=payload, confirmable=confirmable)
        answer = self.event("answered")
        return answer["code"], answer["payload"]

    def observe(self, uri: str) -> None:
        self.tell("observe", uri=uri)
        self.event("observing")

    def notified(self) -> tuple[str, str]:
        """Code and payload of the next notification."""
        notification = self.event("notified")
        return notification["code"], notification["payload"]

    def forget(self, uri: str) -> None:
        """Ends the observation: the next notification is rejected (RFC 7641 section 3.6)."""
        self.tell("forget", uri=uri)
        self.event("forgotten")

    def event(self, name: str) -> dict[str, Any]:
        """The next of that name. AssertionError when a request failed or the process has ended."""
        assert self._process.stdout is not None
        while True:
            for index, event in enumerate(self._waiting):
                if event["event"] == name:
                    return self._waiting.pop(index)
            line = self._process.stdout.readline()
            assert line, "node-coap-client's process has ended"
            event = json.loads(line)
            assert event["event"] in (name, "notified"), event
            self._waiting.append(event)
