"""The one error of the codec's decoder, and the one of its encoder."""

from __future__ import annotations

from bridgehead.wire.errors import PeerError


class CdrError(PeerError):
    """The octets are no sample of the type. `at` counts from the encapsulation header; `path` names the member."""

    def __init__(self, text: str, at: int = -1, path: str = "") -> None:
        super().__init__(f"{path}: {text}" if path else text, at=at)
        self.because = text
        self.path = path


class Unencodable(Exception):
    """The value is none of the type. `path` names the member ("pose.position.x", "points[3]"), "" the whole."""

    def __init__(self, because: str, path: str = "") -> None:
        super().__init__(f"{path}: {because}" if path else because)
        self.because = because
        self.path = path


def below(name: str, path: str) -> str:
    """The path of `path` inside of the member `name` ("" for the member itself)."""
    if not path:
        return name
    return name + path if path.startswith("[") else f"{name}.{path}"
