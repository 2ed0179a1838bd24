"""The project's own files agree with each other: dependencies, pins, tables, and nothing that names a machine."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]


def project() -> dict[str, Any]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return dict(tomllib.load(file)["project"])


def requirements() -> dict[str, Requirement]:
    lines = [*project()["dependencies"], *project()["optional-dependencies"]["dev"]]
    return {canonicalize_name(each.name): each for each in map(Requirement, lines)}


def pins() -> dict[str, str]:
    found = re.findall(r"^([A-Za-z0-9_.-]+)==([^ \\]+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


def test_every_dependency_is_pinned_within_its_bounds() -> None:
    for name, requirement in requirements().items():
        assert name in pins(), f"{name} has no pin: run `make lock`"
        assert requirement.specifier.contains(pins()[name]), f"{name} {pins()[name]} is outside {requirement.specifier}"


def test_every_pin_has_hashes() -> None:
    text = (ROOT / "constraints.txt").read_text()
    for block in re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in block, block.splitlines()[0]


def test_every_dependency_says_what_it_earns_its_place_with() -> None:
    told = {canonicalize_name(each) for each in re.findall(r"^\| `([^`]+)` \|", dependencies_page(), re.MULTILINE)}
    assert told >= set(requirements()), f"docs/dependencies.md lacks {sorted(set(requirements()) - told)}"


def dependencies_page() -> str:
    return (ROOT / "docs" / "dependencies.md").read_text()


NOT_OURS = {".git", ".venv", ".setup", "build", "dist", "node_modules", "__pycache__"}


def committed_files() -> list[Path]:
    """What git knows; every file but the generated ones where there is no git or no history."""
    if shutil.which("git"):
        run = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
        if run.returncode == 0:
            return [ROOT / name for name in run.stdout.split("\0") if name and (ROOT / name).is_file()]
    files = [path for path in ROOT.rglob("*") if path.is_file()]
    return [path for path in files if not NOT_OURS & set(path.relative_to(ROOT).parts) and path.suffix != ".pyc"]


def test_every_measure_against_a_threat_names_tests_that_exist() -> None:
    rows = [line for line in (ROOT / "THREAT_MODEL.md").read_text().splitlines() if re.match(r"\| T\d", line)]
    assert len(rows) >= 17
    for row in rows:
        named = re.findall(r"`(tests/[^`]+)`", row)
        assert named, row
        for name in named:
            assert (ROOT / name).is_file(), f"{name} is missing: {row}"


# Spelled in pieces, so that this file doesn't hold what it looks for.
REGISTRIES = ["pypi" + ".org", "pythonhosted" + ".org", "registry" + ".npmjs", "npmjs" + ".com", "deb.debian" + ".org"]
MACHINE_PATHS = ["/" + "work/", "/" + "root/", "/" + "opt/wheels", "/home" + "/user"]


def test_no_committed_file_names_a_registry_or_a_machines_path() -> None:
    for path in committed_files():
        text = path.read_bytes().decode("utf-8", "replace")
        for word in [*REGISTRIES, *MACHINE_PATHS]:
            assert word not in text, f"{path.relative_to(ROOT)} names {word}"


def test_every_module_says_in_its_first_line_what_it_is_for_and_stays_small() -> None:
    for path in sorted((ROOT / "src").rglob("*.py")):
        lines = path.read_text(encoding="utf-8").splitlines()
        name = path.relative_to(ROOT)
        assert lines, f"{name} is empty"
        assert lines[0].startswith('"""'), f"{name} begins without a docstring"
        assert len(lines) <= 500, f"{name} has {len(lines)} lines: think at 500"


def test_no_type_error_is_silenced() -> None:
    for path in sorted((ROOT / "src").rglob("*.py")):
        assert "type: " + "ignore" not in path.read_text(encoding="utf-8"), path.relative_to(ROOT)
