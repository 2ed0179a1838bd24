"""A wheel is built in both ways: interpreted where there is no C compiler, with compiled rooms where there is one."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tools.compile import room_modules

ROOT = Path(__file__).resolve().parents[2]


def build_wheel(folder: Path, **environment: str) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("BRIDGEHEAD_", "PYTHONPATH"))}
    run = subprocess.run(command, cwd=ROOT, env={**clean, **environment}, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.mark.parametrize("environment", [{"BRIDGEHEAD_COMPILE": "0"}, {"CC": "no-such-compiler"}])
def test_without_a_compiler_the_wheel_is_interpreted(tmp_path: Path, environment: dict[str, str]) -> None:
    wheel = build_wheel(tmp_path, **environment)
    assert wheel.name.endswith("-py3-none-any.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert not [name for name in names if name.endswith(".so")]
    assert set(room_modules()) <= set(names)


def test_a_compiler_that_was_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="there is no C compiler"):
        build_wheel(tmp_path, BRIDGEHEAD_COMPILE="1", CC="no-such-compiler")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_with_a_compiler_every_room_is_compiled(tmp_path: Path) -> None:
    wheel = build_wheel(tmp_path, BRIDGEHEAD_COMPILE="1")
    names = zipfile.ZipFile(wheel).namelist()
    for module in room_modules():
        assert [name for name in names if name.startswith(module.removesuffix(".py") + ".") and name.endswith(".so")]
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    modules = ", ".join(module.removesuffix(".py").replace("/", ".") for module in room_modules())
    check = (
        f"import sys, {modules}; print(all(sys.modules[m].__file__.endswith('.so') for m in '{modules}'.split(', ')))"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
    run = subprocess.run([sys.executable, "-c", check], env=environment, capture_output=True, text=True, check=False)
    assert run.stdout.strip() == "True", run.stderr
