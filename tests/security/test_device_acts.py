"""`bridgehead device set|rotate|revoke|enable|disable|invite|unlock|import`, as a shell calls them."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bridgehead.cli.main import run
from bridgehead.security.identity.identity import Identity
from bridgehead.security.login.passwords import PasswordHasher
from bridgehead.security.records import Device, Group, Quota
from bridgehead.security.registry.registry import Registry
from bridgehead.security.registry.tokens import Lockout
from tests.security.support import mode, modes
from tests.security.test_device_command import Told, one_sentence

Command = Callable[..., Told]


@pytest.fixture
def device(data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setattr("bridgehead.security.identity.identity._hash", PasswordHasher(1, 8, 1).hash)

    def call(*words: str | Path, group: str = "device") -> Told:
        code = run([group, *map(str, words), "--data", str(data)])
        return Told(code, *capsys.readouterr())

    return call


def done(told: Told) -> Told:
    assert told.code == 0, told.err
    return told


def stored(data: Path, name: str = "sensor-7") -> Device:
    registry = Registry(data)
    try:
        return registry.existing_device(name)
    finally:
        registry.close()


def certificate(path: Path, authority: bool = False, begins: int = -1, ends: int = 30) -> Path:
    """A certificate of somebody else, as a file; days from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pump 3")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(now + datetime.timedelta(begins))
    builder = builder.not_valid_after(now + datetime.timedelta(ends))
    builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    path.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return path


def public_key(path: Path, private: bool = False) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    if private:
        form = serialization.PrivateFormat.PKCS8
        path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    else:
        form_public = serialization.PublicFormat.SubjectPublicKeyInfo
        path.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, form_public))
    return path


# add ------------------------------------------------------------------------------------------------


def test_add_with_every_kind(device: Command, data: Path, tmp_path: Path) -> None:
    registry = Registry(data)
    registry.add_group(Group("lobby", 1.0))
    registry.close()
    words = ["--group", "lobby", "--attribute", "floor=3", "--quota", "10 messages/s", "--psk-identity", "seven"]
    words += ["--raw-public-key", str(public_key(tmp_path / "rpk.pem")), "--oscore", "--otp", "--generate-password"]
    words += ["--token-subject", "https://issuer seven", "--kerberos", "seven@EXAMPLE.COM"]
    words += ["--foreign-certificate", "dns:Seven.Example"]
    words += ["--foreign-certificate", str(certificate(tmp_path / "foreign.pem"))]
    told = done(device("add", "sensor-7", *words, "--json"))
    kept = stored(data)
    assert (kept.groups, kept.attributes, kept.quota) == (("lobby",), {"floor": "3"}, Quota(messages=10.0))
    assert told.value["psk"]["identity"] == "seven"
    assert len(bytes.fromhex(told.value["psk"]["key"])) >= 16
    assert set(told.value["otp"]) == {"algorithm", "pass_phrase", "seed", "sequence"}
    assert set(told.value["oscore"]) >= {"sender_id", "recipient_id", "master_secret", "master_salt", "id_context"}
    shown = done(device("show", "sensor-7"))
    assert "credentials  password or foreign certificate or psk or raw key or oscore or token or kerberos or otp\n" in (
        shown.out
    )
    for line in ("foreign      dns:seven.example", "psk          seven", "token        https://issuer seven"):
        assert line in shown.out
    secrets = [told.value["generated_password"], told.value["psk"]["key"], told.value["otp"]["pass_phrase"]]
    secrets.append(told.value["oscore"]["master_secret"])
    secrets.append(bytes.fromhex(told.value["psk"]["key"]).decode("latin-1"))
    shown_json = done(device("show", "sensor-7", "--json"))
    everything = shown.out + shown_json.out + done(device("list", "--json")).out
    assert [secret for secret in secrets if secret in everything] == []


