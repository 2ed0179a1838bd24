"""What docs/queues.md gives to be typed, as it stands there: only the ports are others."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.cli.hub import PATIENCE, Hub

PAGE = (Path(__file__).parents[3] / "docs" / "queues.md").read_text(encoding="utf-8")
CONFIG = """
[[listener]]
bind = "127.0.0.1:0"
protocol = "amqp"
[[listener]]
bind = "127.0.0.1:0"
"""


def test_the_readings_reach_the_worker(tmp_path: Path) -> None:
    [block] = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    shim = tmp_path / "bin" / "bridgehead"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} -m bridgehead "$@"\n')
    shim.chmod(0o700)
    rooms = [os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    surroundings = {
        **os.environ,
        "PATH": f"{shim.parent}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(rooms),
    }
    with Hub(tmp_path, CONFIG) as hub:
        for scheme in ("amqps", "mqtts"):
            block = block.replace(f"{scheme}://localhost", f"{scheme}://localhost:{hub.port(scheme)}")
        done = subprocess.run(
            ["bash", "-e", "-c", block],
            cwd=tmp_path,
            env=surroundings,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.rstrip().endswith("19.5")
