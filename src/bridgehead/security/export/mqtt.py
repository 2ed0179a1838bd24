"""Any MQTT client: the files, the URL, and settings for programs."""

from __future__ import annotations

import json

from bridgehead.security.export.files import AUTHORITY, CERTIFICATE, KEY, PASSWORD
from bridgehead.security.export.terms import Terms


def url(terms: Terms) -> str:
    return f"mqtts://{terms.url_host()}:{terms.port}"


def settings(terms: Terms) -> str:
    """settings.json. File names are relative to the bundle; no secret in it."""
    has_certificate = terms.certificate is not None
    told = {
        "url": url(terms),
        "host": terms.host,
        "port": terms.port,
        "protocol_version": 5,
        "client_id": terms.client_id(),
        "user_name": terms.name if terms.password is not None else None,
        "password_file": PASSWORD if terms.password is not None else None,
        "ca_file": AUTHORITY,
        "certificate_file": CERTIFICATE if has_certificate else None,
        "key_file": KEY if has_certificate else None,
        "publish": None if terms.topic is None else {"topic": terms.topic, "qos": terms.publish_qos},
        "subscribe": None
        if terms.topic_filter is None
        else {"topic_filter": terms.topic_filter, "qos": terms.subscribe_qos},
    }
    return json.dumps(told, indent=2, ensure_ascii=False) + "\n"