def test_the_bundle_holds_all_that_was_made(device: Command, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    told = done(device("add", "sensor-7", "--psk", "--oscore", "--otp", "--raw-key", "--dds", "--out", out))
    secret = json.loads((out / "secrets.json").read_text())
    assert set(secret) == {"psk", "oscore", "otp"}
    for value in (secret["psk"]["key"], secret["otp"]["pass_phrase"], secret["oscore"]["master_secret"]):
        assert value not in told.out
    kept = stored(data)
    key = serialization.load_pem_private_key((out / "raw-key.pem").read_bytes(), None)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    assert key.public_key().public_bytes(serialization.Encoding.DER, form) == kept.raw_public_keys[0].spki
    issued = x509.load_pem_x509_certificate((out / "dds-certificate.pem").read_bytes())
    assert kept.dds_identity is not None
    assert issued.fingerprint(hashes.SHA256()).hex() == kept.dds_identity.fingerprint
    assert "key.pem" in told.out
    assert set(modes(out).values()) <= {0o600, 0o700}


def test_add_for_a_device_that_enrols_itself(device: Command, data: Path) -> None:
    told = done(device("add", "sensor-7", "--invite", "15m", "--publish", "a"))
    token = told.out.rpartition("invitation   ")[2].split()[0]
    assert len(token) == 26
    assert stored(data).certificates == ()
    identity = Identity(data)
    assert identity.redeem(token).name == "sensor-7"
    identity.close()


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda folder: certificate(folder / "c.pem", authority=True), "is an authority's (CA:TRUE), not a device's"),
        (lambda folder: certificate(folder / "c.pem", ends=-1, begins=-9), "has expired: get a new one"),
        (lambda folder: certificate(folder / "c.pem", begins=2), "is not valid yet: set this machine's clock"),
        (lambda folder: public_key(folder / "c.pem"), "holds no readable certificate in PEM: nothing was changed"),
        (lambda folder: folder / "missing.pem", "missing.pem cannot be read: no such file"),
        (lambda folder: "fingerprint:abc", "is no SHA-256 fingerprint: give its 64 hexadecimal digits"),
        (lambda folder: "dns:*.example", "is no DNS name: write it in full, without a wildcard"),
        (lambda folder: "subject:pump", "is no subject as RFC 4514 writes it"),
        (lambda folder: "uri:urn:bridgehead:device:x", "only the hub's own authority gives: use --certificate"),
        (lambda folder: "serial:7", "names no foreign certificate: write fingerprint:SHA256"),
    ],
)
def test_a_foreign_certificate_that_cannot_be(
    device: Command, data: Path, tmp_path: Path, make: Callable[[Path], Path | str], part: str
) -> None:
    one_sentence(device("add", "sensor-7", "--foreign-certificate", make(tmp_path)), part)
    assert not data.exists()


def test_half_a_certificate_is_refused(device: Command, data: Path, tmp_path: Path) -> None:
    path = certificate(tmp_path / "c.pem")
    path.write_bytes(path.read_bytes()[:300])
    one_sentence(device("add", "sensor-7", "--foreign-certificate", path), "holds no readable certificate")
    one_sentence(device("add", "sensor-7", "--raw-public-key", path), "holds no readable public key")
    one_sentence(
        device("add", "sensor-7", "--raw-public-key", public_key(tmp_path / "k.pem", private=True)),
        "holds a private key: give the public one",
    )
    assert not data.exists()


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--token-subject", "https://issuer"], "is not two texts"),
        (["--kerberos", "seven"], "is no Kerberos principal: write NAME@REALM"),
        (["--psk-identity", "x" * 129], "cannot be the identity of a pre-shared key"),
        (["--psk", "--attribute", "floor"], "has no value: write it as NAME=VALUE"),
        (["--psk", "--attribute", "a=1", "--attribute", "a=2"], "is given twice"),
        (["--psk", "--quota", "many"], "a quota is written as"),
        (["--psk", "--group", "loby"], "there is no group 'loby'"),
        (["--invite", "soon"], "'soon' is no duration: write it as 30s, 15m, 1h or 7d"),
        (["--raw-key"], "--raw-key makes a private key: say with --out FOLDER"),
        (["--dds"], "--dds makes a private key"),
        (["--psk", "--ntlm"], "NTLM needs a password"),
    ],
)
def test_what_cannot_be_added(device: Command, words: list[str], part: str) -> None:
    one_sentence(device("add", "sensor-7", *words), part)


def test_two_devices_do_not_share_a_credential(device: Command, data: Path) -> None:
    done(device("add", "sensor-7", "--psk-identity", "shared"))
    told = device("add", "sensor-8", "--psk-identity", "shared")
    one_sentence(told, "the pre-shared key identity 'shared' belongs to the device 'sensor-7' already")
    assert "act.refused" in (data / "audit" / "audit-000001.jsonl").read_text()


# set ------------------------------------------------------------------------------------------------


