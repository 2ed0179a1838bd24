"""Two commands at the same moment, on the same data folder: neither undoes what the other has done."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from bridgehead.cli.main import run
from bridgehead.security import files
from bridgehead.security.credentials import Sealed, psk_context
from bridgehead.security.identity.identity import Fresh, Identity, Wanted
from bridgehead.security.policy import apply as applying
from bridgehead.security.policy.compare import Difference, compare
from bridgehead.security.policy.document import Document
from bridgehead.security.policy.text import parse
from bridgehead.security.records import Device, Role
from bridgehead.security.registry.registry import Registry
from bridgehead.security.vault import Vault

_FORK = multiprocessing.get_context("fork")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def in_between(monkeypatch: pytest.MonkeyPatch, other: Vault) -> list[Sealed]:
    """`other` rotates, and seals something, when the next one is about to take its turn."""
    locked = files.locked
    made: list[Sealed] = []

    @contextmanager
    def late(path: Path) -> Iterator[None]:
        monkeypatch.setattr(files, "locked", locked)
        other.rotate()
        made.append(other.seal(b"between", "c"))
        with locked(path):
            yield

    monkeypatch.setattr(files, "locked", late)
    return made


def test_a_rotation_keeps_the_key_of_another_that_came_between(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Vault(data), Vault(data)
    first.seal(b"first", "c")
    second.unlock()
    made = in_between(monkeypatch, first)
    second.rotate()
    assert Vault(data).open_sealed(made[0], "c") == b"between"


def test_a_pass_phrase_does_not_bring_an_old_key_back(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Vault(data), Vault(data)
    first.seal(b"first", "c")
    second.unlock()
    made = in_between(monkeypatch, first)
    second.protect(None)
    assert Vault(data).is_current(made[0])


def _rekey(data: Path, ready: Barrier) -> None:
    identity = Identity(data)
    for _ in range(6):
        ready.wait(30)
        identity.rekey()
    identity.close()


def test_two_that_seal_everything_anew_lose_nothing(data: Path) -> None:
    identity = Identity(data)
    for name in ("a", "b", "c"):
        with identity.enrolling(Wanted(name, fresh=Fresh(psk=""))):
            pass
    ready = _FORK.Barrier(2)
    both = [_FORK.Process(target=_rekey, args=(data, ready)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [0, 0]
    vault = Vault(data)
    for device in identity.registry.devices():
        for each in device.pre_shared_keys:
            assert vault.open_sealed(each.key, psk_context(device.name, each.identity))
    identity.close()


def test_nobody_waits_while_a_policy_is_compared(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With ten thousand devices that takes seconds, and a revocation does not wait for it."""
    other = Registry(data, busy_seconds=0.0)
    file = tmp_path / "policy"
    file.write_text("everyone\n deny subscribe $SYS/#\n")
    compared: list[int] = []

    def looking(old: Document, new: Document, now: float, devices: Sequence[Device]) -> Difference:
        compared.append(1)
        other.forget_lockouts(0.0)  # a transaction of another process
        return compare(old, new, now, devices)

    monkeypatch.setattr(applying, "compare", looking)
    assert run(["policy", "apply", str(file), "--data", str(data)]) == 0
    assert compared == [1]
    assert other.policy().revision == 1
    capsys.readouterr()
    other.close()


def test_what_changed_since_a_policy_was_compared_is_compared_again(data: Path) -> None:
    registry, other = Registry(data), Registry(data)
    document = parse("role r\n allow publish a\nrole s\n")[0]
    prepared = applying.prepare(registry, document, 1.0)
    other.add_role(Role("s", 1.0, parse("role s\n allow publish b")[0].roles["s"].permissions))
    done = applying.apply(registry, document, "file", 1.0, prepared=prepared)
    assert [str(change) for change in done.difference.blocks] == ["role r", "role s"]
    for each in (registry, other):
        each.close()
