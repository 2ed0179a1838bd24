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
SECURITY_SAID: Final = "dds.security"  # Cyclone's authentication or access control, in its own words
LIBRARY_SAID: Final = "dds.library"  # Cyclone DDS about anything else
TYPE_LEARNT: Final = "dds.type-learnt"  # by asking whoever announced the topic, in clear
SAMPLES_LOST: Final = "dds.samples-lost"  # never came, or were larger than the configuration allows
# Of routes. What a flood could repeat is told once and then counted (`times`).
WRITER_UNKNOWN: Final = "dds.writer-unknown"  # nobody's certificate stands behind it: its samples are refused
OWNER_UNPERMITTED: Final = "dds.owner-unpermitted"  # it writes where ownership is exclusive and may not be a stand-by
SAMPLE_REFUSED: Final = "dds.sample-refused"  # it is no sample of the route's type, or makes no topic
INSTANCES_FULL: Final = "dds.instances-full"  # the route has as many instances as it may: new ones are refused
INSTANCE_ENDED: Final = "dds.instance-ended"  # disposed, or without writers, where nothing retained says so
OWNER_CHANGED: Final = "dds.owner-changed"
LIVELINESS_LOST: Final = "dds.liveliness-lost"
LIVELINESS_REGAINED: Final = "dds.liveliness-regained"
DEADLINE_MISSED: Final = "dds.deadline-missed"
QOS_INCOMPATIBLE: Final = "dds.qos-incompatible"
INCONSISTENT_TOPIC: Final = "dds.inconsistent-topic"  # somebody's type of it is another (DDS 1.4 section 2.2.4.1)
READER_UNPERMITTED: Final = "dds.reader-unpermitted"  # a message was not written: who would read it may not
MESSAGE_UNFIT: Final = "dds.message-unfit"  # a message of the hub that is no sample of the route's type
ROUTE_SLOW: Final = "dds.route-slow"  # messages sent at most once were dropped: the writer had no room
