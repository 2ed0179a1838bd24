"""`bridgehead ca` as people type it: what it prints, its exit codes, and that a refusal changes nothing."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from cryptography import x509

from bridgehead.cli.main import run
from bridgehead.security.identity.identity import Identity, Wanted
from bridgehead.security.pki import certificates, profiles
from bridgehead.security.pki.certificates import SigningKey
from tests.security.support import DAY, enrol
from tests.security.test_pki import contents

NOW = time.time()


class Command:
    def __init__(self, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.data = data
        self._capsys = capsys
        self.code = 0
        self.out = ""
        self.err = ""

    def __call__(self, *words: str | Path) -> str:
        """Standard output; the exit code and standard error are kept."""
        self.code = run(["ca", *map(str, words), "--data", str(self.data)])
        told = self._capsys.readouterr()
        self.out, self.err = told.out, told.err
        return told.out


@pytest.fixture
def ca(data: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    identity = Identity(data)
    enrol(identity, Wanted("sensor-7", certificate=True))
    identity.close()
    return Command(data, capsys)


def test_status_in_json_and_its_exit_code(ca: Command) -> None:
    shown = json.loads(ca("status", "--json"))
    assert ca.code == 0
    assert {each["what"] for each in shown["endings"]} == {"root", "issuing", "list", "device"}
    assert [each["signs"] for each in shown["authorities"]] == [True]
    ca("status", "--fail-within", "20")
    assert ca.code == 0
    ca("status", "--fail-within", "91")
    assert ca.code == 3
    assert "sensor-7" in ca.out


@pytest.mark.parametrize("profile", ["server", "device", "administrator", "dds-identity", "dds-permissions"])
def test_issue(ca: Command, profile: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    name = "hub.example" if profile == "server" else "sensor-7"
    shown = json.loads(ca("issue", name, "--profile", profile, "--out", out, "--json"))
    assert ca.code == 0, ca.err
    assert sorted(each.name for each in out.iterdir()) == ["ca.pem", "cert.pem", "key.pem"]
    assert (out / "key.pem").stat().st_mode & 0o777 == 0o600
    issued = x509.load_pem_x509_certificate((out / "cert.pem").read_bytes())
    purpose = issued.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purpose) == [profiles.PROFILES[profile].purpose]
    identity = Identity(ca.data)
    device = identity.registry.existing_device("sensor-7")
    identity.close()
    on_record = [each.fingerprint for each in device.certificates]
    on_record += [device.dds_identity.fingerprint] if device.dds_identity is not None else []
    assert (shown["fingerprint"] in on_record) is (profile in ("device", "dds-identity"))
    assert shown["serial"] in ca("list")


def test_revoke_takes_what_is_on_no_record(ca: Command, tmp_path: Path) -> None:
    serial = json.loads(ca("issue", "ada", "--profile", "administrator", "--out", tmp_path / "ada", "--json"))["serial"]
    ca("revoke", serial)
    assert ca.code == 0
    identity = Identity(ca.data)
    assert int(serial, 16) in identity.pki.revoked_serials()
    device = identity.registry.existing_device("sensor-7").certificates[0]
    identity.close()
    ca("revoke", device.serial)
    assert (ca.code, "device revoke" in ca.err) == (2, True)
    ca("revoke", "1234")
    assert (ca.code, "was issued here" in ca.err) == (2, True)
    ca("revoke", "xyz")
    assert (ca.code, "is no serial number" in ca.err) == (2, True)


def test_roll_over_and_finish(ca: Command) -> None:
    before = json.loads(ca("status", "--json"))["authorities"]
    begun = time.time()
    ca("roll-over", "--overlap", "12h")
    ended = time.time()
    assert (ca.code, "both roots" in ca.out) == (0, True)
    during = json.loads(ca("status", "--json"))["authorities"]
    assert during[1]["subject"] == before[0]["subject"]
    assert begun - 1 <= during[1]["until"] - DAY / 2 <= ended + 1
    ca("roll-over", "--finish")
    assert (ca.code, "1 device(s) lost certificates of it: sensor-7" in ca.out) == (0, True)
    assert len(json.loads(ca("status", "--json"))["authorities"]) == 1
    ca("roll-over", "--finish")
    assert (ca.code, "no roll-over is under way" in ca.err) == (1, True)


def test_offline_root_and_a_new_issuing_authority_from_it(ca: Command, tmp_path: Path) -> None:
    away, phrase = tmp_path / "root.key", tmp_path / "phrase"
    phrase.write_text("open sesame\n")
    ca("offline-root", "--to", away, "--passphrase-file", phrase)
    assert ca.code == 0, ca.err
    assert b"ENCRYPTED" in away.read_bytes()
    before = contents(ca.data / "pki")
    phrase.write_text("open barley\n")
    ca("roll-over", "--keep-root", "--root-key", away, "--passphrase-file", phrase)
    assert (ca.code, "a wrong pass phrase" in ca.err, ca.err.count("\n")) == (1, True, 1)
    assert "sesame" not in ca.err
    assert contents(ca.data / "pki") == before
    phrase.write_text("open sesame\n")
    ca("roll-over", "--keep-root", "--root-key", away, "--passphrase-file", phrase)
    assert ca.code == 0, ca.err


def company(key: SigningKey, folder: Path) -> Path:
    root_key = certificates.new_key()
    root = certificates.make_root(root_key, NOW)
    chain = folder / "chain.pem"
    chain.write_bytes(certificates.certificate_pem(certificates.make_issuing(root, root_key, key, NOW), root))
    return chain


def test_use_external(ca: Command, tmp_path: Path) -> None:
    key = certificates.new_key()
    file = tmp_path / "issuing.key"
    file.write_bytes(certificates.key_pem(key))
    chain = company(key, tmp_path)
    before = contents(ca.data / "pki")
    ca("use-external", "--chain", file, "--key", file)
    assert (ca.code, "holds no readable certificate" in ca.err) == (1, True)
    assert contents(ca.data / "pki") == before
    ca("use-external", "--chain", chain, "--key", file, "--overlap", "0")
    assert ca.code == 0, ca.err
    found = certificates.read_certificates(chain.read_bytes(), "")
    assert (ca.data / "pki" / "ca.pem").read_bytes() == certificates.certificate_pem(found[-1])


def test_request_and_install(ca: Command, tmp_path: Path) -> None:
    ca("request", "--out", tmp_path / "request.pem")
    assert ca.code == 0, ca.err
    request = x509.load_pem_x509_csr((tmp_path / "request.pem").read_bytes())
    key = certificates.read_key((ca.data / "pki" / "request.key").read_bytes(), "")
    assert request.public_key() == key.public_key()
    ca("install", "--chain", company(certificates.new_key(), tmp_path))
    assert (ca.code, "is not the key of" in ca.err) == (2, True)
    ca("install", "--chain", company(key, tmp_path))
    assert ca.code == 0, ca.err
    assert not (ca.data / "pki" / "request.key").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["issue", "x", "--profile", "root", "--out", "OUT"], "there is no profile 'root'"),
        (["issue", "nobody", "--profile", "device", "--out", "OUT"], "there is no device 'nobody'"),
        (["issue", "a b", "--profile", "administrator", "--out", "OUT"], "cannot be a certificate's name"),
        (["issue", "ada", "--profile", "administrator", "--host", "h", "--out", "OUT"], "is for --profile server only"),
        (["issue", "ada", "--profile", "administrator", "--csr", "/missing", "--out", "OUT"], "cannot be read"),
        (["roll-over", "--root-key", "x"], "--root-key is for --keep-root"),
        (["roll-over", "--overlap", "soon"], "'soon' is no duration"),
        (["install", "--chain", "/missing"], "cannot read /missing"),
    ],
)
def test_a_wrong_line_is_one_sentence(ca: Command, words: list[str], said: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    before = contents(ca.data / "pki")
    ca(*[str(out) if word == "OUT" else word for word in words])
    assert ca.code in (1, 2)
    assert said in ca.err
    assert ca.err.count("\n") == 1
    assert not out.exists()
    assert contents(ca.data / "pki") == before


def test_check_opens_the_listeners_certificates(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key, other = certificates.new_key(), certificates.new_key()
    made = {"old": NOW - 4000 * DAY, "new": NOW}
    for name, now in made.items():
        (tmp_path / f"{name}.pem").write_bytes(certificates.certificate_pem(certificates.make_root(key, now)))
    for name, each in (("right", key), ("wrong", other)):
        (tmp_path / f"{name}.key").write_bytes(certificates.key_pem(each))
        (tmp_path / f"{name}.key").chmod(0o600)
    config = tmp_path / "hub.toml"
    for pem, secret, code, said in (
        ("new", "right", 0, "correct"),
        ("new", "wrong", 2, "is not the private key of the certificate"),
        ("old", "right", 2, "renew it, or set the clock"),
    ):
        config.write_text(f'[[listener]]\nbind = "127.0.0.1:0"\ncertificate = "{pem}.pem"\nkey = "{secret}.key"\n')
        assert run(["up", "--check", "--data", str(data), "--config", str(config)]) == code
        told = capsys.readouterr()
        assert said in told.out + told.err
    assert not data.exists()
