"""`bridgehead device` and `bridgehead role`, as a shell calls them."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridgehead.cli.main import run
from bridgehead.security.identity.identity import Identity
from bridgehead.security.login.passwords import PasswordHasher
from tests.security.support import mode, modes, umask


class Told:
    """What a command said."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def value(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Told]


@pytest.fixture
def device(data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    cheap = PasswordHasher(1, 8, 1)
    monkeypatch.setattr("bridgehead.security.identity.identity._hash", cheap.hash)

    def call(*words: str | Path, group: str = "device") -> Told:
        code = run([group, *map(str, words), "--data", str(data)])
        return Told(code, *capsys.readouterr())

    return call


def add(device: Command, name: str, *words: str | Path) -> Told:
    told = device("add", name, "--generate-password", *words)
    assert told.code == 0, told.err
    return told


def one_sentence(told: Told, *parts: str) -> None:
    """Exit code 2, one line, nothing on standard output."""
    assert told.code == 2, told
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert told.err.startswith("bridgehead ")
    for part in parts:
        assert part in told.err


def stored(data: Path, name: str) -> Any:
    identity = Identity(data)
    try:
        return identity.registry.device(name)
    finally:
        identity.close()


# add ------------------------------------------------------------------------------------------------


def test_add_with_a_certificate_makes_the_data_folder_and_the_bundle(
    device: Command, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "bundles" / "sensor-7"
    told = device(
        "add", "sensor-7", "--publish", "Office/${device}/#", "--subscribe", "cmd/#", "--certificate", "--out", out
    )
    assert (told.code, told.err) == (0, "")
    assert "may          allow publish Office/sensor-7/#" in told.out
    assert set(modes(data.parent).values()) == {0o600, 0o700}
    assert {path.name for path in out.iterdir()} == {
        "README.txt",
        "ca.pem",
        "certificate.pem",
        "device.json",
        "esp_idf_main.c",
        "key.pem",
        "mosquitto_pub.sh",
        "mosquitto_sub.sh",
        "paho_client.py",
    }
    assert mode(out) == 0o700
    assert json.loads((out / "device.json").read_text()) == {
        "name": "sensor-7",
        "host": os.uname().nodename,
        "port": 8883,
        "client_id": "sensor-7",
        "user_name": None,
    }
    key = (out / "key.pem").read_text().splitlines()[1]
    assert key not in told.out


@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_the_bundle_is_its_owners_only_under_any_umask(device: Command, tmp_path: Path, mask: int) -> None:
    with umask(mask):
        told = device("add", "sensor-7", "--certificate", "--generate-password", "--out", tmp_path / "out")
    assert told.code == 0
    found = modes(tmp_path / "out")
    assert {name: bits for name, bits in found.items() if bits != 0o600} == {"mosquitto": 0o700}
    assert len(found) > 8


def test_out_alone_means_a_certificate(device: Command, data: Path, tmp_path: Path) -> None:
    assert device("add", "sensor-7", "--out", tmp_path / "out").code == 0
    record = stored(data, "sensor-7")
    assert len(record.certificates) == 1
    assert record.password is None


def test_without_a_choice_it_says_what_can_be_chosen(device: Command, data: Path) -> None:
    told = device("add", "sensor-7", "--publish", "a")
    one_sentence(told, "--certificate --out FOLDER", "--generate-password", "--password-file FILE")
    assert not data.exists()


def test_a_generated_password_is_shown_once_and_works(device: Command, data: Path) -> None:
    told = device("add", "sensor-7", "--generate-password", "--publish", "a", "--json")
    password = told.value["generated_password"]
    assert len(password) == 26
    assert PasswordHasher().verify(stored(data, "sensor-7").password.encoded, password.encode())
    for again in (device("show", "sensor-7"), device("show", "sensor-7", "--json"), device("list", "--json")):
        assert password not in again.out + again.err
        assert "argon2" not in again.out
    told = device("add", "sensor-8", "--generate-password", "--publish", "a")
    assert told.out.splitlines()[-1].endswith("(shown only now)")


def test_with_out_a_generated_password_is_written_and_not_shown(device: Command, tmp_path: Path) -> None:
    told = device("add", "sensor-7", "--generate-password", "--publish", "a", "--out", tmp_path / "out", "--json")
    password = (tmp_path / "out" / "password").read_text()
    assert len(password) == 27
    assert password.strip() not in told.out + told.err
    assert "generated_password" not in told.value


@pytest.mark.parametrize(
    ("written", "password"),
    [
        (b"correct horse battery\n", b"correct horse battery"),
        (b"correct horse battery", b"correct horse battery"),
        (b"correct horse battery\r\n", b"correct horse battery"),
        (" pässwörter sind länger ".encode(), " pässwörter sind länger ".encode()),
        (b"x" * 65535, b"x" * 65535),
    ],
)
@pytest.mark.parametrize("by", ["file", "stdin"])
def test_a_password_comes_from_a_file_or_standard_input(
    device: Command,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    written: bytes,
    password: bytes,
    by: str,
) -> None:
    path = tmp_path / "password"
    path.write_bytes(written)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(written)))
    told = device("add", "sensor-7", "--publish", "a", "--password-file", path if by == "file" else "-")
    assert (told.code, told.err) == (0, "")
    assert PasswordHasher().verify(stored(data, "sensor-7").password.encoded, password)
    assert password.decode() not in told.out


@pytest.mark.parametrize(
    ("written", "because"),
    [
        (b"", "there is no password in"),
        (b"\n", "there is no password in"),
        (b"two\nlines\n", "holds more than one line"),
        (b"null\x00", "holds more than one line"),
        (b"x" * 65536, "is longer than 65535 octets"),
        (b"latin1 \xe4", "is not UTF-8 text"),
    ],
)
def test_a_password_that_is_none_is_refused(
    device: Command, data: Path, tmp_path: Path, written: bytes, because: str
) -> None:
    path = tmp_path / "password"
    path.write_bytes(written)
    one_sentence(device("add", "sensor-7", "--password-file", path), because)
    assert not data.exists()


def test_a_short_password_is_accepted_with_a_note(device: Command, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("short")
    told = device("add", "sensor-7", "--publish", "a", "--password-file", tmp_path / "password")
    assert told.code == 0
    assert told.err == "note: this password is short; --generate-password makes one that cannot be guessed\n"


def test_all_options_reach_the_record(device: Command, data: Path, tmp_path: Path) -> None:
    assert device("add", "reader", "--subscribe", "cmd/${device}/#", group="role").code == 0
    words = "--publish a --publish b --subscribe b --deny-publish b/x --deny-subscribe b/x --max-qos 1 --no-retain "
    words += "--role reader --client-id lab-* --client-id one --require-both --certificate --generate-password"
    told = device(
        "add",
        "sensor-7",
        *words.split(),
        "--out",
        tmp_path / "out",
        "--json",
    )
    assert told.code == 0
    shown = device("show", "sensor-7", "--json").value
    assert {key: told.value[key] for key in shown} == shown
    assert shown["permissions"] == [
        {"filter": "a", "publish": True, "subscribe": False, "max_qos": 1, "retain": False, "allow": True},
        {"filter": "b", "publish": True, "subscribe": True, "max_qos": 1, "retain": False, "allow": True},
        {"filter": "b/x", "publish": True, "subscribe": True, "max_qos": 2, "retain": True, "allow": False},
    ]
    assert [each["filter"] for each in shown["effective_permissions"]] == ["a", "b", "b/x", "cmd/${device}/#"]
    assert (shown["roles"], shown["client_ids"]) == (["reader"], ["lab-*", "one"])
    assert (shown["require"], shown["enabled"]) == ("password+certificate", True)
    assert shown["credentials"]["password"] is True
    assert len(shown["credentials"]["certificates"]) == 1


def test_a_device_that_may_do_nothing_is_noted(device: Command) -> None:
    told = device("add", "sensor-7", "--generate-password")
    assert told.err == "note: sensor-7 may connect and do nothing: give it --publish, --subscribe or --role\n"


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["a b", "--generate-password"], ["'a b' cannot be a device's name", "1 to 64"]),
        (["x", "--generate-password", "--publish", "a/#/b"], ["'a/#/b' is not a Topic Filter"]),
        (["x", "--generate-password", "--publish", "$share/g/a"], ["can never match"]),
        (["x", "--generate-password", "--publish", "a", "--deny-publish", "#"], ["can never match: the denial of '#'"]),
        (["x", "--generate-password", "--publish", "${us er}"], ["unknown placeholder ${us er}"]),
        (["x", "--generate-password", "--max-qos", "3"], ["--max-qos 3 is no QoS: it is 0, 1 or 2"]),
        (["x", "--generate-password", "--max-qos", "one"], ["--max-qos", "integer"]),
        (["x", "--generate-password", "--client-id", "a*b"], ["has a * inside"]),
        (["x", "--generate-password", "--password-file", "-"], ["exclude each other"]),
        (["x", "--certificate"], ["say with --out FOLDER where to write it"]),
        (["x", "--generate-password", "--require-both"], ["--require-both needs both"]),
        (["x", "--password-file", "/nonexistent/file"], ["/nonexistent/file cannot be read: no such file"]),
        (["x", "--generate-password", "--host", "mqtts://hub"], ["neither a host name nor an IP address"]),
        (["x", "--generate-password", "--nonsense"], ["--nonsense"]),
        (["x", "--generate-password", "--port", "0"], ["--port"]),
    ],
)
def test_a_wrong_command_line_is_one_sentence_and_makes_nothing(
    device: Command, data: Path, words: list[str], parts: list[str]
) -> None:
    one_sentence(device("add", *words), *parts)
    assert not data.exists()


