"""Bad input to `bridgehead ca`: one clear sentence, nothing changed, and a line in the audit log."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from bridgehead.security.identity.identity import Identity
from bridgehead.security.pki import certificates
from bridgehead.security.pki.certificates import SigningKey
from tests.audit.test_bad_input import Audited, one_sentence, run

DAY = 86400.0
PHRASE = b"the right pass phrase"


class Company:
    """An authority of somebody else's, made when its clock was `days` away from ours, with its key under a pass
    phrase."""

    def __init__(self, folder: Path, days: float = 0.0) -> None:
        now = time.time() + days * DAY
        key, root_key = certificates.new_key(), certificates.new_key()
        root = certificates.make_root(root_key, now)
        self.chain = folder / "chain.pem"
        self.chain.write_bytes(certificates.certificate_pem(certificates.make_issuing(root, root_key, key, now), root))
        self.key = folder / "issuing.key"
        self.key.write_bytes(_protected(key))
        self.phrase = folder / "phrase"
        self.phrase.write_bytes(PHRASE + b"\n")


def _protected(key: SigningKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(PHRASE)
    )


def _broken(company: Company) -> None:
    whole = company.chain.read_text()
    company.chain.write_text(whole[:200] + whole[240:])


def _wrong_phrase(company: Company) -> None:
    company.phrase.write_text("the wrong pass phrase\n")


def _nothing(company: Company) -> None:
    """It is the time that is wrong."""


@pytest.mark.parametrize(
    ("days", "spoil", "said"),
    [
        (0.0, _broken, "certificate"),
        (0.0, _wrong_phrase, "pass phrase"),
        (-8000.0, _nothing, "expired"),
        (400.0, _nothing, "set the clock"),
    ],
    ids=["broken PEM", "wrong pass phrase", "expired", "not yet valid"],
)
def test_an_authority_that_cannot_be_used(
    tmp_path: Path, days: float, spoil: Callable[[Company], None], said: str
) -> None:
    data = tmp_path / "data"
    Identity(data).close()
    company = Company(tmp_path, days)
    spoil(company)
    audited, before = Audited(data), _contents(data / "pki")
    words = ("--chain", company.chain, "--key", company.key, "--passphrase-file", company.phrase)
    done = run("ca", "use-external", "--data", data, *words)
    assert said in one_sentence(done)
    assert _contents(data / "pki") == before
    line = audited.await_line("act.refused")
    assert said in str(line["because"])
    assert "uid" in str(line["by"])
    assert PHRASE.decode() not in done.stderr


def test_the_same_authority_as_it_is_can_be_used(tmp_path: Path) -> None:
    """Or the refusals above would prove nothing."""
    data = tmp_path / "data"
    Identity(data).close()
    company = Company(tmp_path)
    words = ("--chain", company.chain, "--key", company.key, "--passphrase-file", company.phrase)
    done = run("ca", "use-external", "--data", data, *words)
    assert done.returncode == 0, done.stderr


def _contents(folder: Path) -> dict[str, bytes]:
    """Without the journals of the databases, which come and go with who reads."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }
