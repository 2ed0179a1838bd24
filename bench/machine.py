"""What a measurement was made on: processor, kernel, versions, commit. No host names, no paths."""

from __future__ import annotations

import os
import platform
import re
import ssl
import subprocess
from pathlib import Path

from bench.hub import environment_note
from bench.mosquitto import version as mosquitto_version
from bridgehead import __version__


def processor() -> str:
    """The processor's model name."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "Hardware", "Model")):
            return " ".join(line.partition(":")[2].split())
    return platform.machine()


def slug(text: str) -> str:
    """A model name as a part of a file's name."""
    words = re.sub(r"\((R|TM|C)\)|CPU|Processor|@.*", " ", text, flags=re.IGNORECASE)
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-") or "unknown"


def commit() -> str:
    """The commit that is measured, with "+changes" when the work tree differs from it."""
    root = Path(__file__).resolve().parent.parent
    try:
        name = git(root, "rev-parse", "--short=12", "HEAD")
        return name + ("+changes" if git(root, "status", "--porcelain", "--untracked-files=no", "src") else "")
    except (OSError, subprocess.CalledProcessError):
        return "not a git work tree"


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(root), *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def describe() -> dict[str, str]:
    """What stands above the table."""
    return {
        "processor": f"{processor()}, {os.cpu_count()} cores",
        "memory": f"{memory_gib():.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}, {ssl.OPENSSL_VERSION}",
        "bridgehead": f"{__version__} ({commit()}), {environment_note()}",
        "mosquitto": mosquitto_version(),
    }
