"""The fuzz targets of DDS, a few thousand inputs each."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent.parent


@pytest.mark.parametrize("target", ["fuzz_dds_cdr", "fuzz_dds_payloads"])
def test_target(target: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "fuzz" / f"{target}.py"), "-runs=4000", "-plain=1", str(tmp_path / "inputs")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert done.stdout.endswith("Done 4000 runs\n")
