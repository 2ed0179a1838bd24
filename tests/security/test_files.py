"""Files for their owner only: modes under any umask, replacement, locks."""

from __future__ import annotations

import multiprocessing
import os
import stat
from pathlib import Path

import pytest

from bridgehead.security import files
from bridgehead.security.errors import SecurityError
from tests.security.support import mode, modes, umask

UMASKS = [0o000, 0o022, 0o077, 0o277]


@pytest.mark.parametrize("mask", UMASKS)
def test_modes_are_exact_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    with umask(mask):
        files.private_folder(tmp_path / "outer" / "inner")
        files.write_whole(tmp_path / "outer" / "secret", b"x")
        files.create_empty(tmp_path / "outer" / "empty")
        with files.locked(tmp_path / "outer" / "lock"):
            pass
    assert modes(tmp_path) == {
        "outer": 0o700,
        "outer/empty": 0o600,
        "outer/inner": 0o700,
        "outer/lock": 0o600,
        "outer/secret": 0o600,
    }


def test_a_secret_is_never_open_to_others_not_even_while_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    real = os.open

    def watched(path: Path, flags: int, mode: int = 0o777) -> int:
        descriptor = real(path, flags, mode)
        seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return descriptor

    monkeypatch.setattr(os, "open", watched)
    with umask(0):
        files.write_whole(tmp_path / "secret", b"x")
    assert seen[0] == 0o600


def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "file"
    files.write_whole(path, b"old")
    before = path.stat().st_ino
    files.write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_ino != before
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_failed_replacement_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    files.write_whole(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SecurityError, match=rf"cannot write {path}: no space left on device"):
        files.write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_writing_where_nobody_can_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SecurityError, match=r"cannot write .*: no such file or directory"):
        files.write_whole(tmp_path / "missing" / "file", b"x")
    with pytest.raises(SecurityError, match=r"cannot read .*: no such file or directory"):
        files.read(tmp_path / "missing")
    with (
        pytest.raises(SecurityError, match=r"cannot lock .*: no such file or directory"),
        files.locked(tmp_path / "a/b"),
    ):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(SecurityError, match=r"cannot use the folder .*: (not a directory|file exists)"):
        files.private_folder(tmp_path / "file")


@pytest.mark.parametrize("loose", [0o640, 0o604, 0o660, 0o620, 0o601])
def test_a_secret_that_others_can_open_is_refused(tmp_path: Path, loose: int) -> None:
    path = tmp_path / "key"
    path.write_text("secret")
    path.chmod(loose)
    with pytest.raises(SecurityError, match=rf"{path} \(mode {loose:04o}\).*run: chmod 0600 {path}"):
        files.check_private(path)
    path.chmod(0o600)
    files.check_private(path)
    path.chmod(0o400)
    files.check_private(path)


def test_an_existing_file_is_not_emptied(tmp_path: Path) -> None:
    path = tmp_path / "file"
    files.write_whole(path, b"kept")
    files.create_empty(path)
    assert path.read_bytes() == b"kept"


def test_an_empty_folder_is_closed_and_a_used_one_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(0o755)
    files.private_folder(folder)
    assert mode(folder) == 0o700
    (folder / "file").write_text("")
    folder.chmod(0o750)
    with pytest.raises(SecurityError, match=rf"mode 0750.*chmod -R go= {folder}"):
        files.private_folder(folder)
    assert mode(folder) == 0o750


def _count(folder: str, rounds: int) -> None:
    path = Path(folder) / "count"
    for _ in range(rounds):
        with files.locked(Path(folder) / "lock"):
            files.write_whole(path, str(int(path.read_bytes()) + 1).encode())


def test_processes_take_turns(tmp_path: Path) -> None:
    (tmp_path / "count").write_text("0")
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_count, args=(str(tmp_path), 25)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert (tmp_path / "count").read_text() == "75"
