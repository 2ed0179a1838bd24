"""The fuzz targets of AMQP, a few thousand inputs each."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mqtt.codec.test_fuzz import ENGINES, ROOT


@pytest.mark.parametrize("engine", ENGINES, ids=["plain", "atheris"][: len(ENGINES)])
@pytest.mark.parametrize("target", ["fuzz_amqp_v1", "fuzz_amqp_v091", "fuzz_amqp_dissect"])
def test_target(target: str, engine: str, tmp_path: Path) -> None:
    arguments = ["-runs=3000", "-seed=1", str(tmp_path / "inputs")] + ([engine] if engine == "-plain=1" else [])
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
    [runs] = re.findall(r"^Done (\d+) runs", output, re.MULTILINE)
    assert int(runs) >= 3000


def test_a_target_fails_when_its_promise_is_broken(tmp_path: Path) -> None:
    """So that a fuzz run that says nothing means something."""
    source = (ROOT / "fuzz" / "fuzz_amqp_v1.py").read_text(encoding="utf-8")
    broken = source.replace("found.without([]) != octets", "found.without([]) == octets").replace(
        "Path(__file__).resolve().parent.parent", f"Path({str(ROOT)!r})"
    )
    assert broken.count(str(ROOT)) == 1
    script = tmp_path / "fuzz_broken.py"
    script.write_text(broken, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script), "-runs=3000", "-plain=1", str(tmp_path / "inputs")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode != 0
    assert "the sections are not the message" in done.stderr