def test_a_second_device_of_that_name_is_refused_and_nothing_is_left(
    device: Command, data: Path, tmp_path: Path
) -> None:
    add(device, "sensor-7", "--publish", "a")
    before = stored(data, "sensor-7")
    one_sentence(device("add", "sensor-7", "--out", tmp_path / "out"), "there is a device 'sensor-7' already")
    one_sentence(device("add", "sensor-8", "--out", tmp_path / "out", "--role", "no"), "there is no role 'no'")
    assert stored(data, "sensor-7") == before
    assert stored(data, "sensor-8") is None
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_out_is_never_overwritten(device: Command, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "kept").write_text("kept")
    one_sentence(device("add", "sensor-7", "--out", out), "is not empty: name a new folder, nothing is overwritten")
    assert [path.name for path in out.iterdir()] == ["kept"]
    one_sentence(device("add", "sensor-7", "--out", out / "kept"), "is no folder: name a new one")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    one_sentence(device("add", "sensor-7", "--out", tmp_path / "link"), "is no folder: name a new one")
    assert not data.exists()


def test_an_empty_out_folder_is_used(device: Command, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir(mode=0o755)
    assert device("add", "sensor-7", "--publish", "a", "--out", tmp_path / "out").code == 0
    assert mode(tmp_path / "out") == 0o700


@pytest.mark.parametrize("at", ["key.pem", "README.txt"])
def test_when_the_bundle_cannot_be_written_there_is_no_device(
    device: Command, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    from bridgehead.security import files
    from bridgehead.security.errors import SecurityError

    real = files.write_whole

    def full(path: Path, contents: bytes, bits: int = 0o600) -> None:
        if path.name == at:
            raise SecurityError(f"cannot write {path}: no space left on device")
        real(path, contents, bits)

    monkeypatch.setattr(files, "write_whole", full)
    told = device("add", "sensor-7", "--publish", "a", "--out", tmp_path / "out")
    assert told.code == 1
    assert "no space left on device" in told.err
    assert stored(data, "sensor-7") is None
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_when_the_record_cannot_be_kept_there_is_no_bundle(
    device: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last step is the commit; here it fails after the bundle was written."""
    import contextlib
    from collections.abc import Iterator

    from bridgehead.security.errors import SecurityError
    from bridgehead.security.registry.database import Database

    real = Database.transaction

    @contextlib.contextmanager
    def failing(self: Database) -> Iterator[None]:
        with real(self):
            yield
            if (tmp_path / "out").exists():
                raise SecurityError("cannot write identity.db: the disk is full")

    monkeypatch.setattr(Database, "transaction", failing)
    told = device("add", "sensor-7", "--publish", "a", "--out", tmp_path / "out")
    assert told.code == 1
    assert "the disk is full" in told.err
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_host_that_the_hubs_certificate_does_not_stand_for_is_noted(device: Command, tmp_path: Path) -> None:
    told = device("add", "a", "--publish", "a", "--out", tmp_path / "a", "--host", "hub.example")
    assert told.code == 0
    assert 'put names = ["hub.example"] under [tls] in its configuration' in told.err
    assert device("add", "b", "--publish", "a", "--out", tmp_path / "b", "--host", "localhost").err == ""


# list, show, remove ---------------------------------------------------------------------------------


def test_list_and_show(device: Command) -> None:
    add(device, "sensor-8", "--publish", "a")
    add(device, "sensor-7", "--publish", "Office/${device}")
    assert device("list").out == "sensor-7\tenabled\tpassword\t-\t-\nsensor-8\tenabled\tpassword\t-\t-\n"
    assert [each["name"] for each in device("list", "--json").value] == ["sensor-7", "sensor-8"]
    shown = device("show", "sensor-7").out
    assert "client ids   sensor-7 sensor-7-*" in shown
    assert "may          allow publish Office/sensor-7" in shown


def test_remove_revokes(device: Command, data: Path, tmp_path: Path) -> None:
    device("add", "sensor-7", "--publish", "a", "--out", tmp_path / "out")
    fingerprint = device("show", "sensor-7", "--json").value["credentials"]["certificates"][0]["fingerprint"]
    assert device("remove", "sensor-7", "--json").value == {"removed": "sensor-7", "revoked": [fingerprint]}
    identity = Identity(data)
    assert len(identity.pki.revoked_serials()) == 1
    identity.close()
    one_sentence(device("show", "sensor-7"), "there is no device 'sensor-7'")


@pytest.mark.parametrize("words", [["list"], ["show", "x"], ["remove", "x"]])
@pytest.mark.parametrize("group", ["device", "role"])
def test_a_folder_without_identities_is_not_made_into_one(
    device: Command, data: Path, words: list[str], group: str
) -> None:
    one_sentence(device(*words, group=group), "there are no identities in")
    assert not data.exists()


def test_an_unknown_device_is_one_sentence(device: Command) -> None:
    add(device, "sensor-7", "--publish", "a")
    for words in (["show", "sensor-77"], ["remove", "sensor-77"]):
        one_sentence(device(*words), "there is no device 'sensor-77': did you mean 'sensor-7'?")


def test_a_key_that_others_can_open_stops_every_command(device: Command, data: Path) -> None:
    add(device, "sensor-7", "--publish", "a")
    (data / "pki/authorities/1/issuing.key").chmod(0o644)
    told = device("list")
    assert told.code == 1
    assert "other users of this machine can open" in told.err
    assert f"chmod 0600 {data}/pki/authorities/1/issuing.key" in told.err


# roles ----------------------------------------------------------------------------------------------


def test_roles(device: Command) -> None:
    told = device("add", "reader", "--subscribe", "cmd/${device}/#", "--max-qos", "1", "--json", group="role")
    assert told.value["permissions"][0]["max_qos"] == 1
    add(device, "sensor-7", "--role", "reader")
    assert device("list", group="role").out == "reader\t1\t1\n"
    assert device("list", "--json", group="role").value[0]["devices"] == ["sensor-7"]
    assert "may          allow subscribe cmd/${device}/# qos 1" in device("show", "reader", group="role").out
    assert device("show", "reader", "--json", group="role").value["devices"] == ["sensor-7"]
    one_sentence(device("remove", "reader", group="role"), "the role 'reader' is still held by sensor-7")
    device("remove", "sensor-7")
    assert device("remove", "reader", group="role").out == "removed reader\n"
    one_sentence(device("show", "reader", group="role"), "there is no role 'reader'")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["reader"], "a role is its permissions"),
        (["a b", "--publish", "a"], "cannot be a role's name"),
        (["reader", "--publish", "a#"], "is not a Topic Filter"),
    ],
)
def test_a_wrong_role_is_one_sentence(device: Command, data: Path, words: list[str], part: str) -> None:
    one_sentence(device("add", *words, group="role"), part)
    assert not data.exists()


# processes ------------------------------------------------------------------------------------------


def test_four_commands_at_once_on_a_new_folder(data: Path) -> None:
    """As separate processes, the whole way from the shell."""
    words = [sys.executable, "-m", "bridgehead", "device", "add"]
    options = ["--data", str(data), "--generate-password", "--publish", "a", "--json"]
    running = [
        subprocess.Popen([*words, f"sensor-{n}", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for n in range(4)
    ]
    told = [each.communicate(timeout=50) for each in running]
    assert [each.returncode for each in running] == [0] * 4, told
    assert {json.loads(out)["name"] for out, _ in told} == {f"sensor-{n}" for n in range(4)}
    identity = Identity(data)
    assert len(identity.registry.devices()) == 4
    identity.close()
