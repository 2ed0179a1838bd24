"""Writes the pins: every dependency at one version, with the hashes of all its files.

    python tools/lock.py [--upgrade]      # keeps the versions that stand there, unless told to upgrade

constraints.txt is for pyproject.toml with the extra `dev`. sslyze, the clients of AMQP and ROS 2 have pins and
environments of their own: the first asks for an older `cryptography` than the hub shall have, the others are many that
it never imports.
Names no registry: pip takes the files from wherever it is set up to, and the hashes say that they are the right ones.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SSLYZE = ROOT / "tests" / "peers" / "sslyze"
AMQP = ROOT / "tests" / "peers" / "amqp"
DDS = ROOT / "tests" / "peers" / "dds"
HEAD = """\
# Every dependency of {what} at one version, with the hashes of its files.
# `make setup` installs exactly this. Made by tools/lock.py: don't edit by hand.
"""


def lock(source: Path, target: Path, what: str, *options: str) -> bool:
    """Whether it worked; the reason stands on standard error."""
    command = [sys.executable, "-m", "piptools", "compile", "--quiet", "--generate-hashes"]
    command += ["--allow-unsafe", "--no-header", "--strip-extras", "--no-emit-index-url", "--no-emit-trusted-host"]
    command += ["--no-emit-find-links", "--no-emit-options", "--output-file", str(target), *options, str(source)]
    if subprocess.run(command, cwd=ROOT, env={**os.environ, "BRIDGEHEAD_COMPILE": "0"}, check=False).returncode:
        return False
    text = target.read_text().replace(str(ROOT) + "/", "")
    if "://" in text:
        print(f"{target.name} would name an address: look at pip's configuration", file=sys.stderr)
        return False
    target.write_text(HEAD.format(what=what) + text)
    return True


def main() -> int:
    options = sys.argv[1:]
    what = "Bridgehead (pyproject.toml, with the extra `dev`)"
    done = lock(ROOT / "pyproject.toml", ROOT / "constraints.txt", what, "--extra", "dev", *options)
    done = done and lock(SSLYZE / "requirements.in", SSLYZE / "constraints.txt", "sslyze (requirements.in)", *options)
    peers = "the AMQP clients that tests run (requirements.in)"
    done = done and lock(AMQP / "requirements.in", AMQP / "constraints.txt", peers, *options)
    ros = "ROS 2, which tests run (requirements.in)"
    done = done and lock(DDS / "requirements.in", DDS / "constraints.txt", ros, *options)
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main())
