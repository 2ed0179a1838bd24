"""The real `bridgehead up`: its start, its ready line, reload, stop, and what it refuses."""

from __future__ import annotations

import re
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridgehead.protocols.mqtt.codec.packets import (
    Acknowledgement,
    Connack,
    Disconnect,
    Pingreq,
    Pingresp,
    Publish,
    Subscribe,
    SubscriptionRequest,
)
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES
from bridgehead.security.records import PermissionRecord
from tests.cli.hub import PATIENCE, Client, Hub, command, wait_until

TLS = '[[listener]]\nbind = "127.0.0.1:0"\n'
PLAIN = TLS + "plaintext = true\n"
WSS = TLS + 'transport = "websocket"\n'


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """Started, with the device `sensor` (password `secret`)."""
    with Hub(tmp_path, TLS) as one:
        one.enrol("sensor", "secret")
        yield one


def connected(hub: Hub) -> Client:
    client = Client(hub.dial(), "sensor", "secret")
    answer = client.receive()
    assert isinstance(answer, Connack)
    assert answer.reason_code == 0
    return client


def is_alive(client: Client) -> bool:
    client.send(Pingreq())
    return isinstance(client.receive(), Pingresp)


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command("up", *arguments), capture_output=True, text=True, timeout=PATIENCE, check=False)


# Start. -----------------------------------------------------------------------------------------------


def test_the_ready_line_names_every_listener(tmp_path: Path) -> None:
    path = tmp_path / "hub.sock"
    config = TLS + WSS + PLAIN + PLAIN + 'transport = "websocket"\n'
    config += f'[[listener]]\nbind = "unix:{path}"\nplaintext = true\nmode = "0660"\n'
    with Hub(tmp_path, config) as hub:
        addresses = hub.addresses()
        assert [name for name, _ in addresses] == ["mqtts", "wss", "mqtt", "ws", "unix"]
        assert dict(addresses)["unix"] == str(path)
        assert path.stat().st_mode & 0o777 == 0o660
        for name, address in addresses[:-1]:
            assert re.fullmatch(r"127\.0\.0\.1:[1-9]\d*", address), name
            hub.dial(name).close()
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
        assert hub.stop() == 0
    assert not path.exists()


def test_the_first_start_makes_everything_private_and_says_what_is_next(tmp_path: Path) -> None:
    with Hub(tmp_path, TLS) as hub:
        assert f"bridgehead device add NAME --data {hub.data}" in hub.out()
        for path in (hub.data, *hub.data.rglob("*")):
            assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
        hub.enrol("sensor", "secret")
        hub.stop()
        hub.start()
        assert hub.out().startswith("ready ")


def test_plaintext_is_warned_of_at_every_start(tmp_path: Path) -> None:
    log = tmp_path / "hub.log"
    with Hub(tmp_path, PLAIN + f'[log]\nfile = "{log}"\n') as hub:
        for start in (1, 2):
            assert log.read_text().count('"listener.plaintext"') == start
            # The log is a file: people at the terminal are told all the same.
            assert hub.log_text().count("bridgehead: warning: 127.0.0.1:") == start
            hub.stop()
            hub.start()
    with Hub(tmp_path, PLAIN) as hub:
        assert len(hub.events("listener.plaintext")) == 1
        assert "warning: 127" not in hub.log_text().rpartition("bridgehead: ")[2].partition("\n")[2]


def test_without_credentials_nobody_comes_in(hub: Hub) -> None:
    for name, password in (("sensor", "wrong"), ("nobody", "secret"), ("", "")):
        client = Client(hub.dial(), name, password)
        answer = client.receive()
        assert isinstance(answer, Connack)
        assert answer.reason_code >= 0x80
        assert client.is_closed()
    assert "secret" not in hub.log_text()
    assert "wrong" not in hub.log_text()


def test_old_tls_is_not_spoken(hub: Hub) -> None:
    context = hub.trust()
    with pytest.deprecated_call():
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", hub.port("mqtts"))) as sock, pytest.raises(ssl.SSLError):
        context.wrap_socket(sock, server_hostname="localhost")


# What it refuses. -------------------------------------------------------------------------------------


@pytest.mark.parametrize("check", [[], ["--check"]])
def test_a_wrong_configuration_is_one_sentence_and_exit_code_2(tmp_path: Path, check: list[str]) -> None:
    config = tmp_path / "hub.toml"
    config.write_text('[[listener]]\nbind = "127.0.0.1:0"\nplaintxt = true\n')
    done = run("--data", tmp_path / "data", "--config", config, *check)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        f'bridgehead up: {config}:3: listener[0].plaintxt: there is no such key; did you mean "plaintext"?\n'
    )
    assert not (tmp_path / "data").exists()


