"""The house's import contracts hold, and each of them catches a violation planted in a copy of the tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def contracts() -> dict[str, dict[str, Any]]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return {each["id"]: each for each in tomllib.load(file)["tool"]["importlinter"]["contracts"]}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """import-linter on the project in `folder`, whatever tree these tests themselves run from."""
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "COLUMNS": "400"}
    linter = Path(sys.executable).parent / "lint-imports"
    command = [str(linter), "--config", "pyproject.toml", "--no-cache"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def copy_of_the_tree(folder: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", folder)
    ignored = shutil.ignore_patterns("__pycache__", "*.so")
    shutil.copytree(ROOT / "src", folder / "src", ignore=ignored)
    return folder


def test_every_contract_is_kept(tmp_path: Path) -> None:
    result = lint(copy_of_the_tree(tmp_path))
    assert result.returncode == 0, result.stdout + result.stderr
    for contract in contracts().values():
        assert f"{contract['name']} KEPT" in result.stdout


# Contract, and the violations to plant: where the file goes under src/bridgehead, and what it imports.
PLANTED = [
    ("layers", "core/planted.py", "bridgehead.broker.planted_below"),
    ("layers", "broker/planted.py", "bridgehead.protocols.planted_floor"),
    ("layers", "store/planted.py", "bridgehead.security.planted_beside"),
    ("layers", "security/planted.py", "bridgehead.transport.planted_beside"),
    ("layers", "protocols/planted.py", "bridgehead.node.planted_above"),
    ("layers", "node/planted.py", "bridgehead.cli.planted_above"),
    ("layers", "wire/planted.py", "bridgehead.core.planted_beside"),
    ("floor", "protocols/mqtt/codec/planted.py", "bridgehead.protocols.mqtt.session.planted_above"),
    ("floor", "protocols/mqtt/session/planted.py", "bridgehead.protocols.mqtt.server.planted_above"),
    ("protocols", "protocols/mqtt/codec/planted2.py", "bridgehead.protocols.otherprotocol.codec"),
    ("purity", "core/planted3.py", "time"),
    ("purity", "wire/planted3.py", "socket"),
    ("purity", "broker/planted3.py", "asyncio"),
    ("purity", "protocols/mqtt/codec/planted3.py", "random"),
    ("purity", "protocols/mqtt/session/planted3.py", "logging"),
    ("mechanisms", "security/sasl/planted3.py", "time"),
    ("auditor", "audit/planted.py", "bridgehead.broker.planted_below"),
    ("auditor", "audit/planted2.py", "bridgehead.protocols.mqtt.server.planted_above"),
    ("auditor", "audit/planted3.py", "bridgehead.security.planted_beside"),
]


def package_files(relative: str) -> list[str]:
    """The `__init__.py` of every package above `relative`."""
    parts = relative.split("/")[:-1]
    return ["/".join([*parts[: depth + 1], "__init__.py"]) for depth in range(len(parts))]


def plant(source: Path, relative: str, text: str) -> None:
    for each in [*package_files(relative), relative]:
        file = source / each
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            file.write_text('"""Planted."""\n')
    (source / relative).write_text(f'"""Planted."""\n\n{text}')


def module_name(relative: str) -> str:
    return "bridgehead." + relative.removesuffix(".py").replace("/", ".")


def file_name(module: str) -> str:
    return module.removeprefix("bridgehead.").replace(".", "/") + ".py"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the linter says of a tree with all violations at once: each line names its own planted import."""
    folder = copy_of_the_tree(tmp_path_factory.mktemp("planted"))
    source = folder / "src" / "bridgehead"
    for _, _, imported in PLANTED:
        if imported.startswith("bridgehead."):
            plant(source, file_name(imported), "")
    for _, importer, imported in PLANTED:
        plant(source, importer, f"import {imported}\n")
    plant(source, "core/cycle_a.py", "import bridgehead.core.cycle_b\n")
    plant(source, "core/cycle_b.py", "import bridgehead.core.cycle_a\n")
    plant(source, "newroom/planted.py", "")
    result = lint(folder)
    assert result.returncode == 1, result.stdout + result.stderr
    return result.stdout


def section(report: str, contract: str) -> str:
    """The part of the report that tells what broke one contract."""
    name = contracts()[contract]["name"]
    assert f"{name} BROKEN" in report
    text = report.split("Broken contracts", 1)[1]
    part = text.split(f"{name}\n{'-' * len(name)}\n", 1)[1]
    for other in contracts().values():
        part = part.split(f"{other['name']}\n{'-' * len(other['name'])}\n", 1)[0]
    return part


@pytest.mark.parametrize(("contract", "importer", "imported"), PLANTED)
def test_a_planted_violation_is_caught(report: str, contract: str, importer: str, imported: str) -> None:
    assert f"{module_name(importer)} -> {imported}" in section(report, contract)


def test_a_planted_cycle_is_caught(report: str) -> None:
    assert "No cycles are allowed in bridgehead.core." in section(report, "cycles")


def test_a_room_that_no_layer_names_is_caught(report: str) -> None:
    assert "newroom" in section(report, "layers")


def test_every_contract_has_a_planted_violation() -> None:
    assert {contract for contract, _, _ in PLANTED} | {"cycles"} == set(contracts())


def test_the_compiled_rooms_are_pure_rooms() -> None:
    """Whatever is compiled stands under the purity contract (the reverse holds too: every pure room is compiled)."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        patterns = tomllib.load(file)["tool"]["bridgehead"]["compile"]["rooms"]
    compiled = {each.removesuffix("/**/*.py").removesuffix(".py").replace("/", ".") for each in patterns}
    assert compiled == set(contracts()["purity"]["source_modules"])
