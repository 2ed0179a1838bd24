"""What `device add --out` writes works as it is pasted: with mosquitto's clients, with paho, with a C compiler."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridgehead.cli.device_bundle import Bundle
from bridgehead.cli.device_snippets import Terms, snippets
from bridgehead.security.identity.identity import Enrolled, Identity, Wanted
from bridgehead.security.identity.wanted import Fresh
from bridgehead.security.records import PermissionRecord
from tests.security.support import enrol, machine, publish, subscribe

AWKWARD = "  pa ss'\"\\$(touch x)`?? äß #-u"  # what shells, C and configuration files treat in their own ways
TOPIC = 'Büro\'s/"${device}"/$(touch x)?/%s{}'


@pytest.fixture
def home(data: Path) -> Iterator[Identity]:
    """Identities by the real clock: foreign programs look at theirs."""
    identity = Identity(data)
    identity.maintain([], machine)
    yield identity
    identity.close()


def terms(home: Identity, *permissions: PermissionRecord, client_ids: tuple[str, ...] = ()) -> Terms:
    wanted = Wanted("sensor-7", permissions, client_ids=client_ids, password=b"secret", certificate=True)
    return Terms(enrol(home, wanted), "hub.example", 8883)


@pytest.mark.parametrize(
    ("fresh", "files"),
    [
        (Fresh(psk="sensor-7"), ["secrets.json"]),
        (Fresh(raw_key=True), ["raw-key.pem"]),
        (Fresh(oscore=True), ["secrets.json"]),
    ],
)
def test_a_device_of_coap_alone_is_told_of_coap_alone(
    home: Identity, tmp_path: Path, fresh: Fresh, files: list[str]
) -> None:
    made = Bundle(tmp_path / "made", "hub.example", 8883)
    with home.enrolling(Wanted("sensor-7", (publish("a b/#"), subscribe("c")), fresh=fresh)) as enrolled:
        assert sorted(made.write(enrolled)) == sorted(["README.txt", "ca.pem", "device.json", *files])
    text = (made.folder / "README.txt").read_text()
    assert "MQTT" not in text
    assert all(name in text for name in files)
    assert "bridgehead device export sensor-7 --data DIR --for coap --host hub.example" in text
    tried = "bridgehead pub coaps://hub.example 'a b/test' -m 21.5 --bundle ." in text
    assert tried == (not fresh.oscore)


# Which topics. --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("permissions", "topic", "topic_filter"),
    [
        ([publish("Office/${device}/#"), subscribe("cmd/+/x")], "Office/sensor-7/test", "cmd/+/x"),
        ([publish("a/+/b/+")], "a/test/b/test", None),
        ([publish("#")], "test", None),
        ([publish("a/#"), publish("a/test", allow=False)], "a/1", None),
        ([publish("x/a"), publish("x/b"), publish("x/+", 0)], "x/a", None),
        ([subscribe("first"), subscribe("second")], None, "first"),
        ([], None, None),
    ],
)
def test_topics_are_of_the_first_permission_that_gives_one(
    home: Identity, permissions: list[PermissionRecord], topic: str | None, topic_filter: str | None
) -> None:
    found = terms(home, *permissions)
    assert (found.topic, found.topic_filter) == (topic, topic_filter)
    names = snippets(found)
    assert ("mosquitto_pub.sh" in names) is (topic is not None)
    assert ("mosquitto_sub.sh" in names) is (topic_filter is not None)


def test_the_qos_is_one_that_is_permitted(home: Identity) -> None:
    found = terms(home, publish("a", 0), subscribe("b", 2))
    assert (found.publish_qos, found.subscribe_qos) == (0, 1)


@pytest.mark.parametrize(
    ("patterns", "own", "pub"),
    [
        ((), "sensor-7", "sensor-7-pub"),
        (("lab-*",), "lab-device", "lab-pub"),
        (("one",), "one", "one"),
        (("one", "lab-*"), "lab-device", "lab-pub"),
    ],
)
def test_client_identifiers_are_permitted_ones(home: Identity, patterns: tuple[str, ...], own: str, pub: str) -> None:
    found = terms(home, client_ids=patterns)
    assert (found.client_id(), found.client_id("pub")) == (own, pub)


# Mosquitto as the server: somebody else's TLS, somebody else's reading of our certificates. ----------


@contextlib.contextmanager
def mosquitto(home: Identity, folder: Path, devices: list[Enrolled]) -> Iterator[int]:
    """A server with our server certificate, authority and revocation list; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    passwords = folder / "passwords"
    passwords.write_text("")
    passwords.chmod(0o600)
    for each in devices:
        if each.password is not None:
            name = each.device.name
            subprocess.run(["mosquitto_passwd", "-b", str(passwords), name, each.password.decode()], check=True)
    by_certificate = all(each.certificate is not None for each in devices)
    by_password = all(each.password is not None for each in devices)
    pki = home.pki
    lines = [
        f"listener {port} 127.0.0.1",
        f"cafile {pki.authority_file}",
        f"certfile {pki.server_file}",
        f"keyfile {pki.server_file}",
        f"require_certificate {str(by_certificate).lower()}",
        f"use_identity_as_username {str(by_certificate and not by_password).lower()}",
        "allow_anonymous false",
        "user root",
    ]
    if by_certificate:
        lines.append(f"crlfile {pki.revocation_file}")
    if by_password:
        lines.append(f"password_file {passwords}")
    (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")
    with (folder / "mosquitto.log").open("wb") as log:
        server = subprocess.Popen(["mosquitto", "-c", str(folder / "mosquitto.conf")], stdout=log, stderr=log)
    try:
        for _ in range(400):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert server.poll() is None, (folder / "mosquitto.log").read_text()
            time.sleep(0.02)
        yield port
    finally:
        server.terminate()
        server.wait(20)


WAYS = {"certificate": (None, True), "password": (AWKWARD.encode(), False), "both": (AWKWARD.encode(), True)}


@pytest.fixture(params=list(WAYS))
def served(request: pytest.FixtureRequest, home: Identity, tmp_path: Path) -> Iterator[Path]:
    """A bundle for a device that the running server knows."""
    password, certificate = WAYS[request.param]
    permissions = [publish(TOPIC), subscribe(TOPIC)]
    enrolled = enrol(home, Wanted("sensor-7", permissions, password=password, certificate=certificate))
    with mosquitto(home, tmp_path, [enrolled]) as port:
        folder = tmp_path / "a folder" / "sensor-7"
        Bundle(folder, "localhost", port).write(enrolled)
        yield folder


def environment() -> dict[str, str]:
    """As of a shell in which nothing of ours is set."""
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8"}


@pytest.mark.peer("mosquitto")
@pytest.mark.peer("mosquitto_pub")
@pytest.mark.peer("mosquitto_sub")
def test_the_shell_lines_work_from_anywhere(served: Path, tmp_path: Path) -> None:
    listen = ["sh", str(served / "mosquitto_sub.sh"), "-C", "2", "-W", "30"]
    with subprocess.Popen(listen, stdout=subprocess.PIPE, env=environment(), cwd="/") as listening:
        say = ["sh", str(served / "mosquitto_pub.sh")]
        for words in [[], ["'quoted' $x"]]:
            run = subprocess.run(
                [*say, *words], capture_output=True, text=True, env=environment(), cwd="/", check=False
            )
            assert (run.returncode, run.stderr) == (0, "")
        # What is published before the subscription stands is not heard.
        for _ in range(200):
            if listening.poll() is not None:
                break
            subprocess.run([*say, "again"], check=True, env=environment(), cwd="/")
            time.sleep(0.05)
        heard, _ = listening.communicate(timeout=30)
    topic = TOPIC.replace("${device}", "sensor-7")
    lines = heard.decode().splitlines()
    assert len(lines) == 2
    assert all(line.startswith(topic + " ") for line in lines)
    assert listening.returncode == 0
    assert not (tmp_path / "x").exists()
    assert not (served / "x").exists()


@pytest.mark.peer("mosquitto")
@pytest.mark.peer("mosquitto_pub")
def test_pasted_into_a_shell_in_the_folder_they_work_too(served: Path) -> None:
    pasted = (served / "mosquitto_pub.sh").read_text() + "echo still here\n"
    run = subprocess.run(
        ["bash", "-s"], input=pasted, capture_output=True, text=True, env=environment(), cwd=served, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "still here\n", "")


@pytest.mark.peer("mosquitto")
def test_the_paho_script_works(served: Path) -> None:
    """As a file, and pasted into an interpreter in its folder."""
    text = (served / "paho_client.py").read_text()
    pasted = subprocess.Popen(
        [sys.executable, "-", "2"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=served
    )
    assert pasted.stdin is not None
    pasted.stdin.write(text.replace("client_id='sensor-7'", "client_id='sensor-7-pasted'"))
    pasted.stdin.close()
    run = subprocess.run(
        [sys.executable, str(served / "paho_client.py"), "2"], capture_output=True, text=True, timeout=50, check=False
    )
    assert pasted.stdout is not None
    for code, told in ((run.returncode, run.stdout), (pasted.wait(50), pasted.stdout.read())):
        assert code == 0, run.stderr
        assert "connected: Success" in told
        assert "published to" in told
        assert "b'21.5'" in told
    pasted.stdout.close()


@pytest.mark.peer("mosquitto")
@pytest.mark.peer("mosquitto_pub")
def test_a_removed_devices_bundle_is_worth_nothing(home: Identity, tmp_path: Path) -> None:
    enrolled = enrol(home, Wanted("sensor-7", [publish("a")], certificate=True))
    Bundle(tmp_path / "out", "localhost", 1).write(enrolled)

    def publishes() -> bool:
        with mosquitto(home, tmp_path, [enrolled]) as port:
            lines = (tmp_path / "out" / "mosquitto_pub.sh").read_text().replace("-p 1 ", f"-p {port} ")
            shell = ["sh", "-c", lines]
            return subprocess.run(shell, env=environment(), cwd=tmp_path / "out", check=False).returncode == 0

    assert publishes()
    home.remove_device("sensor-7")
    assert not publishes()
    assert "certificate verify failed" in (tmp_path / "mosquitto.log").read_text()


def test_no_secret_is_on_a_command_line(home: Identity, tmp_path: Path) -> None:
    enrolled = enrol(
        home, Wanted("sensor-7", [publish("a"), subscribe("a")], password=b"tell-nobody", certificate=True)
    )
    Bundle(tmp_path / "out", "localhost", 8883).write(enrolled)
    holders = {
        path.name for path in (tmp_path / "out").rglob("*") if path.is_file() and b"tell-nobody" in path.read_bytes()
    }
    assert holders == {"password", "mosquitto_pub", "mosquitto_sub", "esp_idf_main.c"}


# ESP-IDF: the words of its interface, so that a compiler can read the snippet here. --------------------

HEADERS = {
    "esp_event.h": """
#include <stddef.h>
#include <stdint.h>
typedef const char *esp_event_base_t;
typedef int esp_err_t;
typedef void (*esp_event_handler_t)(void *, esp_event_base_t, int32_t, void *);
#define ESP_EVENT_ANY_ID -1
#define ESP_ERROR_CHECK(x) do { if ((x) != 0) { } } while (0)
esp_err_t esp_event_loop_create_default(void);
""",
    "esp_log.h": """
#define ESP_LOGI(tag, ...) do { fprintf(stderr, "%s ", tag); fprintf(stderr, __VA_ARGS__); } while (0)
#define ESP_LOGE ESP_LOGI
""",
    "esp_netif.h": "esp_err_t esp_netif_init(void);\n",
    "nvs_flash.h": "esp_err_t nvs_flash_init(void);\n",
    "protocol_examples_common.h": "esp_err_t example_connect(void);\n",
    "mqtt_client.h": """
typedef struct esp_mqtt_client *esp_mqtt_client_handle_t;
typedef enum { MQTT_EVENT_ANY = -1, MQTT_EVENT_ERROR = 0, MQTT_EVENT_CONNECTED, MQTT_EVENT_DATA } esp_mqtt_event_id_t;
typedef struct { int connect_return_code; } esp_mqtt_error_codes_t;
typedef struct {
    esp_mqtt_client_handle_t client; char *data; int data_len; char *topic; int topic_len;
    esp_mqtt_error_codes_t *error_handle;
} *esp_mqtt_event_handle_t;
typedef struct {
    struct { struct { const char *uri; } address; struct { const char *certificate; } verification; } broker;
    struct {
        const char *username; const char *client_id;
        struct { const char *password; const char *certificate; const char *key; } authentication;
    } credentials;
} esp_mqtt_client_config_t;
esp_mqtt_client_handle_t esp_mqtt_client_init(const esp_mqtt_client_config_t *config);
esp_err_t esp_mqtt_client_register_event(esp_mqtt_client_handle_t, esp_mqtt_event_id_t, esp_event_handler_t, void *);
esp_err_t esp_mqtt_client_start(esp_mqtt_client_handle_t client);
int esp_mqtt_client_subscribe(esp_mqtt_client_handle_t client, const char *topic, int qos);
int esp_mqtt_client_publish(esp_mqtt_client_handle_t, const char *, const char *, int, int, int);
""",
}
RUN = r"""
esp_err_t esp_event_loop_create_default(void) { return 0; }
esp_err_t esp_netif_init(void) { return 0; }
esp_err_t nvs_flash_init(void) { return 0; }
esp_err_t example_connect(void) { return 0; }
static void show(const char *name, const char *text) { printf("%s=%s\x01", name, text ? text : ""); }
esp_mqtt_client_handle_t esp_mqtt_client_init(const esp_mqtt_client_config_t *config)
{
    show("uri", config->broker.address.uri);
    show("authority", config->broker.verification.certificate);
    show("client_id", config->credentials.client_id);
    show("user", config->credentials.username);
    show("password", config->credentials.authentication.password);
    show("certificate", config->credentials.authentication.certificate);
    show("key", config->credentials.authentication.key);
    return 0;
}
esp_err_t esp_mqtt_client_register_event(
    esp_mqtt_client_handle_t c, esp_mqtt_event_id_t e, esp_event_handler_t h, void *a)
{
    struct esp_mqtt_client *none = 0;
    esp_mqtt_event_handle_t event = &(__typeof__(*event)){ .client = none };
    h(a, "", MQTT_EVENT_CONNECTED, event);
    return 0;
}
esp_err_t esp_mqtt_client_start(esp_mqtt_client_handle_t client) { return 0; }
int esp_mqtt_client_subscribe(esp_mqtt_client_handle_t c, const char *topic, int qos)
{ show("filter", topic); return 0; }
int esp_mqtt_client_publish(esp_mqtt_client_handle_t c, const char *t, const char *d, int l, int q, int r)
{ show("topic", t); return 0; }
int main(void) { app_main(); return 0; }
"""


@pytest.mark.peer("gcc")
@pytest.mark.parametrize("way", list(WAYS))
def test_the_c_snippet_compiles_and_holds_the_very_values(home: Identity, tmp_path: Path, way: str) -> None:
    password, certificate = WAYS[way]
    permissions = [publish(TOPIC), subscribe(TOPIC)]
    enrolled = enrol(home, Wanted("sensor-7", permissions, password=password, certificate=certificate))
    for name, text in HEADERS.items():
        (tmp_path / name).write_text(text)
    source = snippets(Terms(enrolled, "2001:db8::1", 8883))["esp_idf_main.c"]
    (tmp_path / "main.c").write_text(source + RUN)
    strict = ["-std=gnu17", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-trigraphs"]
    command = ["gcc", *strict, "-I", str(tmp_path), "-o", str(tmp_path / "main"), str(tmp_path / "main.c")]
    build = subprocess.run(command, capture_output=True, text=True, check=False)
    assert build.returncode == 0, build.stderr
    shown = subprocess.run([tmp_path / "main"], capture_output=True, check=True).stdout.decode()
    values = dict(re.findall(r"(\w+)=([^\x01]*)\x01", shown))
    issued = enrolled.certificate
    assert values == {
        "uri": "mqtts://[2001:db8::1]:8883",
        "authority": enrolled.authority_pem.decode(),
        "client_id": "sensor-7",
        "user": "" if password is None else "sensor-7",
        "password": "" if password is None else AWKWARD,
        "certificate": "" if issued is None else issued.certificate_pem.decode(),
        "key": "" if issued is None else issued.key_pem.decode(),
        "filter": TOPIC.replace("${device}", "sensor-7"),
        "topic": TOPIC.replace("${device}", "sensor-7"),
    }
