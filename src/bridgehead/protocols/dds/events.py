"""What happens in DDS, as words for log, metrics, audit and web page."""

from __future__ import annotations

from typing import Final

DOMAIN_JOINED: Final = "dds.domain-joined"
DOMAIN_FAILED: Final = "dds.domain-failed"  # `because` says what to do; the rest of the hub goes on
DOMAIN_LEFT: Final = "dds.domain-left"
PARTICIPANT_FOUND: Final = "dds.participant-found"
PARTICIPANT_GONE: Final = "dds.participant-gone"
DISCOVERY_FULL: Final = "dds.discovery-full"  # more participants or endpoints than the configuration lets be remembered
ROUTE_OPENED: Final = "dds.route-opened"
ROUTE_FAILED: Final = "dds.route-failed"
SAMPLES_LOST: Final = "dds.samples-lost"  # never came, or were larger than the configuration allows
