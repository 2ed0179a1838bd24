"""W3C Web of Things (WoT) Thing Description 1.1: what the device offers and how it is reached. No secret in it.

What it publishes are events, what it subscribes to are actions. MQTT forms are in the terms of the WoT Binding for
MQTT; a CoAP form is added where the device has a pre-shared key.
"""

from __future__ import annotations

import json
import re
from typing import Final
from urllib.parse import quote

from bridgehead.core.rights import resolved
from bridgehead.security.export.terms import Terms
from bridgehead.security.records import Device

_CONTEXT: Final = "https://www.w3.org/2022/wot/td/v1.1"
_MQTT: Final = "https://www.w3.org/2019/wot/mqtt#"
_COAP: Final = "https://www.w3.org/2019/wot/coap#"
_WILD: Final = re.compile(r"[+#]")


def description(terms: Terms, device: Device, coap_port: int) -> str:
    """thing.td.json."""
    definitions, security = _security(device)
    events: dict[str, object] = {}
    actions: dict[str, object] = {}
    base = f"mqtts://{terms.url_host()}:{terms.port}"
    coap = f"coaps://{terms.url_host()}:{coap_port}/t/" if device.pre_shared_keys else None
    for each in terms.permissions:
        if not each.allow:
            continue
        for topic_filter in resolved(each.topic_filter, terms.bindings):
            qos = str(each.max_qos)
            if each.publish:
                events[_name(topic_filter, events)] = {
                    "title": f"Publishes {topic_filter}",
                    "data": {},
                    "forms": [
                        {
                            "href": base,
                            "op": ["subscribeevent", "unsubscribeevent"],
                            "contentType": "application/octet-stream",
                            "mqv:controlPacket": "subscribe",
                            "mqv:filter": topic_filter,
                            "mqv:qos": qos,
                        }
                    ],
                }
            if each.subscribe and not _WILD.search(topic_filter):
                forms: list[dict[str, object]] = [
                    {
                        "href": base,
                        "op": "invokeaction",
                        "contentType": "application/octet-stream",
                        "mqv:controlPacket": "publish",
                        "mqv:topic": topic_filter,
                        "mqv:qos": qos,
                    }
                ]
                if coap is not None:
                    path = "/".join(quote(level, safe="") for level in topic_filter.split("/"))
                    forms.append(
                        {
                            "href": coap + path,
                            "op": "invokeaction",
                            "contentType": "application/octet-stream",
                            "cov:method": "POST",
                        }
                    )
                actions[_name(topic_filter, actions)] = {
                    "title": f"Receives {topic_filter}",
                    "input": {},
                    "forms": forms,
                }
    thing: dict[str, object] = {
        "@context": [_CONTEXT, {"mqv": _MQTT, "cov": _COAP} if coap else {"mqv": _MQTT}],
        "id": f"urn:bridgehead:device:{device.name}",
        "title": device.name,
        "securityDefinitions": definitions,
        "security": security,
    }
    if events:
        thing["events"] = events
    if actions:
        thing["actions"] = actions
    return json.dumps(thing, indent=2, ensure_ascii=False) + "\n"


def _security(device: Device) -> tuple[dict[str, object], list[str]]:
    """TD 1.1 section 5.3.3. It has no scheme for certificates: `auto` leaves it to the transport, which is TLS."""
    found: dict[str, object] = {}
    if device.certificates or device.foreign_certificates or device.raw_public_keys or device.dds_identity is not None:
        found["tls"] = {"scheme": "auto", "description": "TLS with a client certificate of the hub's authority"}
    if device.password is not None:
        found["password"] = {"scheme": "basic", "in": "auto", "description": "user name and password, inside TLS only"}
    if device.pre_shared_keys:
        found["psk"] = {"scheme": "psk", "identity": device.pre_shared_keys[0].identity}
    if device.token_subjects:
        found["token"] = {"scheme": "bearer", "in": "auto", "format": "jwt"}
    if not found:
        found["tls"] = {"scheme": "auto", "description": "the device has no credential that this document can name"}
    names = list(found)
    if len(names) == 1:
        return found, names
    together = device.require == "password+certificate"
    word = "allOf" if together else "oneOf"
    members = ["tls", "password"] if together else names
    found["any"] = {"scheme": "combo", word: members}
    return found, ["any"]


def _name(topic_filter: str, taken: dict[str, object]) -> str:
    """A key from the filter, in letters and digits."""
    text = _WILD.sub("any", topic_filter)
    stem = "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", text) if part)
    name = (stem[:1].lower() + stem[1:]) or "topic"
    number = 2
    while name in taken:
        name = f"{stem[:1].lower()}{stem[1:]}{number}"
        number += 1
    return name
