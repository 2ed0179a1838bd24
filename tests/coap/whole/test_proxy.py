"""The cross-proxy at a running hub, with curl as the HTTP client and libcoap as the CoAP client."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import quote

import pytest

from bridgehead.security.identity.identity import Identity, Wanted
from bridgehead.security.identity.wanted import Fresh
from bridgehead.security.records import PermissionRecord
from tests.cli.hub import PATIENCE, Hub, wait_until
from tests.coap.proxy.test_to_http import Answers

SECRET = "correct horse battery"
CONFIG = """
[[listener]]
bind = "127.0.0.1:0"
protocol = "proxy"
plaintext = true

[[listener]]
bind = "127.0.0.1:0"
protocol = "proxy"

[[listener]]
bind = "127.0.0.1:0"
protocol = "coap"
plaintext = true
guest = "visitor"

[[listener]]
bind = "127.0.0.1:0"
protocol = "coap"
plaintext = true
guest = "nobody-known"
"""


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hub = Hub(folder, CONFIG)
        with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as probe:
            self.http_port = probe.server_port
        self.add("office", PermissionRecord("Office/#", publish=True, subscribe=True))
        self.add("reader", PermissionRecord("Office/Lobby/#", publish=False, subscribe=True))
        self.add(
            "visitor",
            PermissionRecord("Office/#", publish=True, subscribe=True),
            PermissionRecord("$PROXY/http/127.0.0.1/#", publish=False, subscribe=True),
        )
        self.hub.start()

    def add(self, name: str, *permissions: PermissionRecord) -> None:
        identity = Identity(self.hub.data)
        try:
            fresh = Fresh(password=SECRET.encode(), certificate=True)
            with identity.enrolling(Wanted(name, permissions, fresh=fresh)) as enrolled:
                assert enrolled.certificate is not None
                pem = enrolled.certificate.certificate_pem + enrolled.certificate.key_pem
                (self.folder / f"{name}.pem").write_bytes(pem)
        finally:
            identity.close()

    def url(self, uri: str, name: str = "proxy-plain") -> str:
        scheme = "http" if name == "proxy-plain" else "https"
        return f"{scheme}://localhost:{self.hub.port(name)}/hc?target_uri={quote(uri, safe='')}"

    def curl(self, *words: str, as_: str = "office") -> tuple[int, str]:
        """The status and the body. The password goes through a file: on a command line everybody could read it."""
        secret = self.folder / f"{as_}.curl"
        secret.write_text(f'user = "{as_}:{SECRET}"\n')
        secret.chmod(0o600)
        command = ["curl", "-s", "--max-time", "20", "-K", str(secret), "-w", "\n%{http_code}", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        body, _, status = done.stdout.rpartition("\n")
        return int(status or 0), body


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("proxy"))
    try:
        yield made
    finally:
        made.hub.__exit__(None, None, None)


@pytest.mark.peer("curl")
@pytest.mark.clause("RFC7252-10.2")
@pytest.mark.clause("RFC8075-5.3")
def test_an_http_client_writes_reads_and_clears_a_topic(world: World) -> None:
    url = world.url("coap://localhost/t/Office/Lobby/Temperature")
    assert world.curl(url)[0] == 404
    put = ["-X", "PUT", "-H", "Content-Type: application/json", "-d", '{"celsius": 21.5}']
    assert world.curl(*put, url)[0] in (201, 204)
    status, body = world.curl("-D", "-", url)
    assert status == 200
    assert '{"celsius": 21.5}' in body
    assert "content-type: application/json" in body.lower()
    tag = next(line.split(": ")[1] for line in body.splitlines() if line.lower().startswith("etag"))
    assert world.curl("-H", f"If-None-Match: {tag}", url)[0] == 304
    assert world.curl("-X", "PUT", "-H", 'If-Match: "00"', "-d", "x", url)[0] == 412
    assert world.curl("-I", url)[0] == 200
    assert world.curl("-X", "DELETE", url)[0] in (200, 204)
    assert world.curl(url)[0] == 404


@pytest.mark.peer("curl")
def test_an_http_client_has_the_rights_of_its_device_and_no_more(world: World) -> None:
    lobby = world.url("coap://localhost/t/Office/Lobby/Door")
    safe = world.url("coap://localhost/t/Office/Safe")
    assert world.curl("-X", "PUT", "-d", "shut", lobby)[0] in (201, 204)
    assert world.curl("-X", "PUT", "-d", "closed", safe)[0] in (201, 204)
    assert world.curl(lobby, as_="reader") == (200, "shut")
    assert world.curl("-X", "PUT", "-d", "open", lobby, as_="reader")[0] == 403
    assert world.curl(safe, as_="reader")[0] in (403, 404)
    assert world.curl(lobby) == (200, "shut")
    unproven = subprocess.run(
        ["curl", "-s", "-o", "-", "-w", "%{http_code}", lobby], capture_output=True, text=True, check=False
    )
    assert unproven.stdout.endswith("401")


@pytest.mark.peer("curl")
def test_a_certificate_proves_who_asks(world: World) -> None:
    url = world.url("coaps://localhost/t/Office/Lobby/Light", "proxy")
    words = ["curl", "-s", "--cacert", str(world.hub.data / "pki" / "ca.pem"), "-w", "%{http_code}"]
    put = [*words, "--cert", str(world.folder / "office.pem"), "-X", "PUT", "-d", "on", url]
    assert subprocess.run(put, capture_output=True, text=True, check=False).stdout in ("201", "204")
    assert subprocess.run([*words, url], capture_output=True, text=True, check=False).stdout.endswith("401")


@pytest.mark.peer("curl")
def test_server_sent_events_follow_a_topic_until_the_right_ends(world: World) -> None:
    url = world.url("coap://localhost/t/Office/Lobby/Clock")
    assert world.curl("-X", "PUT", "-d", "12:00", url)[0] in (201, 204)
    secret = world.folder / "reader.curl"
    world.curl(url, as_="reader")
    out = world.folder / "events"
    with out.open("wb") as file:
        command = ["curl", "-sN", "--max-time", "25", "-K", str(secret), "-H", "Accept: text/event-stream", url]
        with subprocess.Popen(command, stdout=file) as reading:
            wait_until("the first event", lambda: "data: 12:00" in out.read_text())
            assert world.curl("-X", "PUT", "-d", "12:01\nand a line", url)[0] in (201, 204)
            wait_until("the second event", lambda: "data: 12:01\ndata: and a line" in out.read_text())
            identity = Identity(world.hub.data)
            try:
                identity.revoke("reader")
            finally:
                identity.close()
            assert reading.wait(PATIENCE) == 0  # the stream ended in order, and not by curl's own time
    assert world.curl(url, as_="reader")[0] == 401


@pytest.mark.peer("curl")
def test_other_servers_are_closed_unless_the_policy_opens_them(world: World) -> None:
    assert world.curl(world.url("coap://192.0.2.1/secret"))[0] == 403
    assert world.curl("http://localhost:1/", "-o", "/dev/null")[0] == 0
    status, body = world.curl(f"http://localhost:{world.hub.port('proxy-plain')}/")
    assert status == 404
    assert "/hc" in body


@pytest.mark.peer("coap-client-gnutls")
@pytest.mark.clause("RFC7252-10.1")
def test_a_coap_client_reads_an_http_server_through_the_hub(world: World) -> None:
    Answers.stored.clear()
    Answers.stored["/weather"] = b'{"rain": false}'
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as http:
        thread = Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        try:
            ports = [address.rpartition(":")[2] for name, address in world.hub.addresses() if name == "coap"]
            target = f"http://127.0.0.1:{http.server_port}/weather"
            answers = [
                subprocess.run(
                    ["coap-client-gnutls", "-B", "10", "-P", f"coap://127.0.0.1:{port}", "-m", method, *more, target],
                    capture_output=True,
                    text=True,
                    timeout=PATIENCE,
                    check=False,
                )
                for port, method, more in ((ports[0], "get", []), (ports[0], "put", ["-e", "x"]), (ports[1], "get", []))
            ]
        finally:
            http.shutdown()
            thread.join()
    assert answers[0].stdout.strip() == '{"rain": false}'
    assert "4.03" in answers[1].stdout + answers[1].stderr  # the guest may read it only
    assert "4.01" in answers[2].stdout + answers[2].stderr  # nobody has proven anything there
