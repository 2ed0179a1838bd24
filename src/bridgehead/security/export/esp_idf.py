"""C for an ESP32: main.c of an ESP-IDF 5 project, with certificates and secrets in it."""

from __future__ import annotations

from typing import Final

from bridgehead.security.export.terms import EXAMPLE, Terms

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


def esp_idf(terms: Terms) -> str:
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
        words = f'{_c_string(terms.topic)}, "{EXAMPLE}", 0, {terms.publish_qos}, 0'
        connected.append(f"esp_mqtt_client_publish(event->client, {words});")
    return _ESP_IDF.format(
        name=terms.name,
        name_string=_c_string(terms.name),
        authority=_c_lines(terms.authority),
        secrets="".join(secrets),
        connected="".join(f"        {line}\n" for line in connected),
        uri=_c_string(f"mqtts://{terms.url_host()}:{terms.port}"),
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
