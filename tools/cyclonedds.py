"""Builds the Python binding of Cyclone DDS against the Cyclone DDS of this machine, which has the security plug-ins.

    python tools/cyclonedds.py [PYTHON]     # the environment to install into, this one by default

PyPI's wheels bring a Cyclone DDS of their own, without security. The binding's sources want to be told where the
library is, as one folder with `include`, `lib` and `bin` (CYCLONEDDS_HOME): this script makes one of links, for
Debian's places (cyclonedds-dev, cyclonedds-tools) or for those below a CYCLONEDDS_HOME that is set already.

Beside the binding comes what secured domains need besides: the authentication plug-in of cyclonedds_guard.c.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

PINS = Path(__file__).resolve().parent / "cyclonedds-constraints.txt"
HEADER = Path("include") / "dds" / "dds.h"
GUARD = Path(__file__).resolve().parent / "cyclonedds_guard.c"
GUARD_LIBRARY = "libbridgehead_guard.so"  # as security/dds/guard.py looks for it
BATCH = Path(__file__).resolve().parent / "cyclonedds_batch.c"  # takes samples by the batch
BATCH_LIBRARY = "libbridgehead_batch.so"
PLUGIN = "libdds_security_auth.so"
_WHERE = "import importlib.util; print(importlib.util.find_spec('cyclonedds').submodule_search_locations[0])"


class Unbuildable(Exception):
    """The text says what is missing and what brings it."""


def library_folder() -> Path:
    """Where Debian has libddsc.so."""
    found = sorted(Path("/usr/lib").glob("*/libddsc.so")) + sorted(Path("/usr/lib").glob("libddsc.so"))
    if not found or not (Path("/usr") / HEADER).exists():
        raise Unbuildable(
            "Cyclone DDS is not here: install cyclonedds-dev and cyclonedds-tools (Debian), or build Cyclone DDS 0.10 "
            "with -DENABLE_SECURITY=ON and set CYCLONEDDS_HOME to where it was installed"
        )
    return found[0].parent


def make_home(folder: Path) -> Path:
    """A folder as the binding's sources want it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, target in (("include", Path("/usr/include")), ("bin", Path("/usr/bin")), ("lib", library_folder())):
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(target)
    return folder


def install(python: Path, home: Path) -> None:
    """Each file is checked against its hash, and built with the environment's own setuptools."""
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet"]
    command += ["--no-deps", "--no-build-isolation", "--no-binary", "cyclonedds", "--force-reinstall", "--no-cache-dir"]
    command += ["--require-hashes", "-r", str(PINS)]
    environment = {**os.environ, "CYCLONEDDS_HOME": str(home)}
    status = subprocess.run(command, env=environment, check=False).returncode
    if status:
        raise Unbuildable(f"pip could not build the binding (exit code {status}): its output above says why")


def build_guard(python: Path, home: Path) -> None:
    """Into the binding's folder. A Cyclone DDS without security has no use for it."""
    libraries = (home / "lib").resolve()
    plugins = [libraries / PLUGIN, *sorted(libraries.glob(f"libddsc*/{PLUGIN}"))]
    plugin = next((each for each in plugins if each.exists()), None)
    if plugin is None:
        print(f"cyclonedds: no {PLUGIN} below {libraries}: secured domains will not start", file=sys.stderr)
        return
    compile_beside(python, home, GUARD, GUARD_LIBRARY, [f'-DAUTHENTICATION="{plugin}"'])


def compile_beside(python: Path, home: Path, source: Path, name: str, options: list[str]) -> None:
    """One C source into the shared library `name` in the binding's folder."""
    libraries = (home / "lib").resolve()
    found = subprocess.run([str(python), "-c", _WHERE], capture_output=True, text=True, check=True)
    output = Path(found.stdout.strip()) / name
    command = [os.environ.get("CC", "cc"), "-std=gnu11", "-O2", "-shared", "-fPIC", "-fvisibility=hidden"]
    command += [*options, f"-I{home / 'include'}", "-o", str(output), str(source)]
    command += [f"-L{libraries}", f"-Wl,-rpath,{libraries}", "-lddsc", "-ldl", "-lpthread"]
    try:
        built = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Unbuildable("there is no C compiler: install gcc") from None
    if built.returncode:
        raise Unbuildable(f"{source.name} could not be compiled:\n{built.stderr}")


def main(arguments: list[str]) -> int:
    python = Path(arguments[0] if arguments else sys.executable)
    given = os.environ.get("CYCLONEDDS_HOME", "")
    try:
        if given and (Path(given) / HEADER).exists():
            install(python, Path(given))
            build_guard(python, Path(given))
            compile_beside(python, Path(given), BATCH, BATCH_LIBRARY, [])
        else:
            with tempfile.TemporaryDirectory() as folder:
                home = make_home(Path(folder))
                install(python, home)
                build_guard(python, home)
                compile_beside(python, home, BATCH, BATCH_LIBRARY, [])
    except Unbuildable as error:
        print(f"cyclonedds: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
