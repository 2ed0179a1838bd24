"""Every target: its files, private and without secrets on command lines; what is not exportable, in one sentence."""

from __future__ import annotations

import ast
import json
import stat
from pathlib import Path

import pytest

from bridgehead.cli import device_export
from bridgehead.cli.device_export import NAMES, duration
from bridgehead.cli.main import CommandError, run
from bridgehead.security.errors import NotAcceptable
from bridgehead.security.export.gather import gathering
from bridgehead.security.export.targets import TARGETS
from bridgehead.security.identity.identity import Wanted
from bridgehead.security.mechanisms import CERTIFICATE, DDS, PASSWORD
from bridgehead.security.records import PermissionRecord
from tests.export.conftest import Home
from tests.security.support import publish, subscribe

RIGHTS = (publish("Office/${device}"), subscribe("Office/#"))


def test_the_command_knows_the_same_targets() -> None:
    assert set(NAMES) == set(TARGETS)


@pytest.mark.parametrize("target", NAMES)
def test_a_bundle_is_for_its_owner_only_and_says_what_it_is(home: Home, target: str) -> None:
    home.add("sensor-7", *RIGHTS)
    usual = TARGETS[target].usual
    bundle = home.export("sensor-7", target, *([usual] if usual else []))
    paths = [bundle, *bundle.rglob("*")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_dir()} == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_file()} == {0o600}
    if target != "wot-td":
        assert "sensor-7" in (bundle / "README.txt").read_text()


@pytest.mark.parametrize("target", ["mqtt", "mosquitto", "paho", "esp-idf", "amqp"])
def test_a_key_that_is_not_kept_is_no_placeholder_but_a_sentence(home: Home, target: str) -> None:
    home.add("sensor-7", *RIGHTS)
    with pytest.raises(NotAcceptable, match="of whose private key the hub keeps no copy: add --credential new"):
        home.export("sensor-7", target)
    assert not any("sensor-7" in path.name for path in home.folder.iterdir())


def test_a_new_certificate_leaves_the_present_one_in_force_for_the_overlap(home: Home) -> None:
    home.add("sensor-7", *RIGHTS)
    [before] = home.identity.registry.existing_device("sensor-7").certificates
    home.export("sensor-7", "mqtt", CERTIFICATE)
    new, old = home.identity.registry.existing_device("sensor-7").certificates
    assert old.fingerprint == before.fingerprint
    assert old.until is not None
    assert new.until is None
    assert not home.identity.pki.revoked_serials()


def test_what_the_device_does_not_have_yet_is_added(home: Home) -> None:
    with home.identity.enrolling(Wanted("sensor-7", RIGHTS, password=b"correct horse battery")):
        pass
    bundle = home.export("sensor-7", "mqtt", CERTIFICATE)
    device = home.identity.registry.existing_device("sensor-7")
    assert len(device.certificates) == 1
    assert device.password is not None
    assert json.loads((bundle / "settings.json").read_text())["user_name"] is None
    assert home.export("sensor-7", "dds", DDS).is_dir()
    assert home.identity.registry.existing_device("sensor-7").dds_identity is not None


def test_both_are_made_where_both_are_required(home: Home) -> None:
    wanted = Wanted("sensor-7", RIGHTS, require="password+certificate", password=b"correct horse", certificate=True)
    with home.identity.enrolling(wanted):
        pass
    with pytest.raises(NotAcceptable, match="--credential certificate --credential password"):
        home.export("sensor-7", "mqtt", CERTIFICATE)
    assert len(home.identity.registry.existing_device("sensor-7").certificates) == 1
    bundle = home.export("sensor-7", "mqtt", CERTIFICATE, PASSWORD)
    assert {"certificate.pem", "key.pem", "password"} <= {path.name for path in bundle.iterdir()}


def test_nothing_changes_when_the_bundle_cannot_be_written(home: Home) -> None:
    home.add("sensor-7", *RIGHTS)
    before = home.identity.registry.existing_device("sensor-7")
    for kind in (CERTIFICATE, DDS):
        with pytest.raises(OSError, match="disk"), gathering(home.identity, "sensor-7", [kind], 60.0):
            raise OSError("the disk is full")
    assert home.identity.registry.existing_device("sensor-7") == before


