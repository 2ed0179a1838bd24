"""The snippets of `device add --out`: mosquitto_pub and mosquitto_sub, paho for Python, and C for ESP-IDF. A device
with nothing but CoAP's credentials has none: what it runs is told by its README.txt."""

from __future__ import annotations

from bridgehead.security.export import mosquitto
from bridgehead.security.export.esp_idf import esp_idf
from bridgehead.security.export.paho import paho
from bridgehead.security.export.readme import coap_readme, readme
from bridgehead.security.export.terms import Terms

__all__ = ["Terms", "snippets"]


def snippets(terms: Terms) -> dict[str, str]:
    """File name in the bundle -> text. What the device may not do has no snippet."""
    if terms.is_for_coap_alone:
        return {"README.txt": coap_readme(terms)}
    found = mosquitto.clients(terms)
    found["paho_client.py"] = paho(terms)
    found["esp_idf_main.c"] = esp_idf(terms)
    found["README.txt"] = readme(terms, found)
    return found
