"""The fuzz targets, a few thousand inputs each."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent.parent
# atheris is not made for every machine; plain mutation works on all.
ENGINES = ["-plain=1"] + (["-plain=0"] if importlib.util.find_spec("atheris") else [])


@pytest.mark.parametrize("engine", ENGINES, ids=["plain", "atheris"][: len(ENGINES)])
@pytest.mark.parametrize("target", ["fuzz_mqtt_decode", "fuzz_dissect"])
def test_target(target: str, engine: str, tmp_path: Path) -> None:
    arguments = ["-runs=4000", "-seed=1", str(tmp_path / "inputs")] + ([engine] if engine == "-plain=1" else [])
    done = subprocess.run(
        [sys.executable, str(ROOT / "fuzz" / f"{target}.py"), *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output[-4000:]
    # libFuzzer ends with the batch that reaches the number.
    [runs] = re.findall(r"^Done (\d+) runs", output, re.MULTILINE)
    assert int(runs) >= 4000


def test_a_target_fails_when_its_promise_is_broken(tmp_path: Path) -> None:
    """So that a fuzz run that says nothing means something."""
    source = (ROOT / "fuzz" / "fuzz_mqtt_decode.py").read_text(encoding="utf-8")
    broken = source.replace("MAXIMUM + len(part)", "1").replace(
        "str(Path(__file__).resolve().parent.parent)", repr(str(ROOT))
    )
    file = tmp_path / "broken.py"
    file.write_text(broken, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(file), "-runs=4000", "-plain=1"], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode != 0
    assert "octets are held" in done.stderr
