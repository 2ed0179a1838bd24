"""A policy that is applied while the hub runs: what is no longer permitted stops, and what is permitted begins."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from bridgehead.protocols.mqtt.codec.packets import Connack, Disconnect, Suback, Subscribe, SubscriptionRequest
from bridgehead.security.registry.registry import Registry
from tests.cli.hub import Client, Hub, wait_until
from tests.policy.conftest import Command

CONFIGURATION = """
[[listener]]
bind = "127.0.0.1:0"
"""
HASH = hashlib.pbkdf2_hmac("sha512", b"an old secret", b"0123456789ab", 101)
PASSWORDS = "".join(
    f"{name}:$7$101${base64.b64encode(b'0123456789ab').decode()}${base64.b64encode(HASH).decode()}\n"
    for name in ("reader", "writer")
)
ACL = "user reader\ntopic read Office/#\nuser writer\ntopic write Office/#\n"


def test_from_a_mosquittos_files_to_a_live_change(tmp_path: Path, bridgehead: Command) -> None:
    (tmp_path / "passwords").write_text(PASSWORDS)
    (tmp_path / "acl").write_text(ACL)
    (tmp_path / "new.policy").write_text("everyone\n  deny subscribe Office/#\n")
    with Hub(tmp_path, CONFIGURATION) as hub:
        words = ("--acl", tmp_path / "acl", "--passwords", tmp_path / "passwords", "--data", hub.data)
        told = bridgehead("policy", "import-mosquitto", *words)
        assert told.code == 0, told.err
        reader = Client(hub.dial(), "reader", "an old secret")
        connack = reader.receive()
        assert isinstance(connack, Connack)
        assert connack.reason_code == 0
        reader.send(Subscribe(1, [SubscriptionRequest("Office/#", 0)]))
        assert isinstance(reader.receive(), Suback)

        def hashed_anew() -> bool:
            registry = Registry(hub.data)
            password = registry.existing_device("reader").password
            registry.close()
            return password is not None and password.encoded.startswith("$argon2id$")

        wait_until("the password hashed anew", hashed_anew)
        told = bridgehead("policy", "apply", tmp_path / "new.policy", "--data", hub.data)
        assert told.code == 0, told.err
        ended = reader.receive()
        assert isinstance(ended, Disconnect)
        assert ended.reason_code == 0x87
        assert hub.stop() == 0
