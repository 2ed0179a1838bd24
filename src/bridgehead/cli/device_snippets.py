"""What a device's maker pastes: mosquitto_pub and mosquitto_sub, paho for Python, and C for ESP-IDF."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from typing import Final

from bridgehead.core.policy import Principal
from bridgehead.core.topic import check_topic_filter
from bridgehead.security.identity import Enrolled
from bridgehead.security.records import permission_of

AUTHORITY: Final = "ca.pem"
CERTIFICATE: Final = "certificate.pem"
KEY: Final = "key.pem"
PASSWORD: Final = "password"  # noqa: S105 - a file's name
MOSQUITTO_FOLDER: Final = "mosquitto"
_EXAMPLE: Final = "21.5"
_LEVELS: Final = ("test", "1", "example")  # what stands for a wildcard, the first that is permitted


class Terms:
    """The values in the snippets. `topic` and `topic_filter` are None when nothing may be published or subscribed."""

    def __init__(self, enrolled: Enrolled, host: str, port: int) -> None:
        device = enrolled.device
        self.name: Final = device.name
        self.host: Final = host
        self.port: Final = port
        permissions = [permission_of(each, device.name) for each in enrolled.permissions]
        principal = Principal.of(device.name, permissions, list(device.client_ids))
        self.topic, self.publish_qos = _publishable(principal)
        self.topic_filter, self.subscribe_qos = _subscribable(principal)
        self.client_ids: Final = list(device.client_ids)
        self.password: Final = None if enrolled.password is None else enrolled.password.decode()
        self.authority: Final = enrolled.authority_pem.decode()
        issued = enrolled.certificate
        self.certificate: Final = None if issued is None else issued.certificate_pem.decode()
        self.key: Final = None if issued is None else issued.key_pem.decode()

    def __repr__(self) -> str:
        return f"Terms({self.name!r})"

    def client_id(self, purpose: str = "") -> str:
        """The device's own client identifier, or one for a purpose of its own where the record permits more."""
        if not self.client_ids:
            return f"{self.name}-{purpose}" if purpose else self.name
        pattern = next((each for each in self.client_ids if each.endswith("*")), self.client_ids[0])
        if pattern.endswith("*"):
            return pattern[:-1] + (purpose or "device")
        return pattern


def snippets(terms: Terms) -> dict[str, str]:
    """File name in the bundle -> text. What the device may not do has no snippet."""
    found: dict[str, str] = {}
    if terms.topic is not None:
        found["mosquitto_pub.sh"] = _mosquitto_pub(terms, terms.topic)
    if terms.topic_filter is not None:
        found["mosquitto_sub.sh"] = _mosquitto_sub(terms, terms.topic_filter)
    if terms.password is not None:
        # mosquitto's clients read these; on the command line everybody on the machine could see the password.
        options = f"-u {terms.name}\n-P {terms.password}\n"
        found[f"{MOSQUITTO_FOLDER}/mosquitto_pub"] = options
        found[f"{MOSQUITTO_FOLDER}/mosquitto_sub"] = options
    found["paho_client.py"] = _paho(terms)
    found["esp_idf_main.c"] = _esp_idf(terms)
    found["README.txt"] = _readme(terms, found)
    return found


def _publishable(principal: Principal) -> tuple[str | None, int]:
    """A Topic Name that may be published to, by the first permission that gives one, and a QoS of at most 1."""
    for permission in principal.permissions:
        if not (permission.publish and permission.allow):
            continue
        for level in _LEVELS:
            topic = permission.topic_filter.replace("#", level).replace("+", level)
            for qos in (1, 0):
                if principal.may_publish(topic, qos, False):
                    return topic, qos
    return None, 0


def _subscribable(principal: Principal) -> tuple[str | None, int]:
    for permission in principal.permissions:
        if permission.subscribe and permission.allow:
            check_topic_filter(permission.topic_filter)
            qos = principal.subscribable_qos(permission.topic_filter)
            if qos >= 0:
                return permission.topic_filter, min(qos, 1)
    return None, 0


def _mosquitto_options(terms: Terms, purpose: str) -> str:
    options = ["-h", terms.host, "-p", str(terms.port), "-V", "mqttv5", "-i", terms.client_id(purpose)]
    options += ["--cafile", AUTHORITY]
    if terms.certificate is not None:
        options += ["--cert", CERTIFICATE, "--key", KEY]
    return shlex.join(options)


def _mosquitto_pub(terms: Terms, topic: str) -> str:
    words = shlex.join(["-t", topic, "-q", str(terms.publish_qos), "-m"])
    return (
        f"#!/bin/sh\n# Publishes as {terms.name}: sh mosquitto_pub.sh [MESSAGE], or paste it in this folder.\n"
        f'cd -- "$(dirname -- "$0")"\n'
        f'{_environment(terms)}mosquitto_pub {_mosquitto_options(terms, "pub")} {words} "${{1:-{_EXAMPLE}}}"\n'
    )


