"""README.txt: which file is what, and the first lines to try."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sequence
from typing import Final

from bridgehead.security.export.files import AUTHORITY, CERTIFICATE, KEY, PASSWORD
from bridgehead.security.export.terms import Terms

SECRETS: Final = "secrets.json"
RAW_KEY: Final = "raw-key.pem"

_TOLD: Final = {
    AUTHORITY: "the hub's certificate authorities; trust these, and nothing else",
    CERTIFICATE: "the device's certificate, and the authority between it and the root",
    KEY: "its private key",
    PASSWORD: "its password; the user name is its name",
    "mosquitto_pub.sh": "publishes one message: sh mosquitto_pub.sh [MESSAGE]",
    "mosquitto_sub.sh": "shows what arrives: sh mosquitto_sub.sh",
    "mosquitto-bridge.conf": "connects a Mosquitto of your own: mosquitto -c mosquitto-bridge.conf",
    "paho_client.py": "the same in Python: python3 paho_client.py [SECONDS]",
    "esp_idf_main.c": "the same for an ESP32 with ESP-IDF 5",
    SECRETS: "the pre-shared key and the OSCORE context, as far as it has them",
    RAW_KEY: "the key pair whose public half is on the device's record (RFC 7250)",
    "settings.json": "address, client identifier, topics and files, for programs",
}

_FOR_CLIENTS: Final = (
    "Scripts for libcoap's coap-client and files for aiocoap (--credential rpk or oscore: with a new one):"
)


def readme(terms: Terms, files: Iterable[str]) -> str:
    """Of an MQTT bundle."""
    identifiers = terms.client_ids or [terms.name, f"{terms.name}-*"]
    words = "Client identifiers that it may use (* is anything): " + " ".join(map(json.dumps, identifiers))
    return compose(
        terms,
        f"What the device {terms.name} needs to connect to {terms.host}, port {terms.port} (MQTT over TLS).",
        [AUTHORITY, *credential_files(terms), *files],
        _TOLD,
        [words],
    )


def coap_readme(terms: Terms) -> str:
    """Of what `device add` makes for a device that can speak nothing but CoAP."""
    url = f"coaps://{terms.host}"
    tried = []
    if (terms.psk is not None or terms.raw_key is not None) and terms.topic is not None:
        tried.append(f"bridgehead pub {url} {shlex.quote(terms.topic)} -m 21.5 --bundle .")
    if (terms.psk is not None or terms.raw_key is not None) and terms.topic_filter is not None:
        tried.append(f"bridgehead sub {url} {shlex.quote(terms.topic_filter)} --bundle .")
    return compose(
        terms,
        f"What the device {terms.name} needs to connect to {terms.host} by CoAP (DTLS: port 5684).",
        [AUTHORITY, *([SECRETS] if terms.psk or terms.oscore else []), *([RAW_KEY] if terms.raw_key else [])],
        _TOLD,
        [
            *(["To try it, in this folder:\n" + "\n".join(tried)] if tried else []),
            f"{_FOR_CLIENTS}\nbridgehead device export {terms.name} --data DIR --for coap --host {terms.host}",
        ],
    )


def credential_files(terms: Terms) -> list[str]:
    found = [] if terms.certificate is None else [CERTIFICATE, KEY]
    return found if terms.password is None else [*found, PASSWORD]


def compose(
    terms: Terms, first: str, files: Iterable[str], told: dict[str, str], paragraphs: Sequence[str] = ()
) -> str:
    """`told`: file -> what it is; a file that is not in it is not mentioned."""
    lines = [first, "Keep this folder secret: whoever has it is the device.", ""]
    known = {**_TOLD, **told}
    lines += [f"{name:<22} {known[name]}" for name in files if name in known]
    for paragraph in paragraphs:
        lines += ["", paragraph]
    if terms.topic is None and terms.topic_filter is None:
        lines += ["", "It may neither publish nor subscribe yet."]
    return "\n".join(lines) + "\n"
