"""What of the resource directory can be set."""

from __future__ import annotations

from mypy_extensions import mypyc_attr


@mypyc_attr(allow_interpreted_subclasses=True)
class DirectorySettings:
    """Ceilings, and times in seconds."""

    def __init__(self) -> None:
        self.enabled: bool = True
        self.registrations: int = 10_000
        self.registrations_per_identity: int = 1000
        self.links: int = 200  # of one registration
        self.octets: int = 16_384  # of one registration's links and attributes
        self.watchers: int = 1000  # observations of look-ups
        self.watchers_per_peer: int = 16
        self.fetch_timeout: float = 30.0  # for each block of what a simple registration has the hub read
        self.fetches: int = 64  # under way at a time, one for each peer; and so many answers are kept while they hold
        self.look_interval: float = 1.0  # between two looks whether something has changed, while somebody observes
