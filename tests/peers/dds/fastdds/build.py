"""Builds the Fast DDS peer into fastdds/build: types from the IDL by fastddsgen, then one program by g++.

    python3 tests/peers/dds/fastdds/build.py

Needs Debian's libfastrtps-dev, fastddsgen and g++. Standard library only.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = HERE / "build"
PROGRAM = BUILD / "peer"
SOURCES = (HERE / "peer.idl", HERE / "peer.cpp", Path(__file__).resolve())  # what a new build depends on


def build() -> None:
    """Errors: CalledProcessError, with the compiler's words on standard error."""
    BUILD.mkdir(exist_ok=True)
    generate = ["fastddsgen", "-replace", "-d", str(BUILD), "peer.idl"]
    subprocess.run(generate, cwd=HERE, check=True, stdout=subprocess.DEVNULL)
    generated = [str(BUILD / "peer.cxx"), str(BUILD / "peerPubSubTypes.cxx")]
    link = ["-o", str(PROGRAM), str(HERE / "peer.cpp"), *generated, "-lfastrtps", "-lfastcdr"]
    subprocess.run(["g++", "-O1", "-std=c++17", "-Wall", "-Wextra", f"-I{BUILD}", *link], check=True)


if __name__ == "__main__":
    try:
        build()
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"the Fast DDS peer isn't built: {error}")
