"""mosquitto.conf: which files it names, and what becomes of its other options."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bridgehead.security.policy.moving import Moving, lines_of

# What each option is here. docs/from-mosquitto.md has the same table.
HERE: Final = {
    "listener": "[[listener]] bind in the hub's configuration",
    "port": "[[listener]] bind in the hub's configuration",
    "bind_address": "[[listener]] bind in the hub's configuration",
    "protocol": '[[listener]] transport = "websocket" for websockets',
    "cafile": "the hub has an authority of its own: `bridgehead ca`",
    "capath": "the hub has an authority of its own: `bridgehead ca`",
    "certfile": "the hub makes and renews its own certificate: `bridgehead ca`",
    "keyfile": "the hub makes and renews its own certificate: `bridgehead ca`",
    "crlfile": "the hub publishes and obeys its own list at once: `device revoke`",
    "require_certificate": "each device's record says what proves it: `device add --certificate`",
    "use_identity_as_username": "a certificate is its device's, by its record",
    "use_subject_as_username": "a certificate is its device's, by its record",
    "allow_anonymous": "nobody connects without an identity",
    "allow_zero_length_clientid": "always, as MQTT 5.0 has it",
    "persistence": "always: what is acknowledged is on disk",
    "persistence_location": "`bridgehead up --data`",
    "max_connections": "[limits] connections",
    "max_queued_messages": "[limits], see docs/limits.md",
    "max_inflight_messages": "[mqtt], see docs/configuration.md",
    "message_size_limit": "a permission's `payload`, and [limits]",
    "max_packet_size": "[limits], see docs/limits.md",
    "psk_file": "`device add` with a pre-shared key",
    "psk_hint": "`device add` with a pre-shared key",
    "log_dest": "[log] in the hub's configuration",
    "log_type": "[log] in the hub's configuration",
    "sys_interval": "[system_topics] in the hub's configuration",
    "tls_version": "tls.profile in the hub's configuration",
    "ciphers": "tls.profile in the hub's configuration",
}
_BRIDGE: Final = ("connection", "address", "addresses", "topic", "bridge_", "remote_", "local_", "notifications")
_PLUGINS: Final = ("plugin", "auth_plugin")
_PLUGIN_FILE: Final = ("plugin_opt_config_file", "auth_opt_config_file")


class Named:
    """The files that the configuration names."""

    def __init__(self) -> None:
        self.acl: Path | None = None
        self.passwords: Path | None = None
        self.dynamic_security: Path | None = None


def read_configuration(moving: Moving, text: str, file: str, folder: Path) -> Named:
    """`folder`: where relative paths begin."""
    named = Named()
    for number, line in enumerate(lines_of(text), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        option, _, value = stripped.partition(" ")
        value = value.strip()
        if option == "acl_file":
            named.acl = folder / value
        elif option == "password_file":
            named.passwords = folder / value
        elif option in _PLUGIN_FILE:
            named.dynamic_security = folder / value
        elif option in _PLUGINS and "dynamic_security" in value:
            continue
        elif option in HERE:
            moving.remark(file, number, "note", f"{option}: {HERE[option]}")
        elif option.startswith(_BRIDGE):
            moving.remark(file, number, "left out", f"{option}: the hub has no bridges")
        elif option == "per_listener_settings" and value == "true":
            moving.remark(
                file,
                number,
                "left out",
                "per_listener_settings: one policy holds for all listeners; see `when protocol`",
            )
        else:
            moving.remark(file, number, "left out", f"{option}: there is nothing like it here")
    return named
