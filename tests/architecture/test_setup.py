"""What `make setup` asks of a machine: only what is missing, at once, and in words when it may not install it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools import setup


def test_every_line_of_the_package_list_is_understood() -> None:
    for group in setup.GROUPS:
        assert isinstance(setup.missing_packages(group), list)


@pytest.mark.parametrize(
    ("kind", "present", "absent"),
    [
        ("program", "sh", "no-such-program"),
        ("module", "json", "no_such_module"),
        ("file", "/bin/sh", "/no/such/file"),
        ("header", ".", "no-such-header.h"),
    ],
)
def test_what_is_there_is_not_asked_for(kind: str, present: str, absent: str) -> None:
    assert setup.is_there(kind, present)
    assert not setup.is_there(kind, absent)


def test_an_unknown_kind_is_told() -> None:
    with pytest.raises(setup.SetupError, match="none of program, module, header, file"):
        setup.is_there("gadget", "x")


def test_without_rights_the_one_command_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(name: str, code: int) -> None:
        (tmp_path / name).write_text(f"#!/bin/sh\nexit {code}\n")
        (tmp_path / name).chmod(0o755)

    fake("apt-get", 0)
    fake("apt-cache", 1)
    fake("sudo", 1)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(setup.SetupError) as error:
        setup.install_packages(["gcc", "mosquitto"])
    assert "sudo apt-get update && sudo apt-get install -y --no-install-recommends gcc mosquitto" in str(error.value)


def test_a_machine_without_apt_is_told_what_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(setup.SetupError, match=r"no Debian.* gcc"):
        setup.install_packages(["gcc"])


def test_a_wrong_word_is_one_sentence_and_exit_code_2() -> None:
    command = [sys.executable, setup.__file__, "everything"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert run.stderr.startswith("usage: ")
    assert len(run.stderr.splitlines()) == 1
