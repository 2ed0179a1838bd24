"""The data folder: modes, owner, lock."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bridgehead.node.folder import DataFolder, FolderError


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_it_is_made_for_its_owner_only(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "new" / "data")
    assert mode(folder.path) == 0o700
    assert mode(folder.path / "hub.lock") == 0o600
    folder.close()


def test_an_empty_folder_is_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.mkdir()
    path.chmod(0o755)
    DataFolder(path).close()
    assert mode(path) == 0o700


@pytest.mark.parametrize("loose", [0o750, 0o701, 0o777])
def test_a_used_folder_that_others_can_reach_into_is_refused(tmp_path: Path, loose: int) -> None:
    path = tmp_path / "data"
    path.mkdir()
    (path / "identity.db").write_text("")
    path.chmod(loose)
    with pytest.raises(FolderError, match=rf"mode {loose:04o}.*chmod -R go= {path}"):
        DataFolder(path)
    assert mode(path) == loose


def test_only_one_hub_has_it(tmp_path: Path) -> None:
    first = DataFolder(tmp_path / "data")
    with pytest.raises(FolderError, match=rf"another hub \(process {os.getpid()}\)"):
        DataFolder(tmp_path / "data")
    first.close()
    DataFolder(tmp_path / "data").close()


def test_what_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(FolderError, match="cannot use the folder"):
        DataFolder(tmp_path / "data")


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.mkdir(mode=0o700)
    (tmp_path / "target").write_text("precious")
    (path / "hub.lock").symlink_to(tmp_path / "target")
    with pytest.raises(FolderError, match="cannot be used"):
        DataFolder(path)
    assert (tmp_path / "target").read_text() == "precious"


def test_somebody_elses_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "data"
    path.mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(FolderError, match=f"belongs to user {path.stat().st_uid}"):
        DataFolder(path)
