"""`bridgehead dds governance` and `bridgehead dds permissions`, and what --config brings into bundles."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from cryptography import x509

from bridgehead.cli.dds_governance import governance
from bridgehead.cli.dds_permissions import permissions
from bridgehead.cli.main import USAGE, CommandError, run
from bridgehead.security.dds.bundle import DomainFiles
from bridgehead.security.dds.explain import why_refused
from bridgehead.security.identity.identity import Identity, Wanted
from tests.security.support import mode, publish, subscribe

CONFIGURATION = """\
[[dds.domain]]
id = 7
metadata = "sign"

[[dds.domain]]
id = 8
security = "none"

[[dds.route]]
domain = 7
topic = "Temperature"
type = "office::Temperature"
idl = "office.idl"
hub = "Office/${room}/Temperature"
qos = { ownership = "exclusive" }
"""
Call = Callable[..., str]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A data folder of today (documents are judged by the real clock) with two devices, and a configuration."""
    identity = Identity(tmp_path / "data")
    for name, filters in (("robot", ["Office/#", "$DDS/7/Temperature"]), ("viewer", [])):
        given = [publish(each) for each in filters]
        with identity.enrolling(Wanted(name, [*given, subscribe("Office/#")], certificate=True)):
            pass
    identity.close()
    (tmp_path / "office.idl").write_text("module office { struct Temperature { @key string room; double value; }; };")
    (tmp_path / "hub.toml").write_text(CONFIGURATION)
    return tmp_path


@pytest.fixture
def dds(home: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    app = typer.Typer()
    app.command("governance")(governance)
    app.command("permissions")(permissions)

    def call(*words: str | Path) -> str:
        capsys.readouterr()
        app([*map(str, words), "--data", str(home / "data")], standalone_mode=False)
        return capsys.readouterr().out

    return call


def export(home: Path, name: str, *words: str | Path) -> Path:
    folder = home / f"{name}-bundle"
    options = ["--for", "dds", "--credential", "new", "--out", folder, "--data", home / "data", *words]
    assert run(["device", "export", name, *map(str, options)]) == 0
    return folder


def text(path: Path) -> str:
    return path.read_bytes().decode().replace("\r\n", "\n")


@pytest.mark.clause("DDSSEC-9.4.1.2.6")
def test_governance_as_configured(dds: Call, home: Path) -> None:
    out = home / "governance.p7s"
    assert str(out) in dds("governance", "--config", home / "hub.toml", "--out", out)
    assert mode(out) == 0o600
    first, second = text(out).split("<domain_rule>")[1:]
    assert "<id>7</id>" in first
    assert "<metadata_protection_kind>SIGN" in first
    assert "<max>230</max>" in second
    assert "<metadata_protection_kind>ENCRYPT" in second


def test_governance_as_asked(dds: Call, home: Path) -> None:
    out = home / "governance.p7s"
    dds("governance", "--metadata", "sign", "--out", out)
    assert text(out).count("<domain_rule>") == text(out).count("<metadata_protection_kind>SIGN") == 1
    dds("governance", "--metadata", "sign", "--domain", "9", "--out", out)
    assert "<id>9</id>" in text(out)
    told = json.loads(dds("governance", "--metadata", "encrypt", "--out", out, "--json"))
    assert told == {"out": str(out), "usual": "encrypt", "metadata": {}}
    assert "SIGN<" in text(out).replace("<rtps_protection_kind>SIGN<", "<rtps_protection_kind>SIGN<", 1)
    assert "<metadata_protection_kind>SIGN" not in text(out)


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--metadata", "none"], "say encrypt or sign"), (["--domain", "3"], "add --metadata")],
)
def test_governance_asked_wrongly(dds: Call, home: Path, words: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said) as raised:
        dds("governance", *words, "--out", home / "g")
    assert raised.value.exit_code == USAGE
    assert not (home / "g").exists()