def test_set_gives_and_takes(device: Command, data: Path) -> None:
    registry = Registry(data)
    registry.add_group(Group("lobby", 1.0))
    registry.close()
    done(device("add", "reader", "--subscribe", "r", group="role"))
    done(device("add", "sensor-7", "--generate-password", "--publish", "a", "--attribute", "room=1"))
    words = "--role reader --group lobby --attribute floor=3 --no-attribute room --client-id x --publish b"
    words += " --no-permission a --kerberos s@X --foreign-certificate uri:urn:x"
    shown = done(device("set", "sensor-7", *words.split(), "--quota", "1 KiB/s", "--json")).value
    assert (shown["roles"], shown["groups"], shown["attributes"]) == (["reader"], ["lobby"], {"floor": "3"})
    assert shown["client_ids"] == ["x"]
    assert [each["filter"] for each in shown["permissions"]] == ["b"]
    assert shown["quota"] == {"messages_per_second": None, "octets_per_second": 1024.0}
    assert shown["credentials"]["kerberos"] == ["s@X"]
    words = "--no-role reader --no-group lobby --default-client-ids --no-quota --no-kerberos s@X"
    words += " --no-foreign-certificate uri:urn:x"
    done(device("set", "sensor-7", *words.split()))
    kept = stored(data)
    assert (kept.roles, kept.groups, kept.client_ids, kept.quota) == ((), (), (), None)
    assert (kept.kerberos_principals, kept.foreign_certificates) == ((), ())


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("sensr-7 --role x", "there is no device 'sensr-7': did you mean 'sensor-7'?"),
        ("sensor-7 --role x", "there is no role 'x'"),
        ("sensor-7 --no-role x", "the device has no role 'x' to take away"),
        ("sensor-7 --require both", "--require both is not known"),
        ("sensor-7 --require password+certificate", "lacks one of them"),
        ("sensor-7 --attribute device=x", "cannot be an attribute's name"),
        ("sensor-7 --client-id a --default-client-ids", "exclude each other"),
    ],
)
def test_what_cannot_be_set_changes_nothing(device: Command, data: Path, words: str, part: str) -> None:
    done(device("add", "sensor-7", "--generate-password"))
    before = stored(data)
    one_sentence(device("set", *words.split()), part)
    assert stored(data) == before


# rotate, revoke and the others ----------------------------------------------------------------------


def test_rotate_hands_over_a_new_bundle(device: Command, data: Path, tmp_path: Path) -> None:
    done(device("add", "sensor-7", "--certificate", "--generate-password", "--out", tmp_path / "first"))
    out = tmp_path / "second"
    one_sentence(device("rotate", "sensor-7"), "the certificate makes a private key: say with --out FOLDER")
    told = done(device("rotate", "sensor-7", "--overlap", "1h", "--out", out))
    assert "2 certificates" in told.out
    assert "password     the former one until " in told.out
    assert (out / "key.pem").read_bytes() != (tmp_path / "first" / "key.pem").read_bytes()
    assert (out / "password").read_bytes() != (tmp_path / "first" / "password").read_bytes()
    kept = stored(data)
    assert kept.password is not None
    new = (out / "password").read_bytes().rstrip()
    assert PasswordHasher().verify(kept.password.encoded, new)
    told = done(device("rotate", "sensor-7", "--password", "--json"))
    assert stored(data).certificates == kept.certificates
    assert stored(data).former_password is None
    assert told.value["generated_password"] != new.decode()


def test_a_rotation_into_a_folder_that_is_there_changes_nothing(device: Command, data: Path, tmp_path: Path) -> None:
    done(device("add", "sensor-7", "--certificate", "--out", tmp_path / "first"))
    before = stored(data)
    one_sentence(device("rotate", "sensor-7", "--out", tmp_path / "first"), "is not empty: name a new folder")
    assert stored(data) == before


def test_revoke_keeps_the_record_and_says_so(device: Command, data: Path, tmp_path: Path) -> None:
    done(device("add", "sensor-7", "--certificate", "--out", tmp_path / "out"))
    assert done(device("revoke", "sensor-7")).out == "revoked sensor-7 and 1 certificate(s)\n"
    shown = done(device("show", "sensor-7")).out
    assert "device       sensor-7   (revoked)" in shown
    assert "credentials  none" in shown
    one_sentence(device("revoke", "sensor-7"), "is revoked already")
    one_sentence(device("enable", "sensor-7"), "was revoked and has no credentials")
    assert done(device("list", "--state", "revoked")).out == "sensor-7\trevoked\tnone\t-\t-\n"
    assert done(device("remove", "sensor-7")).out == "removed sensor-7\n"


def test_disable_and_enable(device: Command) -> None:
    done(device("add", "sensor-7", "--psk"))
    assert done(device("disable", "sensor-7")).out == "disabled sensor-7\n"
    assert done(device("list", "--state", "disabled")).out == "sensor-7\tdisabled\tpsk\t-\t-\n"
    assert done(device("enable", "sensor-7", "--json")).value == {"enabled": "sensor-7"}


