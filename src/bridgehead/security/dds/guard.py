"""Where the authentication plug-in of the hub's own is, that tools/cyclonedds.py has built beside the binding.

Cyclone DDS 0.10 authenticates a participant and then believes the GUID in its headers, whosever it is: a patched peer
with a certificate of its own could bear another device's. The plug-in is Cyclone's with that comparison added.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Final

LIBRARY: Final = "libbridgehead_guard.so"
REMEDY: Final = "run `python tools/cyclonedds.py`, which builds it beside the binding"


def library() -> Path | None:
    """None: it is not there."""
    found = importlib.util.find_spec("cyclonedds")
    for folder in (found.submodule_search_locations if found is not None else None) or ():
        path = Path(folder) / LIBRARY
        if path.is_file():
            return path
    return None
