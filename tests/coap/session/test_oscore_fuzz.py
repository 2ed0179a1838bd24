"""The fuzz target of OSCORE, a few thousand inputs; and that it fails when its promise is broken."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent.parent
SOURCE = ROOT / "fuzz" / "fuzz_oscore.py"


def run(file: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(file), "-runs=4000", "-plain=1"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=50, check=False)


def test_target(tmp_path: Path) -> None:
    done = run(SOURCE, tmp_path)
    assert (done.returncode, done.stdout) == (0, "Done 4000 runs\n"), done.stderr[-4000:]


def test_the_target_fails_when_a_request_goes_unanswered(tmp_path: Path) -> None:
    text = SOURCE.read_text(encoding="utf-8").replace("self.responses.append(response)", "str(response)")
    file = tmp_path / "broken.py"
    file.write_text(text.replace("str(Path(__file__).resolve().parent.parent)", repr(str(ROOT))), encoding="utf-8")
    done = run(file, tmp_path)
    assert done.returncode != 0
    assert "0 answers to" in done.stderr
