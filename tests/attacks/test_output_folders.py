"""Folders that secrets are handed out in: another user who knows their name makes them first, in a place like /tmp,
while the credentials are still being made."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from bridgehead.cli import device_import
from bridgehead.cli.main import run
from bridgehead.security import files
from bridgehead.security.errors import SecurityError
from bridgehead.security.identity.identity import Enrolled


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "devices.csv"
    path.write_text("name,credentials\na,psk\n")
    return path


def test_a_link_that_appears_meanwhile_gets_no_secrets(
    tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs, out, data = tmp_path / "theirs", tmp_path / "out", tmp_path / "data"
    theirs.mkdir(0o700)
    write = device_import._Folder.write

    def late(folder: device_import._Folder, enrolled: Sequence[Enrolled]) -> None:
        out.symlink_to(theirs)
        write(folder, enrolled)

    monkeypatch.setattr(device_import._Folder, "write", late)
    assert run(["device", "import", str(table), "--data", str(data), "--out", str(out)]) == 1
    assert "name a new folder" in capsys.readouterr().err
    assert list(theirs.iterdir()) == []
    assert run(["device", "show", "a", "--data", str(data)]) == 2


def test_a_folder_of_another_user_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    out.mkdir(0o700)
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    with pytest.raises(SecurityError, match="another user's folder"):
        files.output_folder(out)


def test_a_new_folder_or_an_empty_one_of_ours_is_private(tmp_path: Path) -> None:
    for out in (tmp_path / "new", tmp_path / "there", tmp_path / "deep" / "er"):
        if out.name == "there":
            out.mkdir(0o755)
        files.output_folder(out)
        assert out.stat().st_mode & 0o777 == 0o700
    (tmp_path / "new" / "x").touch()
    with pytest.raises(SecurityError, match="not empty"):
        files.output_folder(tmp_path / "new")
