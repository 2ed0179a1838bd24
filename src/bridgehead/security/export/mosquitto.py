"""Lines for Mosquitto's clients, and a bridge in Mosquitto's configuration."""

from __future__ import annotations

import shlex
from typing import Final

from bridgehead.security.export.files import AUTHORITY, CERTIFICATE, KEY
from bridgehead.security.export.terms import EXAMPLE, Terms

FOLDER: Final = "mosquitto"


def clients(terms: Terms) -> dict[str, str]:
    """File name -> text. What the device may not do has no line."""
    found: dict[str, str] = {}
    if terms.topic is not None:
        found["mosquitto_pub.sh"] = _mosquitto_pub(terms, terms.topic)
    if terms.topic_filter is not None:
        found["mosquitto_sub.sh"] = _mosquitto_sub(terms, terms.topic_filter)
    if terms.password is not None:
        # mosquitto's clients read these; on the command line everybody on the machine could see the password.
        options = f"-u {terms.name}\n-P {terms.password}\n"
        found[f"{FOLDER}/mosquitto_pub"] = options
        found[f"{FOLDER}/mosquitto_sub"] = options
    return found


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
        f'{_environment(terms)}mosquitto_pub {_mosquitto_options(terms, "pub")} {words} "${{1:-{EXAMPLE}}}"\n'
    )


def _mosquitto_sub(terms: Terms, topic_filter: str) -> str:
    words = shlex.join(["-t", topic_filter, "-q", str(terms.subscribe_qos), "-v"])
    return (
        f"#!/bin/sh\n# Subscribes as {terms.name}: sh mosquitto_sub.sh [OPTION]..., or paste it in this folder.\n"
        f'cd -- "$(dirname -- "$0")"\n'
        f'{_environment(terms)}mosquitto_sub {_mosquitto_options(terms, "sub")} {words} "$@"\n'
    )


def _environment(terms: Terms) -> str:
    return f"XDG_CONFIG_HOME={FOLDER} " if terms.password is not None else ""


def bridge(terms: Terms) -> str:
    """mosquitto-bridge.conf: a Mosquitto of one's own that hands on what the device may publish, and fetches what it
    may receive. mosquitto reads paths from where it is started."""
    topic_options = []
    if terms.topic is not None:
        topic_options.append(f"topic {terms.topic} out {terms.publish_qos}")
    if terms.topic_filter is not None:
        topic_options.append(f"topic {terms.topic_filter} in {terms.subscribe_qos}")
    lines = [
        f"# A bridge to the hub as {terms.name}. In this folder: mosquitto -c mosquitto-bridge.conf",
        "listener 1883 127.0.0.1",
        "allow_anonymous true",
        "",
        f"connection {terms.name}",
        f"address {terms.url_host()}:{terms.port}",
        "bridge_protocol_version mqttv50",
        f"bridge_cafile {AUTHORITY}",
        f"remote_clientid {terms.client_id('bridge')}",
        "bridge_attempt_unsubscribe false",
        "notifications false",
        "try_private false",
        "cleansession true",
        "restart_timeout 2 30",
    ]
    if terms.certificate is not None:
        lines += [f"bridge_certfile {CERTIFICATE}", f"bridge_keyfile {KEY}"]
    if terms.password is not None:
        lines += [f"remote_username {terms.name}", f"remote_password {terms.password}"]
    return "\n".join([*lines, *topic_options]) + "\n"


def can_bridge(terms: Terms) -> bool:
    """Its configuration knows no quotes: a topic with a space in it cannot be said."""
    named = [each for each in (terms.topic, terms.topic_filter) if each is not None]
    return bool(named) and not any(any(character.isspace() for character in each) for each in named)