def test_an_export_knows_the_routes_of_the_configuration(home: Path) -> None:
    robot = text(export(home, "robot", "--config", home / "hub.toml") / "permissions.xml")
    viewer = text(export(home, "viewer", "--config", home / "hub.toml") / "permissions.xml")
    rule = "<publish><topics><topic>Temperature</topic></topics></publish>"
    allowed, rest = robot.split("</allow_rule>", 1)
    assert rule in allowed
    assert "<id>7</id>" in allowed
    assert rule not in rest
    allowed, rest = viewer.split("</allow_rule>", 1)
    assert rule not in allowed
    assert rule in rest.split("</deny_rule>")[0]
    # Domain 8 has no security, and so no documents.
    assert "<id>8</id>" not in robot + viewer
    assert "<id>7</id>" in text(home / "robot-bundle" / "governance.p7s")


def test_permissions_are_signed_anew_and_the_identity_stays(dds: Call, home: Path) -> None:
    bundle = export(home, "robot")
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}
    assert "Temperature" not in before["permissions.xml"].decode()
    now = time.time()
    told = json.loads(
        dds("permissions", "robot", "--config", home / "hub.toml", "--valid", "30m", "--out", bundle, "--json")
    )
    assert now + 1800 <= told["not_after"] <= time.time() + 1800
    after = {path.name: path.read_bytes() for path in bundle.iterdir()}
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"permissions.p7s", "permissions.xml", "crl.pem", "governance.p7s"} == set(told["files"])
    assert "Temperature" in after["permissions.xml"].decode()
    assert {mode(path) for path in bundle.iterdir()} == {0o600}
    assert why_refused(DomainFiles(bundle), now) == ""
    assert "holds from" in why_refused(DomainFiles(bundle), now + 3600)
    written = "".join(path.read_text() for path in (home / "data" / "audit").glob("*.jsonl"))
    [line] = [each for each in written.splitlines() if "dds.signed" in each]
    assert '"robot"' in line
    assert '"permissions"' in line


def test_the_list_that_comes_along_names_who_was_revoked(dds: Call, home: Path) -> None:
    robot, viewer = export(home, "robot"), export(home, "viewer")
    serial = x509.load_pem_x509_certificate((viewer / "cert.pem").read_bytes()).serial_number
    assert run(["device", "revoke", "viewer", "--data", str(home / "data")]) == 0
    dds("permissions", "robot", "--out", robot)
    listed = x509.load_pem_x509_crl((robot / "crl.pem").read_bytes())
    assert listed.get_revoked_certificate_by_serial_number(serial) is not None
    with pytest.raises(CommandError, match="revoked: nothing is signed"):
        dds("permissions", "viewer", "--out", viewer)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["robot", "--out", "nowhere"], "there is no bundle in nowhere"),
        (["robot", "--valid", "0"], "write 30m, 12h or 7d"),
        (["robot", "--valid", "long"], "--valid long is no time"),
        (["nobody"], "no bundle in nobody-dds"),
    ],
)
def test_permissions_asked_wrongly(dds: Call, words: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said) as raised:
        dds("permissions", *words)
    assert raised.value.exit_code == USAGE


def test_a_device_without_a_dds_identity_is_told_how_to_get_one(dds: Call, home: Path) -> None:
    bundle = export(home, "viewer")
    assert run(["device", "revoke", "viewer", "--data", str(home / "data")]) == 0
    assert run(["device", "remove", "viewer", "--data", str(home / "data")]) == 0
    identity = Identity(home / "data")
    with identity.enrolling(Wanted("viewer", [], certificate=True)):
        pass
    identity.close()
    with pytest.raises(CommandError, match=r"no DDS identity.*device export --for dds --credential new"):
        dds("permissions", "viewer", "--out", bundle)


def test_another_device_s_bundle_is_left_alone(dds: Call, home: Path) -> None:
    bundle = export(home, "robot")
    export(home, "viewer")
    before = (bundle / "permissions.p7s").read_bytes()
    with pytest.raises(CommandError, match=r"is the bundle of robot"):
        dds("permissions", "viewer", "--out", bundle)
    assert (bundle / "permissions.p7s").read_bytes() == before
