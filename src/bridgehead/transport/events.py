"""The names of what the transport reports: `on_event(name, fields)`. Field values are texts and numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

OnEvent = Callable[[str, dict[str, object]], None]

# listener, peer, because
CONNECTION_REFUSED: Final = "listener.connection-refused"
# listener, peer, because
HANDSHAKE_FAILED: Final = "listener.handshake-failed"
# listener, peer, status (HTTP; 0: none was sent), because
UPGRADE_FAILED: Final = "listener.upgrade-failed"
# listener, because, seconds
ACCEPTING_PAUSED: Final = "listener.accepting-paused"
# listener, count, because: datagrams that could not be taken or sent, told once a minute
DATAGRAMS_DROPPED: Final = "listener.datagrams-dropped"
