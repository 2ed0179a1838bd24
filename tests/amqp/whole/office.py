"""A real hub with every door of AMQP and one of MQTT, devices with each kind of credential, and foreign clients."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from bridgehead.security.credentials import TokenSubject
from bridgehead.security.identity.identity import Identity
from bridgehead.security.identity.wanted import Fresh, NewOtp, Wanted
from bridgehead.security.records import PermissionRecord
from tests.cli.hub import PATIENCE, Client, Hub, command
from tests.coap.whole.harbour import Mqtt, may_both
from tests.peers.recorder import Recorder

SECRET: Final = "correct horse battery"
WATCHER: Final = "watcher"  # over MQTT; may everything on topics
OFFICE: Final = "office"  # the back office: topics, and queues and exchanges of any name
SENSOR: Final = "sensor"  # may send and receive Office/#, and send to the queue "orders"
STRANGER: Final = "stranger"  # on record, and may nothing
LISTENERS: Final = """
[[listener]]
bind = "127.0.0.1:0"

[[listener]]
bind = "127.0.0.1:0"
protocol = "amqp"

[[listener]]
bind = "127.0.0.1:0"
protocol = "amqp"
plaintext = true

[[listener]]
bind = "127.0.0.1:0"
protocol = "amqp"
transport = "websocket"

[[listener]]
bind = "127.0.0.1:0"
protocol = "amqp"
transport = "websocket"
plaintext = true
"""
PEERS: Final = Path(__file__).parents[2] / "peers"
SCRIPTS: Final = Path(__file__).parents[1] / "peers"
PYTHON: Final = PEERS / "amqp" / "venv" / "bin" / "python"
RHEA: Final = PEERS / "rhea" / "node_modules"
EVERYTHING: Final = tuple(may_both(each) for each in ("#", "$QUEUE/#", "$EXCHANGE/#"))


class Office:
    """`more` is what the configuration says beside the listeners, `make` makes the hub."""

    def __init__(
        self,
        folder: Path,
        more: str = "",
        listeners: str = LISTENERS,
        make: Callable[[Path, str], Hub] = Hub,
    ) -> None:
        self.folder: Final = folder
        self.hub: Final = make(folder, listeners + more)
        self.otp: dict[str, NewOtp] = {}

    def start(self) -> None:
        self.add(WATCHER, may_both("#"))
        self.add(OFFICE, *EVERYTHING)
        orders = PermissionRecord("$QUEUE/orders", publish=True, subscribe=False, retain=False)
        self.add(SENSOR, may_both("Office/#"), orders)
        self.add(STRANGER, may_both("nothing"))
        self.hub.start()

    def stop(self) -> None:
        self.hub.__exit__(None, None, None)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # Devices. ---------------------------------------------------------------------------------------

    def add(
        self,
        name: str,
        *permissions: PermissionRecord,
        tokens: Sequence[TokenSubject] = (),
        kerberos: Sequence[str] = (),
        otp: bool = False,
        ntlm: bool = False,
    ) -> None:
        """With the password SECRET and a certificate, beside what is asked for."""
        identity = Identity(self.hub.data)
        wanted = Wanted(
            name,
            permissions,
            fresh=Fresh(password=SECRET.encode(), certificate=True, otp=otp, ntlm=ntlm),
            token_subjects=tokens,
            kerberos_principals=kerberos,
        )
        try:
            with identity.enrolling(wanted) as enrolled:
                assert enrolled.certificate is not None
                self.certificate(name).write_bytes(enrolled.certificate.certificate_pem)
                self.key(name).write_bytes(enrolled.certificate.key_pem)
                self.key(name).chmod(0o600)
                if enrolled.otp is not None:
                    self.otp[name] = enrolled.otp
        finally:
            identity.close()

    def certificate(self, name: str) -> Path:
        return self.folder / f"{name}.pem"

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.key"

    @property
    def authority(self) -> Path:
        return self.hub.data / "pki" / "ca.pem"

    def command(self, *words: str | Path) -> str:
        """`bridgehead WORDS --data DATA`, as people type it; what it said."""
        done = subprocess.run(
            command(*words, "--data", self.hub.data), capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def reload(self, config: str | None = None) -> None:
        """SIGHUP, and wait until it is done."""
        count = len(self.hub.events("node.reloaded"))
        if config is not None:
            self.hub.configure(config)
        self.hub.signal(signal.SIGHUP)
        self.hub.await_event("node.reloaded", count + 1)

    # Clients. ---------------------------------------------------------------------------------------

    def port(self, name: str = "amqps") -> int:
        """`name`: amqps, amqp, amqps+ws, amqp+ws, mqtts."""
        return self.hub.port(name)

    def mqtt(self, name: str = WATCHER) -> Mqtt:
        return Mqtt(Client(self.hub.dial(), name, SECRET))

    def recorder(self, shown: int = 5672) -> Recorder:
        """Between one client and the plaintext listener; the capture shows `shown` as its port."""
        return Recorder(self.port("amqp"), shown, stream=True)

    def surroundings(self, name: str = OFFICE) -> dict[str, str]:
        """What the scripts of foreign clients are told, in their environment."""
        ports = {f"{scheme.upper().replace('+', '_')}_PORT": str(port) for scheme, port in self._ports()}
        return {
            **ports,
            "AMQP_USER": name,
            "AMQP_PASSWORD": SECRET,
            "AMQP_CA": str(self.authority),
            "AMQP_CERTIFICATE": str(self.certificate(name)),
            "AMQP_KEY": str(self.key(name)),
        }

    def _ports(self) -> list[tuple[str, int]]:
        return [(name, int(address.rpartition(":")[2])) for name, address in self.hub.addresses()]

    def python(self, script: str, *words: str, name: str = OFFICE, more: Mapping[str, str] | None = None) -> Script:
        """A script of tests/amqp/peers in the environment of the Python clients, as the device `name`."""
        return Script([str(PYTHON), str(SCRIPTS / script), *words], {**self.surroundings(name), **(more or {})})

    def rhea(self, script: str, *words: str, name: str = OFFICE, more: Mapping[str, str] | None = None) -> Script:
        """A script of tests/amqp/peers for node.js, with rhea in reach."""
        surroundings = {**self.surroundings(name), "NODE_PATH": str(RHEA), "NODE_EXTRA_CA_CERTS": str(self.authority)}
        return Script(["node", str(SCRIPTS / script), *words], {**surroundings, **(more or {})})


class Script:
    """A foreign client as a program. It says what it found as lines of JSON; lines can be told to it."""

    def __init__(self, words: Sequence[str], surroundings: Mapping[str, str]) -> None:
        self.process: Final = subprocess.Popen(
            list(words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": "", **surroundings},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()

    def line(self) -> Any:
        """The next line that it says, decoded."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self._complaint()
        return json.loads(line)

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def lines(self) -> list[Any]:
        """All that it says until it ends well."""
        with self:
            out, said = self.process.communicate(timeout=PATIENCE)
            assert self.process.returncode == 0, said + out
            return [json.loads(line) for line in out.splitlines() if line.startswith(("{", "[", '"'))]

    def _complaint(self) -> str:
        assert self.process.stderr is not None
        self.process.kill()
        return "the client ended: " + self.process.stderr.read()


if __name__ == "__main__":
    # For a look by hand: a hub in the folder that is named, until the line that ends it.
    with Office(Path(sys.argv[1])) as made:
        sys.stdout.write(json.dumps(made.surroundings()) + "\n")
        sys.stdout.flush()
        sys.stdin.readline()
