"""Builds the Python binding of Cyclone DDS against the Cyclone DDS of this machine, which has the security plug-ins.

    python tools/cyclonedds.py [PYTHON]     # the environment to install into, this one by default

PyPI's wheels bring a Cyclone DDS of their own, without security. The binding's sources want to be told where the
library is, as one folder with `include`, `lib` and `bin` (CYCLONEDDS_HOME): this script makes one of links, for Debian's
places (cyclonedds-dev, cyclonedds-tools) or for those below a CYCLONEDDS_HOME that is set already.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

PINS = Path(__file__).resolve().parent / "cyclonedds-constraints.txt"
HEADER = Path("include") / "dds" / "dds.h"


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


def main(arguments: list[str]) -> int:
    python = Path(arguments[0] if arguments else sys.executable)
    given = os.environ.get("CYCLONEDDS_HOME", "")
    try:
        if given and (Path(given) / HEADER).exists():
            install(python, Path(given))
        else:
            with tempfile.TemporaryDirectory() as folder:
                install(python, make_home(Path(folder)))
    except Unbuildable as error:
        print(f"cyclonedds: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