def test_check_starts_nothing(tmp_path: Path) -> None:
    config = tmp_path / "hub.toml"
    config.write_text(TLS)
    done = run("--data", tmp_path / "data", "--config", config, "--check")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{config}: correct\n", "")
    assert not (tmp_path / "data").exists()


def refused(hub: Hub) -> str:
    """The last line of standard error of a hub that does not start."""
    assert hub.launch().wait(PATIENCE) == 1
    assert "Traceback" not in hub.log_text()
    assert "ready" not in hub.out()
    return hub.log_text().splitlines()[-1]


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        line = refused(Hub(tmp_path, f'[[listener]]\nbind = "127.0.0.1:{port}"\n'))
    assert line.startswith(f"bridgehead up: cannot listen on 127.0.0.1:{port}: another program listens there already;")


def test_a_data_folder_that_others_can_reach_into(tmp_path: Path) -> None:
    hub = Hub(tmp_path, TLS)
    hub.data.mkdir()
    (hub.data / "something").write_text("")
    hub.data.chmod(0o755)
    assert f"chmod -R go= {hub.data}" in refused(hub)


def test_a_second_hub_on_the_same_data(hub: Hub, tmp_path: Path) -> None:
    assert hub.process is not None
    done = run("--data", hub.data, "--config", hub.config)
    assert done.returncode == 1
    assert done.stderr.startswith(f"bridgehead up: another hub (process {hub.process.pid}) runs on the data folder")
    assert done.stderr.count("\n") == 1
    assert is_alive(connected(hub))


def test_a_log_file_that_cannot_be_written(tmp_path: Path) -> None:
    line = refused(Hub(tmp_path, TLS + '[log]\nfile = "none/hub.log"\n'))
    assert line == f"bridgehead up: the log cannot be written to {tmp_path}/none/hub.log: No such file or directory"


def test_a_certificate_without_its_key(tmp_path: Path) -> None:
    hub = Hub(tmp_path, TLS)
    with hub:
        hub.stop()
    pki = hub.data / "pki"
    hub.configure(TLS + f'certificate = "{pki}/ca.pem"\nkey = "{pki}/server.pem"\n')
    assert "is not the private key of the certificate" in refused(hub)


# Stop. ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.clause("MQTT-3.14.2-1")
def test_clients_are_told_that_the_hub_stops(hub: Hub, number: signal.Signals) -> None:
    client = connected(hub)
    hub.signal(number)
    farewell = client.receive()
    assert isinstance(farewell, Disconnect)
    assert farewell.reason_code == 0x8B  # Server shutting down
    assert client.is_closed()
    client.sock.close()
    assert hub.process is not None
    assert hub.process.wait(PATIENCE) == 0
    assert hub.await_event("node.stopped")["hurried"] is False


def test_a_second_signal_is_for_now(tmp_path: Path) -> None:
    with Hub(tmp_path, PLAIN) as hub:
        hub.enrol("sensor", "secret", (PermissionRecord("t", publish=True, subscribe=True),))
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(PATIENCE)
        sock.connect(("127.0.0.1", hub.port("mqtt")))
        client = Client(sock, "sensor", "secret")
        assert isinstance(client.receive(), Connack)
        client.send(Subscribe(1, [SubscriptionRequest("t", 0, False, False, 0)], NO_PROPERTIES))
        client.receive()
        other = Client(hub.dial("mqtt"), "sensor", "secret", "sensor-2")
        other.receive()
        # More than the system's buffers take, and the first one reads none of it: an orderly stop has to wait.
        for number in range(1, 17):
            other.send(Publish("t", bytes(500_000), 1, False, False, number))
            assert isinstance(other.receive(), Acknowledgement)
        other.sock.close()
        hub.signal(signal.SIGTERM)
        hub.await_event("node.stopping")
        hub.signal(signal.SIGTERM)
        assert hub.process is not None
        assert hub.process.wait(PATIENCE) == 0
        assert hub.await_event("node.stopped")["hurried"] is True
        sock.close()


def test_connections_that_say_nothing_do_not_hold_up_the_stop(hub: Hub) -> None:
    silent = [socket.create_connection(("127.0.0.1", hub.port("mqtts"))) for _ in range(20)]
    assert hub.stop() == 0
    for sock in silent:
        sock.close()


