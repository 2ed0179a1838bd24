"""Runs a fuzz target: with atheris, which follows the coverage, or by plain mutation of the seeds where it is missing.

    python fuzz/fuzz_mqtt_decode.py                  # until stopped; new inputs are kept in build/fuzz/
    python fuzz/fuzz_mqtt_decode.py -runs=100000     # bounded
    python fuzz/fuzz_mqtt_decode.py FILE             # one input again
    python fuzz/fuzz_mqtt_decode.py FOLDER           # with another folder of inputs

The compiled rooms cannot be instrumented: the targets load the interpreted source in src/, whatever PYTHONPATH says.
"""

from __future__ import annotations

import hashlib
import importlib.util
import random
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / "build" / "fuzz"
PLAIN = "-plain=1"

Target = Callable[[bytes], None]


def use_the_source() -> AbstractContextManager[Any]:
    """Imports of bridgehead within this context come from src/ and are instrumented where atheris is installed."""
    sys.path[:0] = [str(ROOT / "src"), str(ROOT)]
    if importlib.util.find_spec("atheris") is None or PLAIN in sys.argv:
        return nullcontext()
    import atheris

    context: AbstractContextManager[Any] = atheris.instrument_imports(include=["bridgehead"])
    return context


def run(name: str, target: Target, seeds: list[bytes]) -> None:
    """Writes the seeds to the target's corpus and runs it with the command line's options (those of libFuzzer)."""
    options = [argument for argument in sys.argv[1:] if argument.startswith("-") and argument != PLAIN]
    given = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    given = given or [str(CORPUS / name)]
    folder = Path(given[0])
    if not folder.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        for seed in seeds:
            (folder / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    if importlib.util.find_spec("atheris") is None or PLAIN in sys.argv:
        _run_plainly(target, seeds, options, [file for file in given if Path(file).is_file()])
        return
    import atheris

    atheris.Setup([sys.argv[0], *options, *given], target)
    atheris.Fuzz()


def _run_plainly(target: Target, seeds: list[bytes], options: list[str], files: list[str]) -> None:
    runs = next((int(option.removeprefix("-runs=")) for option in options if option.startswith("-runs=")), 0)
    for file in files:
        target(Path(file).read_bytes())
    if files:
        return
    chance = random.Random(20261122)  # noqa: S311, a fixed seed on purpose: no secret is made here
    for seed in seeds:
        target(seed)
    done = 0
    while runs == 0 or done < runs:
        target(_mutated(chance.choice(seeds), chance))
        done += 1
    sys.stdout.write(f"Done {done} runs\n")


def _mutated(seed: bytes, chance: random.Random) -> bytes:
    octets = bytearray(seed)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(octets) + 1)
        action = chance.randrange(4)
        if action == 0:
            octets[place:place] = chance.randbytes(chance.randint(1, 4))
        elif action == 1:
            del octets[place : place + chance.randint(1, 4)]
        elif action == 2:
            octets[place : place + 1] = chance.choice([b"\x00", b"\x01", b"\x7f", b"\x80", b"\xff", b"+", b"#"])
        else:
            octets[place : place + 1] = chance.randbytes(1)
    return bytes(octets)
