"""Compiles the pure rooms with mypyc into build/compiled/, beside interpreted copies of all the rest.

    python tools/compile.py              # does nothing when no source has changed
    PYTHONPATH=build/compiled pytest     # the same virtual environment, now compiled

The list of rooms is `[tool.bridgehead.compile]` in pyproject.toml. tools/build_hook.py uses `build()` for wheels.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"
TARGET = ROOT / "build" / "compiled"
WORK = ROOT / "build" / "mypyc"
GROUP = "bridgehead"  # mypyc's name of the one group; its shared object is called bridgehead__mypyc


class CompileError(Exception):
    """The rooms could not be compiled; the text is what a developer has to see."""


def room_patterns() -> list[str]:
    """The patterns of the compiled rooms, relative to src/."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        rooms: list[str] = tomllib.load(file)["tool"]["bridgehead"]["compile"]["rooms"]
    return rooms


def room_modules(source: Path = SOURCE) -> list[str]:
    """The files to compile, relative to `source`, sorted. `__init__.py` stay interpreted: they hold no code."""
    found = {path for pattern in room_patterns() for path in source.glob(pattern) if path.name != "__init__.py"}
    return sorted(str(path.relative_to(source)) for path in found)


def missing_tool() -> str:
    """What keeps this machine from compiling, as a sentence; empty when nothing does."""
    compiler = os.environ.get("CC", sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        return f"there is no C compiler ({compiler})"
    if not (Path(sysconfig.get_paths()["include"]) / "Python.h").exists():
        return f"Python.h is missing in {sysconfig.get_paths()['include']} (Debian: python3-dev)"
    return ""


def fingerprint(source: Path, opt_level: str) -> str:
    """A digest of all that decides what the compiler makes."""
    import mypy.version

    digest = hashlib.sha256(f"{sys.version}|{mypy.version.__version__}|{opt_level}".encode())
    for file in (Path(__file__), ROOT / "tools" / "mypyc_extensions.py", ROOT / "pyproject.toml"):
        digest.update(file.read_bytes())
    for module in room_modules(source):
        digest.update(module.encode() + b"\0" + (source / module).read_bytes())
    return digest.hexdigest()


def build(source: Path, work: Path, opt_level: str = "3", jobs: int | None = None, verbose: bool = False) -> Path:
    """Compile the rooms under `source`; returns the folder that holds the shared objects, laid out as packages.

    mypyc works in a process of its own, in `work`: it changes the folder, and a crash of it is then an error text.
    Raises CompileError.
    """
    modules = room_modules(source)
    if not modules:
        raise CompileError(f"no module under {source} is in a compiled room")
    library = work / "lib"
    # Absolute, because mypyc runs in the source folder.
    command = [sys.executable, str(ROOT / "tools" / "mypyc_extensions.py")]
    command += ["--source", str(source), "--work", str(work), "--library", str(library), "--group", GROUP]
    command += ["--opt-level", opt_level, "--jobs", str(jobs or os.cpu_count() or 1), *modules]
    work.mkdir(parents=True, exist_ok=True)
    run = subprocess.run(command, cwd=source, text=True, stdout=None if verbose else subprocess.PIPE,
                         stderr=None if verbose else subprocess.STDOUT, check=False)  # fmt: skip
    if run.returncode != 0:
        raise CompileError(f"mypyc failed:\n{run.stdout or ''}")
    return library


def lay_out(source: Path, library: Path, target: Path) -> None:
    """Make `target` hold the package and its shared objects, replacing file by file.

    A file is replaced by renaming, never written into: a process that runs from `target` keeps what it has mapped.
    """
    wanted: dict[Path, Path] = {}
    for path in (source / "bridgehead").rglob("*"):
        if is_source(path):
            wanted[path.relative_to(source)] = path
    for path in library.rglob("*.so"):
        wanted[path.relative_to(library)] = path
    for relative, origin in wanted.items():
        place = target / relative
        if place.exists() and place.stat().st_mtime_ns == origin.stat().st_mtime_ns:
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=place.parent, prefix=".new-", delete=False) as file:
            file.write(origin.read_bytes())
        shutil.copystat(origin, file.name)
        os.replace(file.name, place)
    if target.exists():
        for path in [found for found in target.rglob("*") if found.is_file()]:
            if path.relative_to(target) not in wanted and path.suffix != ".pyc" and path.name != STAMP:
                path.unlink()


STAMP = ".fingerprint"


def snapshot(source: Path, copy: Path) -> None:
    """Make `copy` the same as `source`, times included: sources may be edited while they are compiled."""
    wanted = {path.relative_to(source) for path in (source / "bridgehead").rglob("*") if is_source(path)}
    for relative in wanted:
        place = copy / relative
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists() or place.stat().st_mtime_ns != (source / relative).stat().st_mtime_ns:
            shutil.copy2(source / relative, place)
    for path in [found for found in copy.rglob("*") if found.is_file()]:
        if path.relative_to(copy) not in wanted:
            path.unlink()


def is_source(path: Path) -> bool:
    return path.is_file() and path.suffix != ".so" and "__pycache__" not in path.parts


def refresh(opt_level: str = "3", jobs: int | None = None, verbose: bool = False, force: bool = False) -> bool:
    """Bring build/compiled/ up to date; True when something was compiled. Waits for another refresh under way."""
    TARGET.mkdir(parents=True, exist_ok=True)
    with (TARGET.parent / ".compile.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if force:
            shutil.rmtree(WORK, ignore_errors=True)
        source = WORK / "src"
        snapshot(SOURCE, source)
        stamp = TARGET / STAMP
        current = fingerprint(source, opt_level)
        stale = force or not stamp.exists() or stamp.read_text() != current
        if stale:
            build(source, WORK, opt_level, jobs, verbose)
            stamp.unlink(missing_ok=True)
        lay_out(source, WORK / "lib", TARGET)
        stamp.write_text(current)
        return stale


def main() -> int:
    parser = argparse.ArgumentParser(description="Compile the pure rooms with mypyc into build/compiled/.")
    parser.add_argument("--opt-level", default=os.environ.get("MYPYC_OPT_LEVEL", "3"), help="gcc's -O (default 3)")
    parser.add_argument("--jobs", type=int, default=None, help="C files compiled at once (default: one a core)")
    parser.add_argument("--force", action="store_true", help="compile even if nothing has changed")
    parser.add_argument("--verbose", action="store_true", help="show what mypyc and gcc say")
    arguments = parser.parse_args()
    if missing := missing_tool():
        print(f"cannot compile: {missing}", file=sys.stderr)
        return 1
    start = time.monotonic()
    try:
        compiled = refresh(arguments.opt_level, arguments.jobs, arguments.verbose, arguments.force)
    except CompileError as error:
        print(error, file=sys.stderr)
        return 1
    count = len(room_modules())
    if compiled:
        print(f"compiled {count} modules in {time.monotonic() - start:.0f} s into build/compiled/")
    else:
        print(f"build/compiled/ is current ({count} modules)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
