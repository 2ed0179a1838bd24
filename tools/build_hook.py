"""Hatchling's hook: a wheel carries the compiled rooms where a C compiler is there, and none of them where it isn't.

BRIDGEHEAD_COMPILE=0 builds an interpreted wheel on purpose, BRIDGEHEAD_COMPILE=1 makes a missing compiler an error.
Editable installs stay interpreted: tools/compile.py makes the compiled tree for development.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


def load_compile(root: Path) -> ModuleType:
    """tools/compile.py, which has the list of rooms and runs mypyc."""
    spec = importlib.util.spec_from_file_location("bridgehead_compile", root / "tools" / "compile.py")
    if spec is None or spec.loader is None:
        raise ImportError("tools/compile.py is missing from the source tree")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class CompiledRooms(BuildHookInterface[Any]):
    """Named by `[tool.hatch.build.targets.wheel.hooks.custom]`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        wish = os.environ.get("BRIDGEHEAD_COMPILE", "")
        if version == "editable" or wish == "0":
            return
        root = Path(self.root)
        compile_rooms = load_compile(root)
        if missing := compile_rooms.missing_tool():
            if wish == "1":
                raise RuntimeError(f"BRIDGEHEAD_COMPILE=1, but {missing}")
            self.app.display_warning(f"the wheel stays interpreted: {missing}")
            return
        work = root / "build" / "wheel"
        shutil.rmtree(work, ignore_errors=True)
        library = compile_rooms.build(root / "src", work)
        for file in sorted(library.rglob("*.so")):
            build_data["force_include"][str(file)] = str(file.relative_to(library))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
