"""The master key and what is sealed under it."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgehead.security import vault as vaults
from bridgehead.security.credentials import Sealed
from bridgehead.security.errors import NotAcceptable, SecurityError
from bridgehead.security.vault import Vault, open_with, seal_with
from tests.security.support import mode, umask

SECRET = b"a pre-shared key of the device"


@pytest.fixture(autouse=True)
def cheap_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vaults, "_SCRYPT_N", 1024)


def says(phrase: bytes) -> Callable[[], bytes]:
    return lambda: phrase


@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_the_key_is_made_at_first_need_for_its_owner_only(data: Path, mask: int) -> None:
    with umask(mask):
        vault = Vault.open(data)
        assert not vault.path.exists()
        sealed = vault.seal(SECRET, "psk of sensor-7")
    assert mode(vault.path) == 0o600
    assert SECRET not in msgspec.json.encode(sealed) + sealed.box
    assert Vault(data).open_sealed(sealed, "psk of sensor-7") == SECRET


def test_a_box_opens_in_its_own_context_only(data: Path) -> None:
    vault = Vault(data)
    sealed = vault.seal(SECRET, "psk of sensor-7")
    with pytest.raises(SecurityError, match="the stored psk of sensor-8 is damaged: rotate it") as caught:
        vault.open_sealed(sealed, "psk of sensor-8")
    assert "pre-shared" not in str(caught.value)


def test_every_octet_of_a_box_counts(data: Path) -> None:
    vault = Vault(data)
    sealed = vault.seal(b"key", "c")
    for position in range(len(sealed.box)):
        changed = bytearray(sealed.box)
        changed[position] ^= 1
        with pytest.raises(SecurityError, match="is damaged"):
            vault.open_sealed(Sealed(sealed.key, bytes(changed)), "c")
    for length in range(len(sealed.box)):
        with pytest.raises(SecurityError, match="is damaged"):
            vault.open_sealed(Sealed(sealed.key, sealed.box[:length]), "c")


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=200), st.text(max_size=40).filter(lambda text: text.isascii()))
def test_what_is_sealed_comes_back(plain: bytes, context: str) -> None:
    key = bytes(range(32))
    first, second = seal_with(key, plain, context), seal_with(key, plain, context)
    assert open_with(key, first, context) == open_with(key, second, context) == plain
    assert first.box != second.box


def test_a_missing_key_is_told_and_none_is_made_in_its_place(data: Path) -> None:
    sealed = Vault(data).seal(SECRET, "c")
    (data / "master.key").unlink()
    with pytest.raises(SecurityError, match=r"the master key .*master\.key is not there: restore it from a backup"):
        Vault(data).open_sealed(sealed, "c")
    assert not (data / "master.key").exists()


def test_another_folders_key_is_told_apart_from_damage(data: Path, tmp_path: Path) -> None:
    sealed = Vault(data).seal(SECRET, "c")
    other = Vault(tmp_path / "other")
    other.seal(b"", "c")
    with pytest.raises(SecurityError, match=r"was sealed under another master key: restore master\.key"):
        other.open_sealed(sealed, "c")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"{}", b"[]", b'{"key":"AAAA"}', b"\xff\xfe", b'{"box":"AAAA","n":3,"r":8,"p":1}']
)
def test_a_damaged_key_file_is_told(data: Path, content: bytes) -> None:
    vault = Vault(data)
    vault.seal(SECRET, "c")
    vault.path.write_bytes(content)
    with pytest.raises(SecurityError, match=r"the master key .* is damaged: restore it from a backup"):
        Vault.open(data, says(b"phrase"))


def test_a_file_that_asks_for_too_much_memory_is_damaged(data: Path) -> None:
    vault = Vault(data)
    vault.seal(SECRET, "c")
    vault.path.write_bytes(b'{"box":"AAAA","salt":"AAAA","n":1073741824,"r":8,"p":1}')
    with pytest.raises(SecurityError, match="is damaged"):
        Vault.open(data, says(b"phrase"))


def test_a_key_that_others_can_read_is_refused(data: Path) -> None:
    vault = Vault(data)
    vault.seal(SECRET, "c")
    vault.path.chmod(0o640)
    with pytest.raises(SecurityError, match=r"other users of this machine can open .*master\.key"):
        Vault.open(data)


def test_a_pass_phrase_protects_the_key(data: Path) -> None:
    vault = Vault(data)
    sealed = vault.seal(SECRET, "c")
    key = msgspec.json.decode(vault.path.read_bytes())["key"]
    vault.protect(b"correct horse")
    assert vault.is_protected()
    assert key.encode() not in vault.path.read_bytes()
    assert Vault.open(data, says(b"correct horse")).open_sealed(sealed, "c") == SECRET
    with pytest.raises(SecurityError, match=r"the pass phrase does not open .*: try again, nothing was changed"):
        Vault.open(data, says(b"correct house"))
    with pytest.raises(SecurityError, match="is protected by a pass phrase: start on a terminal, or give --passphr"):
        Vault.open(data)
    vault.protect(None)
    assert Vault.open(data).open_sealed(sealed, "c") == SECRET


@pytest.mark.parametrize("phrase", [None, b"correct horse"])
def test_a_rotated_key_is_followed_by_other_processes(data: Path, phrase: bytes | None) -> None:
    asked = None if phrase is None else says(phrase)
    vault = Vault(data, asked)
    sealed = vault.seal(SECRET, "c")
    vault.protect(phrase)
    running = Vault(data, asked)
    assert running.open_sealed(sealed, "c") == SECRET
    vault.rotate()
    assert not vault.is_current(sealed)
    # What the hub seals from now on is under the new key, and what it sealed before still opens.
    renewed = running.seal(SECRET, "c")
    assert vault.is_current(renewed)
    assert [each.open_sealed(box, "c") for each in (vault, running) for box in (sealed, renewed)] == [SECRET] * 4
    assert Vault(data, asked).open_sealed(sealed, "c") == SECRET
    vault.rotate()
    assert running.open_sealed(renewed, "c") == SECRET
    with pytest.raises(SecurityError, match="under another master key"):
        running.open_sealed(sealed, "c")


@pytest.mark.parametrize("form", [bytes(range(32)), bytes(range(32)).hex().encode() + b"\n"])
def test_a_systemd_credential_comes_first(data: Path, tmp_path: Path, form: bytes) -> None:
    (tmp_path / "bridgehead-master-key").write_bytes(form)
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    sealed = Vault(data, environment=environment).seal(SECRET, "c")
    assert not (data / "master.key").exists()
    assert open_with(bytes(range(32)), sealed, "c") == SECRET
    vault = Vault(data, environment=environment)
    with pytest.raises(NotAcceptable, match="the master key is a systemd credential"):
        vault.protect(b"phrase")
    with pytest.raises(NotAcceptable, match="the master key is a systemd credential"):
        vault.rotate()


def test_a_credential_that_is_no_key_is_told(data: Path, tmp_path: Path) -> None:
    (tmp_path / "bridgehead-master-key").write_bytes(b"too short")
    with pytest.raises(SecurityError, match="bridgehead-master-key is no master key: give 32 octets or 64"):
        Vault(data, environment={"CREDENTIALS_DIRECTORY": str(tmp_path)}).seal(SECRET, "c")


def _seal(data: str, results: multiprocessing.connection.Connection) -> None:
    results.send(msgspec.json.encode(Vault(Path(data)).seal(SECRET, "c")))


def test_processes_that_race_to_make_the_key_agree(data: Path) -> None:
    context = multiprocessing.get_context("fork")
    pipes = [context.Pipe() for _ in range(4)]
    workers = [context.Process(target=_seal, args=(str(data), theirs)) for _, theirs in pipes]
    for worker in workers:
        worker.start()
    boxes = [msgspec.json.decode(ours.recv(), type=Sealed) for ours, _ in pipes]
    for worker in workers:
        worker.join(30)
    assert len({each.key for each in boxes}) == 1
    assert [Vault(data).open_sealed(each, "c") for each in boxes] == [SECRET] * 4


def test_nothing_shows_a_secret(data: Path) -> None:
    vault = Vault(data)
    sealed = vault.seal(SECRET, "c")
    assert repr(vault) == f"Vault({str(vault.path)!r})"
    assert repr(sealed) == "Sealed(...)"
    assert "key" not in repr(vault._file()).replace("_KeyFile", "")
