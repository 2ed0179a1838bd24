"""Whether DDS can be used here, and what to install when it can't. The rest of the hub runs either way."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

from bridgehead.protocols.dds import cyclone
from bridgehead.security.dds import guard

# Beside libddsc, or as Debian has it in a folder of its own below (DDS Security 1.1 section 9: the built-in plug-ins).
PLUGINS: Final = ("libdds_security_auth.so", "libdds_security_ac.so", "libdds_security_crypto.so")
_BESIDE: Final = ("", "libddsc0debian")
INSTALL: Final = (
    "install cyclonedds-dev and cyclonedds-tools (Debian) or Cyclone DDS 0.10, then run `python tools/cyclonedds.py`"
)
INSTALL_SECURITY: Final = (
    "install Debian's libddsc0debian, or build Cyclone DDS 0.10 with -DENABLE_SECURITY=ON, "
    "then run `python tools/cyclonedds.py`"
)
_CALLS: Final = ("dds_takecdr", "dds_forwardcdr", "dds_create_topic_descriptor", "ddsi_sertype_ops_default")


def _import() -> str:
    """What importing the binding and opening its library said; "" when both went well."""
    try:
        library = cyclone.library()
        for name in _CALLS:
            if name == "ddsi_sertype_ops_default":
                cyclone.ffi().addressof(library, name)
            else:
                getattr(library, name)
    except Exception as error:  # noqa: BLE001 - the binding's own kinds can't be imported from a binding that fails
        return str(error).splitlines()[0] if str(error) else type(error).__name__
    return ""


@cache
def _missing() -> str:
    said = _import()
    return f"DDS needs the Python binding of Cyclone DDS ({said}): {INSTALL}" if said else ""


def missing() -> str:
    """Why no DDS domain can be joined here, and what to do; "" when nothing is missing."""
    return _missing()


def plugin_folder(library_path: Callable[[], str] = cyclone.library_path) -> Path | None:
    """Where Cyclone's security plug-ins are; None when they aren't."""
    beside = Path(library_path()).parent
    for name in _BESIDE:
        if all((beside / name / plugin).is_file() for plugin in PLUGINS):
            return beside / name
    return None


def security_missing() -> str:
    """Why no secured domain can be joined here, and what to do; "" when nothing is missing."""
    said = missing()
    if said:
        return said
    if plugin_folder() is None:
        return f"a secured DDS domain needs Cyclone DDS' security plug-ins: {INSTALL_SECURITY}"
    if guard.library() is None:
        return f"a secured DDS domain needs the hub's authentication plug-in: {guard.REMEDY}"
    return ""