def _mosquitto_sub(terms: Terms, topic_filter: str) -> str:
    words = shlex.join(["-t", topic_filter, "-q", str(terms.subscribe_qos), "-v"])
    return (
        f"#!/bin/sh\n# Subscribes as {terms.name}: sh mosquitto_sub.sh [OPTION]..., or paste it in this folder.\n"
        f'cd -- "$(dirname -- "$0")"\n'
        f'{_environment(terms)}mosquitto_sub {_mosquitto_options(terms, "sub")} {words} "$@"\n'
    )


def _environment(terms: Terms) -> str:
    return f"XDG_CONFIG_HOME={MOSQUITTO_FOLDER} " if terms.password is not None else ""


_PAHO: Final = '''\
"""Connects as {name}. Needs paho-mqtt 2; run it in this folder: python3 paho_client.py [SECONDS]"""

import sys
import time
from pathlib import Path

import paho.mqtt.client as mqtt

FOLDER = Path(__file__).resolve().parent if "__file__" in globals() else Path()
SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
TOPIC = {topic}
TOPIC_FILTER = {topic_filter}
failures = []


def on_connect(client, userdata, flags, reason_code, properties):
    print("connected:", reason_code, flush=True)
    if reason_code.is_failure:
        failures.append(reason_code)
        client.disconnect()
        return
    if TOPIC_FILTER is not None:
        client.subscribe(TOPIC_FILTER, qos={subscribe_qos})
    if TOPIC is not None:
        client.publish(TOPIC, "{example}", qos={publish_qos})


def on_publish(client, userdata, mid, reason_code, properties):
    print("published to", TOPIC, "-", reason_code, flush=True)
    if reason_code.is_failure:
        failures.append(reason_code)


def on_subscribe(client, userdata, mid, reason_codes, properties):
    print("subscribed to", TOPIC_FILTER, "-", reason_codes[0], flush=True)
    if reason_codes[0].is_failure:
        failures.append(reason_codes[0])


def on_message(client, userdata, message):
    print("received", message.topic, message.payload, flush=True)


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id={client_id}, protocol=mqtt.MQTTv5)
client.on_connect, client.on_publish = on_connect, on_publish
client.on_subscribe, client.on_message = on_subscribe, on_message
{credentials}client.connect({host}, {port})
client.loop_start()
time.sleep(SECONDS)
client.disconnect()
client.loop_stop()
sys.exit(1 if failures else 0)
'''


def _paho(terms: Terms) -> str:
    tls = [f'ca_certs=str(FOLDER / "{AUTHORITY}")']
    if terms.certificate is not None:
        tls += [f'certfile=str(FOLDER / "{CERTIFICATE}")', f'keyfile=str(FOLDER / "{KEY}")']
    credentials = f"client.tls_set({', '.join(tls)})\n"
    if terms.password is not None:
        read = f'(FOLDER / "{PASSWORD}").read_text().rstrip("\\n")'
        credentials += f"client.username_pw_set({terms.name!r}, {read})\n"
    return _PAHO.format(
        name=terms.name,
        topic=repr(terms.topic),
        topic_filter=repr(terms.topic_filter),
        publish_qos=terms.publish_qos,
        subscribe_qos=terms.subscribe_qos,
        client_id=repr(terms.client_id()),
        credentials=credentials,
        host=repr(terms.host),
        port=terms.port,
        example=_EXAMPLE,
    )


_ESP_IDF: Final = """\
/* {name}: main/main.c of an ESP-IDF 5 project.
 *
 * In main/CMakeLists.txt: idf_component_register(SRCS "main.c" REQUIRES mqtt nvs_flash esp_netif esp_event)
 * In main/idf_component.yml: the component protocol_examples_common of ESP-IDF, which brings the network up
 * (idf.py menuconfig: Example Connection Configuration). This file holds the device's secrets.
 */
#include <stdio.h>

#include "esp_event.h"
#include "esp_log.h"
#include "esp_netif.h"
#include "mqtt_client.h"
#include "nvs_flash.h"
#include "protocol_examples_common.h"

static const char *TAG = {name_string};

static const char ca_pem[] =
{authority};
{secrets}
static void on_mqtt(void *arguments, esp_event_base_t base, int32_t event_id, void *data)
{{
    esp_mqtt_event_handle_t event = data;
    switch ((esp_mqtt_event_id_t)event_id) {{
    case MQTT_EVENT_CONNECTED:
        ESP_LOGI(TAG, "connected");
{connected}        break;
    case MQTT_EVENT_DATA:
        printf("%.*s %.*s\\n", event->topic_len, event->topic, event->data_len, event->data);
        break;
    case MQTT_EVENT_ERROR:
        ESP_LOGE(TAG, "refused or unreachable, code %d", (int)event->error_handle->connect_return_code);
        break;
    default:
        break;
    }}
}}

void app_main(void)
{{
    ESP_ERROR_CHECK(nvs_flash_init());
    ESP_ERROR_CHECK(esp_netif_init());
    ESP_ERROR_CHECK(esp_event_loop_create_default());
    ESP_ERROR_CHECK(example_connect());

    const esp_mqtt_client_config_t config = {{
        .broker.address.uri = {uri},
        .broker.verification.certificate = ca_pem,
        .credentials.client_id = {client_id},
{credentials}    }};
    esp_mqtt_client_handle_t client = esp_mqtt_client_init(&config);
    ESP_ERROR_CHECK(esp_mqtt_client_register_event(client, ESP_EVENT_ANY_ID, on_mqtt, NULL));
    ESP_ERROR_CHECK(esp_mqtt_client_start(client));
}}
"""


