"""README.txt: which file is what, and the first lines to try."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Final

from bridgehead.security.export.files import AUTHORITY, CERTIFICATE, KEY, PASSWORD
from bridgehead.security.export.terms import Terms

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
    "settings.json": "address, client identifier, topics and files, for programs",
}


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