def test_a_revoked_device_has_nothing_to_export(home: Home) -> None:
    home.add("sensor-7", *RIGHTS)
    home.identity.revoke("sensor-7")
    with pytest.raises(NotAcceptable, match="was revoked"):
        home.export("sensor-7", "wot-td")


def test_topics_are_ones_that_the_device_may_use_over_this_protocol(home: Home) -> None:
    home.add(
        "sensor-7",
        PermissionRecord("Amqp/only", True, True, protocols=("amqp",)),
        PermissionRecord("By/password", True, True, mechanisms=("password",)),
        PermissionRecord("Tiny", True, False, max_payload=1),
        PermissionRecord("Night", True, True, hours=("Mon 03:00-04:00",)),
        PermissionRecord("Office/+/x", True, True),
        publish("Office/test/x", allow=False),
    )
    told = json.loads((home.export("sensor-7", "mqtt", CERTIFICATE) / "settings.json").read_text())
    assert told["publish"]["topic"] == "Office/1/x"
    assert told["subscribe"]["topic_filter"] == "Office/+/x"
    script = (home.export("sensor-7", "amqp", CERTIFICATE) / "proton_client.py").read_text()
    names = {
        node.targets[0].id: node.value.value
        for node in ast.parse(script).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }
    assert (names["ADDRESS"], names["SOURCE"]) == ("/topics/Amqp%2Fonly", "/topics/Amqp%2Fonly")


def test_every_root_is_in_the_bundle_while_authorities_roll_over(home: Home) -> None:
    """Clients must trust the next authority before the hub shows it."""
    home.add("sensor-7", *RIGHTS)
    file = home.identity.pki.authority_file
    other = Home(home.folder / "elsewhere")
    second = other.identity.pki.authority_file.read_bytes()
    other.identity.close()
    first = file.read_bytes()
    file.write_bytes(first + second)
    bundle = home.export("sensor-7", "mqtt", CERTIFICATE)
    assert (bundle / "ca.pem").read_bytes() == first + second


def test_as_a_command(home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    home.add("sensor-7", *RIGHTS)
    monkeypatch.chdir(home.folder)

    def export(*words: str | Path) -> int:
        return run(["device", "export", *map(str, words), "--data", str(home.data)])

    assert export("sensor-7", "--for", "paho", "--credential", "new", "--host", "hub.example", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["made"] == ["certificate"]
    assert told["out"] == str(home.folder / "sensor-7-paho")
    assert "client.connect('hub.example', 8883)" in (home.folder / "sensor-7-paho" / "paho_client.py").read_text()
    for words, sentence in {
        ("sensor-7", "--for", "paho"): "is not empty",
        ("sensor-8", "--for", "mqtt"): "no device 'sensor-8'",
        ("sensor-7", "--for", "zigbee"): "choose one of mqtt, coap",
        ("sensor-7", "--for", "mqtt", "--credential", "psk"): "nothing that mqtt can use",
        ("sensor-7", "--for", "wot-td", "--credential", "new"): "takes no credential",
        ("sensor-7", "--for", "mqtt", "--overlap", "soon"): "is no time",
        ("sensor-7", "--for", "dds"): "no credential that dds can use: add --credential new",
    }.items():
        assert export(*words) == 2
        captured = capsys.readouterr()
        assert sentence in captured.err
        assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert [path.name for path in home.folder.iterdir() if path.name.startswith("sensor-")] == ["sensor-7-paho"]


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("90s", 90), ("30m", 1800), ("12h", 43200), ("7d", 604800)])
def test_times(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "1w", "1e3s", "9" * 10 + "s"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(CommandError):
        duration(text)


def test_help_does_not_wait_for_cryptography() -> None:
    """Imports of the command's module are light: the targets are loaded when it runs."""
    imported = [
        node for node in ast.parse(Path(device_export.__file__).read_text()).body if isinstance(node, ast.ImportFrom)
    ]
    assert not [node.module for node in imported if (node.module or "").startswith("bridgehead.security")]