def test_list_picks_by_role_group_and_expiry(device: Command, data: Path, tmp_path: Path) -> None:
    registry = Registry(data)
    registry.add_group(Group("lobby", 1.0))
    registry.close()
    done(device("add", "reader", "--subscribe", "r", group="role"))
    done(device("add", "a", "--psk", "--role", "reader"))
    done(device("add", "b", "--psk", "--group", "lobby"))
    done(device("add", "c", "--certificate", "--out", tmp_path / "out"))

    def names(*words: str) -> list[str]:
        return [line.split("\t")[0] for line in done(device("list", *words)).out.splitlines()]

    assert names("--role", "reader") == ["a"]
    assert names("--group", "lobby") == ["b"]
    assert names("--expiring", "0") == []
    assert names("--expiring", "4000d") == ["c"]
    assert [each["name"] for each in done(device("list", "--json", "--role", "reader")).value] == ["a"]
    one_sentence(device("list", "--role", "raeder"), "did you mean 'reader'?")
    one_sentence(device("list", "--state", "dead"), "--state dead is no state")


def test_invite_prints_a_token_once(device: Command, data: Path) -> None:
    done(device("add", "sensor-7", "--psk"))
    token = done(device("invite", "sensor-7", "--for", "1h", "--json")).value["invitation"]
    found = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    assert [path for path, content in found.items() if token.encode() in content] == []
    one_sentence(device("invite", "sensor-7", "--for", "8d"), "at most 7 days")
    one_sentence(device("invite", "sensr-7"), "did you mean 'sensor-7'?")


def test_unlock(device: Command, data: Path) -> None:
    done(device("add", "sensor-7", "--psk"))
    registry = Registry(data)
    registry.put_lockout(Lockout("identity", "sensor-7 192.0.2.1", 1e12, 9))
    registry.close()
    assert done(device("unlock", "--address", "192.0.2.9")).out == "nothing was locked out at 192.0.2.9\n"
    assert done(device("unlock", "sensor-7")).out == "unlocked sensor-7 at 192.0.2.1\n"
    assert done(device("unlock", "sensor-7")).out == "nothing was locked out of sensor-7\n"
    one_sentence(device("unlock"), "say what to unlock: NAME, --address ADDRESS, or both")


# import ---------------------------------------------------------------------------------------------


def test_import_writes_what_the_devices_need(device: Command, data: Path, tmp_path: Path) -> None:
    file = tmp_path / "devices.csv"
    file.write_text("name,credentials,publish\na,password;psk,x\nb,certificate;raw-key,x\n")
    out = tmp_path / "out"
    one_sentence(device("import", file), "credentials are made: say with --out FOLDER where to write them")
    assert done(device("import", file, "--dry-run")).out == f"{file}: 2 devices, correct; nothing was imported\n"
    told = done(device("import", file, "--out", out))
    assert told.out == f"imported 2 devices; what they need is in {out}\n"
    assert set(modes(out).values()) == {0o600, 0o700}
    assert mode(out) == 0o700
    assert {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()} == {
        "ca.pem",
        "secrets.csv",
        "b/certificate.pem",
        "b/key.pem",
        "b/raw-key.pem",
    }
    heading, row = (out / "secrets.csv").read_text().splitlines()
    secret = dict(zip(heading.split(","), row.split(","), strict=True))
    kept = stored(data, "a").password
    assert kept is not None
    assert PasswordHasher().verify(kept.encoded, secret["password"].encode())
    assert secret["psk_identity"] == "a"
    again = device("import", file, "--out", tmp_path / "again")
    assert (again.code, again.out) == (2, "")
    assert again.err.splitlines()[0] == f"{file}:2: there is a device 'a' already: leave it out, or remove it first"
    assert "nothing was imported" in again.err.splitlines()[-1]
    assert not (tmp_path / "again").exists()


def test_import_that_cannot_write_imports_nobody(device: Command, data: Path, tmp_path: Path) -> None:
    file = tmp_path / "devices.json"
    file.write_text(json.dumps([{"name": "a", "credentials": ["psk"]}]))
    (tmp_path / "there").mkdir()
    told = device("import", file, "--out", tmp_path / "there")
    one_sentence(told, "is there already: name a new folder, nothing is overwritten")
    registry = Registry(data)
    assert registry.devices() == []
    registry.close()


def test_a_file_that_is_no_table(device: Command, tmp_path: Path) -> None:
    file = tmp_path / "devices.csv"
    file.write_bytes(b"name,kerberos\na,\xff@X\n")
    one_sentence(device("import", file), f"{file}:2: this is not UTF-8 text")
    one_sentence(device("import", tmp_path / "missing.csv"), "missing.csv cannot be read: no such file")
    one_sentence(device("import", tmp_path / "devices.txt"), "is neither FILE.csv nor FILE.json")