def _esp_idf(terms: Terms) -> str:
    secrets: list[str] = []
    credentials: list[str] = []
    if terms.certificate is not None and terms.key is not None:
        secrets.append(f"\nstatic const char certificate_pem[] =\n{_c_lines(terms.certificate)};\n")
        secrets.append(f"\nstatic const char key_pem[] =\n{_c_lines(terms.key)};\n")
        credentials.append(".credentials.authentication.certificate = certificate_pem,")
        credentials.append(".credentials.authentication.key = key_pem,")
    if terms.password is not None:
        credentials.append(f".credentials.username = {_c_string(terms.name)},")
        credentials.append(f".credentials.authentication.password = {_c_string(terms.password)},")
    connected: list[str] = []
    if terms.topic_filter is not None:
        words = f"{_c_string(terms.topic_filter)}, {terms.subscribe_qos}"
        connected.append(f"esp_mqtt_client_subscribe(event->client, {words});")
    if terms.topic is not None:
        words = f'{_c_string(terms.topic)}, "{_EXAMPLE}", 0, {terms.publish_qos}, 0'
        connected.append(f"esp_mqtt_client_publish(event->client, {words});")
    host = f"[{terms.host}]" if ":" in terms.host else terms.host
    return _ESP_IDF.format(
        name=terms.name,
        name_string=_c_string(terms.name),
        authority=_c_lines(terms.authority),
        secrets="".join(secrets),
        connected="".join(f"        {line}\n" for line in connected),
        uri=_c_string(f"mqtts://{host}:{terms.port}"),
        client_id=_c_string(terms.client_id()),
        credentials="".join(f"        {line}\n" for line in credentials),
    )


def _c_lines(text: str) -> str:
    return "\n".join(f"    {_c_string(line + chr(10))}" for line in text.splitlines())


def _c_string(text: str) -> str:
    """A C string literal; octets outside of ASCII as three octal digits, which no following digit can lengthen."""
    named = {"\n": "\\n", '"': '\\"', "\\": "\\\\", "?": "\\?"}  # "??" begins a trigraph
    pieces = [named.get(chr(octet), chr(octet) if 32 <= octet < 127 else f"\\{octet:03o}") for octet in text.encode()]
    return '"' + "".join(pieces) + '"'


def _readme(terms: Terms, files: Iterable[str]) -> str:
    lines = [
        f"What the device {terms.name} needs to connect to {terms.host}, port {terms.port} (MQTT over TLS).",
        "Keep this folder secret: whoever has it is the device.",
        "",
        f"{AUTHORITY:<20} the hub's certificate authority; trust this, and nothing else",
    ]
    if terms.certificate is not None:
        lines.append(f"{CERTIFICATE:<20} the device's certificate")
        lines.append(f"{KEY:<20} its private key")
    if terms.password is not None:
        lines.append(f"{PASSWORD:<20} its password; the user name is {terms.name}")
    told = {
        "mosquitto_pub.sh": "publishes one message: sh mosquitto_pub.sh [MESSAGE]",
        "mosquitto_sub.sh": "shows what arrives: sh mosquitto_sub.sh",
        "paho_client.py": "the same in Python: python3 paho_client.py [SECONDS]",
        "esp_idf_main.c": "the same for an ESP32 with ESP-IDF 5",
    }
    lines += [f"{name:<20} {told[name]}" for name in files if name in told]
    identifiers = terms.client_ids or [terms.name, f"{terms.name}-*"]
    lines += ["", "Client identifiers that it may use (* is anything): " + " ".join(map(json.dumps, identifiers))]
    if terms.topic is None and terms.topic_filter is None:
        lines += ["It may neither publish nor subscribe yet."]
    return "\n".join(lines) + "\n"
