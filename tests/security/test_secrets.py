"""No object, log line, event or error of this room shows a secret: everything alive is asked."""

from __future__ import annotations

import asyncio
import gc
import logging
import traceback
from pathlib import Path

import pytest

from bridgehead.cli.device_bundle import Bundle
from bridgehead.cli.device_snippets import Terms
from bridgehead.core.errors import Refusal
from bridgehead.security.errors import SecurityError
from bridgehead.security.identity.identity import Identity, Wanted
from bridgehead.security.login.authenticate import Authenticator, Credentials
from bridgehead.security.registry.registry import Registry
from bridgehead.security.tls import contexts as tls
from tests.security.support import der, publish, save

SECRET = "tell-nobody-8f3a"


def ours(thing: object) -> bool:
    return str(getattr(type(thing), "__module__", "")).startswith("bridgehead.")


def test_nothing_shows_a_secret(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    identity = Identity(data)
    wanted = Wanted("sensor-7", [publish("a")], password=SECRET.encode(), certificate=True)
    with identity.enrolling(wanted) as enrolled:
        bundle = Bundle(tmp_path / "out", "localhost", 8883)
        bundle.write(enrolled)
    terms = Terms(enrolled, "localhost", 8883)
    identity.maintain([])
    device = identity.registry.existing_device("sensor-7")
    assert device.password is not None
    assert enrolled.certificate is not None
    key_line = enrolled.certificate.key_pem.decode().splitlines()[1]
    secrets = [SECRET, SECRET.encode().hex(), device.password.encoded, device.password.encoded[-20:], key_line]

    registry = Registry(data)
    events: list[tuple[str, dict[str, object]]] = []
    authenticator = Authenticator(registry, lambda name, fields: events.append((name, fields)))
    certificate = der(enrolled.certificate)
    attempts = [
        Credentials("sensor-7", SECRET.encode(), certificate, "sensor-7", "192.0.2.1:1", "mqtt"),
        Credentials("sensor-7", SECRET.encode() + b"x", None, "sensor-7", "192.0.2.1:1", "mqtt"),
        Credentials(SECRET + " ", b"x", None, "sensor-7", "192.0.2.1:1", "mqtt"),
        Credentials("sensor-7", SECRET.encode(), None, "elsewhere", "192.0.2.1:1", "mqtt"),
    ]

    async def enter_all() -> None:
        for each in attempts:
            try:
                await authenticator.authenticate(each)
            except Refusal as refusal:
                shown.append("".join(traceback.format_exception(refusal)))

    asyncio.run(enter_all())
    contexts = [tls.server_context(identity.pki), tls.client_context(None, *save(enrolled.certificate, tmp_path))]
    identity.pki.server_file.write_bytes(enrolled.certificate.key_pem)
    identity.pki.authority_key_file.write_bytes(b"-----BEGIN PRIVATE KEY-----\n" + SECRET.encode())
    for act in (identity.pki.server_certificate, lambda: identity.pki.issue_device("x"), lambda: identity.maintain([])):
        try:
            act()
        except SecurityError as fault:
            shown.append("".join(traceback.format_exception(fault)))
    assert len(shown) == 6

    alive = [thing for thing in gc.get_objects() if ours(thing)]
    kinds = {type(thing).__name__ for thing in alive}
    assert {"Enrolled", "Wanted", "Terms", "IssuedCertificate", "Credentials", "Device", "Authenticator"} <= kinds
    assert {"PasswordVerifier", "PasswordHasher", "Registry", "Pki", "Principal"} <= kinds
    for thing in [*alive, device, device.password, terms, bundle, contexts]:
        shown += [repr(thing), str(thing), format(thing)]
    shown += [repr(events), caplog.text, *capsys.readouterr()]
    for text in shown:
        for secret in secrets:
            assert secret not in text, text[:200]
    authenticator.close()
    registry.close()
    identity.close()


def test_no_secret_lies_in_the_database_in_clear(data: Path) -> None:
    identity = Identity(data)
    with identity.enrolling(Wanted("sensor-7", password=SECRET.encode(), certificate=True)) as enrolled:
        assert enrolled.certificate is not None
        key = enrolled.certificate.key_pem.splitlines()[1]
    identity.close()
    for path in data.rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes()
            assert key not in path.read_bytes()