# The master key. ------------------------------------------------------------------------------------


def test_a_master_key_under_a_pass_phrase_is_opened_from_a_file_or_descriptor(
    device: Command, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridgehead.security.vault._SCRYPT_N", 1024)
    done(device("add", "sensor-7", "--psk"))
    phrase = tmp_path / "phrase"
    phrase.write_text("correct horse battery\n")
    told = done(device("protect", "--new-passphrase-file", phrase))
    assert told.out == "the master key opens with the pass phrase only: a start of the hub needs it too\n"
    done(device("add", "sensor-8", "--psk", "--passphrase-file", phrase))
    reading, writing = os.pipe()
    os.write(writing, b"correct horse battery\n")
    os.close(writing)
    done(device("add", "sensor-9", "--psk", "--passphrase-file", str(reading)))
    os.close(reading)
    assert done(device("rekey", "--passphrase-file", phrase)).out == "3 stored keys are under a new master key\n"
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong\n")
    told = device("add", "sensor-10", "--psk", "--passphrase-file", wrong)
    assert (told.code, told.out) == (1, "")
    assert "the pass phrase does not open" in told.err
    told = device("add", "sensor-10", "--psk")
    assert told.code == 1
    assert "is protected by a pass phrase: start on a terminal, or give --passphrase-file" in told.err
    registry = Registry(data)
    assert registry.device_names() == ["sensor-7", "sensor-8", "sensor-9"]
    registry.close()
    assert done(device("protect", "--none", "--passphrase-file", phrase)).out == "the master key needs no pass phrase\n"
    done(device("add", "sensor-10", "--psk"))
    one_sentence(device("protect"), "say under which pass phrase: --new-passphrase-file FILE, or --none")


def test_ten_thousand_devices_or_none(device: Command, data: Path, tmp_path: Path) -> None:
    file = tmp_path / "devices.csv"
    lines = [f"sensor-{number},psk,Office/${{device}}/#" for number in range(10_000)]
    file.write_text("\n".join(["name,credentials,publish", *lines, "sensor-5,psk,a"]))
    one_sentence(
        device("import", file, "--out", tmp_path / "out"), ":10002: the device 'sensor-5' is in line 7 already"
    )
    registry = Registry(data)
    assert registry.device_names() == []
    file.write_text("\n".join(["name,credentials,publish", *lines]))
    done(device("import", file, "--out", tmp_path / "out"))
    assert len(registry.device_names()) == 10_000
    found = registry.device_by_psk_identity("sensor-9999")
    assert found is not None
    assert found.name == "sensor-9999"
    registry.close()
    assert len((tmp_path / "out" / "secrets.csv").read_text().splitlines()) == 10_001
    assert len(done(device("list", "--json")).value) == 10_000


def test_a_terminal_sees_a_progress_bar(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "devices.csv"
    file.write_text("name,credentials\na,psk\nb,psk\n")
    ours, theirs = pty.openpty()
    words = ["device", "import", str(file), "--data", str(data), "--out", str(tmp_path / "out")]
    with subprocess.Popen(
        [sys.executable, "-m", "bridgehead", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    ) as process:
        os.close(theirs)
        shown = bytearray()
        with contextlib.suppress(OSError):  # how a pseudo-terminal ends on Linux
            while part := os.read(ours, 65536):
                shown += part
        os.close(ours)
        assert process.stdout is not None
        assert process.stdout.read().decode().startswith("imported 2 devices")
    assert b"making credentials" in shown
    assert b"2/2" in shown


def test_a_device_may_get_its_credential_later(device: Command, data: Path, tmp_path: Path) -> None:
    told = done(device("add", "robot-1", "--no-credential", "--publish", "Office/#"))
    assert f"`bridgehead device export robot-1 --data {data} --for TARGET --credential new`" in told.err
    assert stored(data, "robot-1").name == "robot-1"
    done(device("export", "robot-1", "--for", "mqtt", "--credential", "new", "--out", tmp_path / "robot-1"))
    assert (tmp_path / "robot-1" / "certificate.pem").is_file()


@pytest.mark.parametrize("words", [["--generate-password"], ["--psk"], ["--otp"], ["--out", "somewhere"]])
def test_no_credential_means_none(device: Command, words: list[str]) -> None:
    one_sentence(device("add", "robot-1", "--no-credential", *words), "--no-credential excludes")