# Reload. ----------------------------------------------------------------------------------------------


def test_listeners_come_and_go_and_connections_stay(hub: Hub) -> None:
    client = connected(hub)
    old = hub.port("mqtts")
    hub.reload(WSS)
    listeners = str(hub.await_event("node.reloaded")["listeners"])
    assert re.fullmatch(r"wss=127\.0\.0\.1:\d+", listeners)
    socket.create_connection(("127.0.0.1", int(listeners.rpartition(":")[2]))).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", old))
    assert is_alive(client)


def test_a_listener_that_stays_keeps_its_port(hub: Hub) -> None:
    old = hub.port("mqtts")
    hub.reload(TLS + "[limits]\nconnections = 3\n")
    assert hub.await_event("node.reloaded")["listeners"] == f"mqtts=127.0.0.1:{old}"
    assert len(hub.events("listener.opened")) == 1
    connected(hub)


def test_limits_change_live(hub: Hub) -> None:
    first = connected(hub)
    hub.reload(TLS + "[limits]\nconnections = 1\n")
    hub.await_event("node.reloaded")
    with pytest.raises((ConnectionError, ssl.SSLError)):
        Client(hub.dial(), "sensor", "secret").receive()
    assert "ceiling of 1 connections" in str(hub.await_event("listener.connection-refused")["because"])
    assert is_alive(first)
    hub.reload(TLS)
    hub.await_event("node.reloaded", 2)
    connected(hub)


@pytest.mark.clause("MQTT-3.3.4-9")
def test_a_client_keeps_the_sizes_that_it_was_told(hub: Hub) -> None:
    def sizes(answer: object) -> tuple[int | None, int | None]:
        assert isinstance(answer, Connack)
        return answer.properties.receive_maximum, answer.properties.maximum_packet_size

    hub.enrol("writer", "word", (PermissionRecord("w", publish=True, subscribe=False),))
    client = Client(hub.dial(), "writer", "word")
    assert sizes(client.receive()) == (1000, 1048576)
    hub.reload(TLS + "[limits]\ninflight = 1\npacket_size = 1000\n")
    hub.await_event("node.reloaded")
    for number in (1, 2, 3):
        client.send(Publish("w", bytes(5000), 2, False, False, number))
    for number in (1, 2, 3):
        received = client.receive()
        assert isinstance(received, Acknowledgement)
        assert received.packet_id == number
    second = Client(hub.dial(), "writer", "word", "writer-2")
    assert sizes(second.receive()) == (1, 1000)
    second.send(Publish("w", bytes(5000), 0, False, False, 0))
    farewell = second.receive()
    assert isinstance(farewell, Disconnect)
    assert farewell.reason_code == 0x95  # Packet too large
    hub.signal(signal.SIGTERM)
    assert isinstance(client.receive(), Disconnect)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ("[[listener]\n", "hub.toml:1: this is not TOML"),
        (TLS + "[limits]\nconections = 1\n", 'hub.toml:4: limits.conections: there is no such key; did you mean "con'),
        (TLS + '[[listener]]\nbind = "203.0.113.1:0"\n', "this machine does not have that address"),
        (TLS + 'certificate = "data/pki/ca.pem"\nkey = "data/pki/server.pem"\n', "is not the private key of"),
        (TLS + '[log]\nfile = "none/x"\n', "No such file or directory"),
        (WSS + '[log]\nfile = "none/x"\n', "No such file or directory"),
    ],
)
def test_an_error_in_the_new_configuration_changes_nothing(hub: Hub, config: str, says: str) -> None:
    client = connected(hub)
    hub.reload(config)
    event = hub.await_event("node.reload-failed")
    assert says in str(event["because"])
    assert str(event["because"]).endswith("the old configuration goes on")
    assert event["level"] == "error"
    assert not hub.events("listener.closed")
    assert is_alive(client)
    assert is_alive(connected(hub))
    hub.reload(TLS)
    hub.await_event("node.reloaded")


def test_a_listener_moves_to_other_settings_on_the_same_port(hub: Hub, tmp_path: Path) -> None:
    hub.stop()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    fixed = f'[[listener]]\nbind = "127.0.0.1:{port}"\n'
    hub.configure(fixed)
    hub.start()
    client = connected(hub)
    hub.reload(fixed + "plaintext = true\n")
    assert hub.await_event("node.reloaded")["listeners"] == f"mqtt=127.0.0.1:{port}"
    plain = Client(socket.create_connection(("127.0.0.1", port)), "sensor", "secret")
    assert isinstance(plain.receive(), Connack)
    assert is_alive(plain)
    # It took over the same session; the older connection over TLS was told so.
    assert isinstance(client.receive(), Disconnect)


