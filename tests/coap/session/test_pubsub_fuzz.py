"""The fuzz target of publish/subscribe and the resource directory, a few thousand inputs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent.parent


def test_target(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "fuzz" / "fuzz_coap_pubsub.py"),
            "-runs=4000",
            "-plain=1",
            str(tmp_path / "inputs"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert done.stdout.endswith("Done 4000 runs\n")
