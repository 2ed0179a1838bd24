"""Writes constraints.txt: every dependency of pyproject.toml at one version, with the hashes of all its files.

    python tools/lock.py [--upgrade]      # keeps the versions that stand there, unless told to upgrade

Names no registry: pip takes the files from wherever it is set up to, and the hashes say that they are the right ones.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEAD = """\
# Every dependency of Bridgehead (pyproject.toml, with the extra `dev`) at one version, with the hashes of its files.
# `make setup` installs exactly this. Made by tools/lock.py: don't edit by hand.
"""


def main() -> int:
    target = ROOT / "constraints.txt"
    command = [sys.executable, "-m", "piptools", "compile", "--quiet", "--extra", "dev", "--generate-hashes"]
    command += ["--allow-unsafe", "--no-header", "--strip-extras", "--no-emit-index-url", "--no-emit-trusted-host"]
    command += ["--no-emit-find-links", "--no-emit-options", "--no-build-isolation", "--output-file", str(target)]
    command += [*sys.argv[1:], "pyproject.toml"]
    status = subprocess.run(command, cwd=ROOT, env={**os.environ, "BRIDGEHEAD_COMPILE": "0"}, check=False).returncode
    if status != 0:
        return status
    text = target.read_text().replace(str(ROOT) + "/", "")
    if "://" in text:
        print("constraints.txt would name an address: look at pip's configuration", file=sys.stderr)
        return 1
    target.write_text(HEAD + text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