def test_a_new_certificate_is_shown_without_a_restart(hub: Hub) -> None:
    def serial() -> str:
        with hub.dial() as sock:
            assert isinstance(sock, ssl.SSLSocket)
            certificate = sock.getpeercert()
            assert certificate is not None
            return str(certificate["serialNumber"])

    client = connected(hub)
    old = serial()
    hub.reload(TLS + '[tls]\nnames = ["panel.example.org"]\n')
    hub.await_event("node.reloaded")
    assert serial() != old
    with socket.create_connection(("127.0.0.1", hub.port("mqtts"))) as sock:
        hub.trust().wrap_socket(sock, server_hostname="panel.example.org").close()
    assert is_alive(client)


def test_files_of_a_certificate_are_watched(hub: Hub, tmp_path: Path) -> None:
    """Whoever renews them (an ACME client) need not tell the hub."""
    own = tmp_path / "own.pem"
    own.write_bytes((hub.data / "pki" / "server.pem").read_bytes())
    own.chmod(0o600)
    hub.reload(TLS + f'certificate = "{own}"\nkey = "{own}"\n')
    hub.await_event("node.reloaded")
    loaded = len(hub.events("certificate.loaded"))
    own.write_text("-----BEGIN CERTIFICATE-----\nhalf\n")
    hub.await_event("certificate.unreadable")
    assert is_alive(connected(hub))
    own.write_bytes((hub.data / "pki" / "server.pem").read_bytes())
    hub.await_event("certificate.loaded", loaded + 1)
    assert is_alive(connected(hub))


def test_a_rotated_log_is_opened_anew(tmp_path: Path) -> None:
    log = tmp_path / "hub.log"
    with Hub(tmp_path, TLS + f'[log]\nfile = "{log}"\n') as hub:
        log.rename(tmp_path / "hub.log.1")
        hub.reload()
        wait_until("the new file", lambda: log.exists() and "node.reloaded" in log.read_text())
        assert "node.ready" in (tmp_path / "hub.log.1").read_text()


def test_the_store_needs_a_new_start(hub: Hub) -> None:
    hub.reload(TLS + '[store]\nkind = "memory"\n')
    assert "[store] changes with a new start only" in str(hub.await_event("node.restart-needed")["because"])
    hub.await_event("node.reloaded")


def test_kerberos_needs_a_new_start(hub: Hub) -> None:
    keytab = hub.folder / "hub.keytab"
    keytab.write_bytes(b"\x05\x02")  # an empty one
    keytab.chmod(0o600)
    hub.reload(TLS + f'[kerberos]\nkeytab = "{keytab}"\n')
    assert "[kerberos] changes with a new start only" in str(hub.await_event("node.restart-needed")["because"])
    hub.await_event("node.reloaded")


# Identities. ------------------------------------------------------------------------------------------


def test_a_device_is_known_and_forgotten_while_the_hub_runs(hub: Hub) -> None:
    hub.enrol("second", "word")
    client = Client(hub.dial(), "second", "word")
    assert isinstance(client.receive(), Connack)
    hub.remove("second")
    farewell = client.receive()
    assert isinstance(farewell, Disconnect)
    assert farewell.reason_code == 0x87  # Not authorized
    assert client.is_closed()
    again = Client(hub.dial(), "second", "word").receive()
    assert isinstance(again, Connack)
    assert again.reason_code == 0x86  # Bad User Name or Password


def test_the_system_topics_are_published(tmp_path: Path) -> None:
    with Hub(tmp_path, TLS + "[system_topics]\ninterval = 0.05\n") as hub:
        hub.enrol("watch", "word", (PermissionRecord("$SYS/broker/#", publish=False, subscribe=True),))
        client = Client(hub.dial(), "watch", "word")
        assert isinstance(client.receive(), Connack)
        client.send(Subscribe(1, [SubscriptionRequest("$SYS/broker/#", 0, False, False, 0)], NO_PROPERTIES))
        seen: set[str] = set()
        while not {"$SYS/broker/version", "$SYS/broker/clients/connected"} <= seen:
            packet = client.receive()
            if isinstance(packet, Publish):
                seen.add(packet.topic)
        hub.reload(TLS + "[system_topics]\ninterval = 0\n")
        hub.await_event("node.reloaded")
