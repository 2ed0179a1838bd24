"""What the log does with each event: its level, and how many lines a minute it may fill.

The names are those of the rooms below (`broker.events`, `security.events`, `transport.events`) and the node's own.
An event that a stranger can cause has a small quota: a flood of it becomes a counted line.
"""

from __future__ import annotations

import logging
from typing import Final

from bridgehead.broker import events
from bridgehead.protocols.dds import events as dds
from bridgehead.security import events as identities
from bridgehead.security.audit import events as audit
from bridgehead.security.policy import events as policies
from bridgehead.transport import events as arrivals

STARTING: Final = "node.starting"
READY: Final = "node.ready"
STOPPING: Final = "node.stopping"
STOPPED: Final = "node.stopped"
FAILED: Final = "node.failed"  # because: the hub could not start, or had to end
RELOADED: Final = "node.reloaded"
RELOAD_FAILED: Final = "node.reload-failed"
RESTART_NEEDED: Final = "node.restart-needed"
CEILING_LOWERED: Final = "node.ceiling-lowered"
DEFECT: Final = "node.defect"
LISTENER_OPENED: Final = "listener.opened"
LISTENER_CLOSED: Final = "listener.closed"
LISTENER_PLAINTEXT: Final = "listener.plaintext"
DDS_PLAIN: Final = "dds.plain"  # a domain without security
DDS_DOCUMENTS_FAILED: Final = "dds.documents-failed"  # secured domains stay as they are
CERTIFICATES_LOADED: Final = "certificate.loaded"
CERTIFICATES_UNREADABLE: Final = "certificate.unreadable"
# what, name, days, ends (seconds since the epoch)
CERTIFICATE_EXPIRING: Final = "certificate.expiring"
# because: a revocation list of another authority
LIST_UNREADABLE: Final = "certificate.list-unreadable"
# authority, devices: how many lost certificates with it
AUTHORITY_RETIRED: Final = "certificate.authority-retired"
TLS_SHIM_MISSING: Final = "tls.shim-missing"
IDENTITY_CHANGED: Final = "identity.changed"
IDENTITY_ENDED: Final = "identity.ended"
PERMISSIONS_CHANGED: Final = "identity.permissions-changed"
IDENTITIES_UNREADABLE: Final = "identity.registry-unreadable"
QUEUE_NOT_APPLIED: Final = "queue.not-applied"  # what the owner says of it and what is there exclude one another
FIGURES_REFUSED: Final = "system-topics.refused"
SUPPRESSED: Final = "log.suppressed"
LINES_LOST: Final = "log.lines-lost"

WINDOW: Final = 60.0  # seconds to which a quota applies

_RARE: Final = 20
_BUSY: Final = 600


class Entry:
    """`level` is one of logging's; `quota` is in lines per WINDOW."""

    def __init__(self, level: int, quota: int) -> None:
        self.level: Final = level
        self.quota: Final = quota


# An event that is not in the table: somebody added it in a room below and it shall be seen.
UNKNOWN: Final = Entry(logging.INFO, _RARE)

VOCABULARY: Final[dict[str, Entry]] = {
    events.SESSION_CREATED: Entry(logging.DEBUG, _BUSY),
    events.SESSION_RESUMED: Entry(logging.DEBUG, _BUSY),
    events.SESSION_TAKEN_OVER: Entry(logging.INFO, _RARE),
    events.SESSION_ENDED: Entry(logging.DEBUG, _BUSY),
    # Before it stands authentication.accepted, which says more.
    events.CONNECTED: Entry(logging.DEBUG, _BUSY),
    events.DISCONNECTED: Entry(logging.INFO, _BUSY),
    events.REFUSED: Entry(logging.WARNING, _RARE),
    events.PEER_ERROR: Entry(logging.WARNING, _RARE),
    events.PUBLISH_DENIED: Entry(logging.WARNING, 60),
    events.PUBLISH_REFUSED: Entry(logging.WARNING, _RARE),
    events.SUBSCRIBE_DENIED: Entry(logging.WARNING, 60),
    events.SUBSCRIPTION_WITHDRAWN: Entry(logging.WARNING, _BUSY),
    events.RETAINED_HIDDEN: Entry(logging.INFO, _BUSY),
    events.RETAINED_SHOWN: Entry(logging.INFO, _BUSY),
    events.RETAINED_PURGED: Entry(logging.INFO, _BUSY),
    events.SUBSCRIPTION_WITHDRAWN: Entry(logging.WARNING, _BUSY),
    events.RETAINED_HIDDEN: Entry(logging.INFO, _BUSY),
    events.RETAINED_SHOWN: Entry(logging.INFO, _BUSY),
    events.RETAINED_PURGED: Entry(logging.WARNING, _BUSY),
    events.WILL_PUBLISHED: Entry(logging.INFO, _BUSY),
    events.WILL_DENIED: Entry(logging.WARNING, _RARE),
    events.QUEUE_FULL: Entry(logging.WARNING, _RARE),
    events.QUEUE_DECLARED: Entry(logging.INFO, _BUSY),
    events.QUEUE_DELETED: Entry(logging.INFO, _BUSY),
    events.QUEUE_PURGED: Entry(logging.WARNING, _RARE),
    events.QUEUE_OVERFLOWING: Entry(logging.WARNING, _RARE),
    events.CONSUMER_CANCELLED: Entry(logging.WARNING, _BUSY),
    events.DEAD_LETTER_LOST: Entry(logging.WARNING, _RARE),
    events.OUTBOX_FULL: Entry(logging.WARNING, _RARE),
    events.OUTBOX_DRAINED: Entry(logging.WARNING, _RARE),
    events.COMMIT_FAILED: Entry(logging.ERROR, _RARE),
    events.COMMIT_RECOVERED: Entry(logging.WARNING, _RARE),
    events.RECOVERED: Entry(logging.INFO, _RARE),
    events.EXCHANGE_DECLARED: Entry(logging.INFO, _BUSY),
    events.EXCHANGE_DELETED: Entry(logging.INFO, _BUSY),
    events.EXCHANGE_BOUND: Entry(logging.DEBUG, _BUSY),
    events.EXCHANGE_UNBOUND: Entry(logging.DEBUG, _BUSY),
    events.QUEUES_RECOVERED: Entry(logging.INFO, _RARE),
    STARTING: Entry(logging.INFO, _RARE),
    READY: Entry(logging.INFO, _RARE),
    STOPPING: Entry(logging.INFO, _RARE),
    STOPPED: Entry(logging.INFO, _RARE),
    FAILED: Entry(logging.ERROR, _RARE),
    RELOADED: Entry(logging.INFO, _RARE),
    RELOAD_FAILED: Entry(logging.ERROR, _RARE),
    RESTART_NEEDED: Entry(logging.WARNING, _RARE),
    CEILING_LOWERED: Entry(logging.WARNING, _RARE),
    DEFECT: Entry(logging.ERROR, _RARE),
    LISTENER_OPENED: Entry(logging.INFO, _BUSY),
    LISTENER_CLOSED: Entry(logging.INFO, _BUSY),
    LISTENER_PLAINTEXT: Entry(logging.WARNING, _BUSY),
    DDS_PLAIN: Entry(logging.WARNING, _BUSY),
    DDS_DOCUMENTS_FAILED: Entry(logging.ERROR, _RARE),
    dds.DOMAIN_JOINED: Entry(logging.INFO, _BUSY),
    dds.DOMAIN_FAILED: Entry(logging.ERROR, _BUSY),
    dds.DOMAIN_LEFT: Entry(logging.INFO, _BUSY),
    dds.PARTICIPANT_FOUND: Entry(logging.INFO, _BUSY),
    dds.PARTICIPANT_GONE: Entry(logging.INFO, _BUSY),
    dds.DISCOVERY_FULL: Entry(logging.WARNING, _RARE),
    dds.ROUTE_OPENED: Entry(logging.INFO, _BUSY),
    dds.ROUTE_FAILED: Entry(logging.ERROR, _BUSY),
    dds.TYPE_LEARNT: Entry(logging.WARNING, _RARE),
    dds.SECURITY_SAID: Entry(logging.WARNING, 60),
    dds.LIBRARY_SAID: Entry(logging.WARNING, _RARE),
    dds.SAMPLES_LOST: Entry(logging.WARNING, _RARE),
    dds.WRITER_UNKNOWN: Entry(logging.WARNING, _RARE),
    dds.OWNER_UNPERMITTED: Entry(logging.WARNING, _RARE),
    dds.SAMPLE_REFUSED: Entry(logging.WARNING, _RARE),
    dds.INSTANCES_FULL: Entry(logging.WARNING, _RARE),
    dds.INSTANCE_ENDED: Entry(logging.INFO, _RARE),
    dds.OWNER_CHANGED: Entry(logging.WARNING, 60),
    dds.LIVELINESS_LOST: Entry(logging.WARNING, 60),
    dds.LIVELINESS_REGAINED: Entry(logging.INFO, 60),
    dds.DEADLINE_MISSED: Entry(logging.WARNING, _RARE),
    dds.QOS_INCOMPATIBLE: Entry(logging.WARNING, _RARE),
    dds.INCONSISTENT_TOPIC: Entry(logging.WARNING, _RARE),
    dds.READER_UNPERMITTED: Entry(logging.WARNING, 60),
    dds.MESSAGE_UNFIT: Entry(logging.WARNING, _RARE),
    dds.ROUTE_SLOW: Entry(logging.WARNING, _RARE),
    arrivals.CONNECTION_REFUSED: Entry(logging.WARNING, _RARE),
    arrivals.HANDSHAKE_FAILED: Entry(logging.INFO, _RARE),
    arrivals.UPGRADE_FAILED: Entry(logging.INFO, _RARE),
    arrivals.ACCEPTING_PAUSED: Entry(logging.ERROR, _RARE),
    arrivals.DATAGRAMS_DROPPED: Entry(logging.WARNING, _RARE),
    identities.AUTHENTICATED: Entry(logging.INFO, _BUSY),
    identities.AUTHENTICATION_REFUSED: Entry(logging.WARNING, 60),
    identities.PASSWORD_REHASHED: Entry(logging.INFO, _RARE),
    identities.PASSWORD_NOT_REHASHED: Entry(logging.WARNING, _RARE),
    identities.LOCKED_OUT: Entry(logging.WARNING, 60),
    identities.LOCKOUT_NOT_KEPT: Entry(logging.ERROR, _RARE),
    identities.SEQUENCE_NOT_KEPT: Entry(logging.ERROR, _RARE),
    identities.WEAK_LOGIN: Entry(logging.WARNING, _RARE),
    identities.DEVICE_ADDED: Entry(logging.INFO, _BUSY),
    identities.DEVICE_ROTATED: Entry(logging.INFO, _BUSY),
    identities.DEVICE_REVOKED: Entry(logging.WARNING, _BUSY),
    identities.DEVICE_REMOVED: Entry(logging.WARNING, _BUSY),
    identities.DEVICE_ENABLED: Entry(logging.INFO, _BUSY),
    identities.DEVICE_DISABLED: Entry(logging.WARNING, _BUSY),
    identities.DEVICE_CHANGED: Entry(logging.INFO, _BUSY),
    identities.DEVICE_UNLOCKED: Entry(logging.INFO, _BUSY),
    identities.DEVICES_IMPORTED: Entry(logging.INFO, _BUSY),
    identities.DEVICE_INVITED: Entry(logging.INFO, _BUSY),
    identities.INVITE_REDEEMED: Entry(logging.INFO, _BUSY),
    policies.POLICY_APPLIED: Entry(logging.INFO, _BUSY),
    policies.POLICY_IMPORTED: Entry(logging.INFO, _BUSY),
    policies.ROLE_ADDED: Entry(logging.INFO, _BUSY),
    policies.ROLE_CHANGED: Entry(logging.INFO, _BUSY),
    policies.ROLE_REMOVED: Entry(logging.INFO, _BUSY),
    policies.GROUP_ADDED: Entry(logging.INFO, _BUSY),
    policies.GROUP_CHANGED: Entry(logging.INFO, _BUSY),
    policies.GROUP_REMOVED: Entry(logging.INFO, _BUSY),
    policies.QUEUE_ADDED: Entry(logging.INFO, _BUSY),
    policies.QUEUE_CHANGED: Entry(logging.INFO, _BUSY),
    policies.QUEUE_REMOVED: Entry(logging.INFO, _BUSY),
    QUEUE_NOT_APPLIED: Entry(logging.ERROR, _RARE),
    identities.ACT_REFUSED: Entry(logging.WARNING, _BUSY),
    identities.MASTER_KEY_ROTATED: Entry(logging.WARNING, _RARE),
    identities.MASTER_KEY_PROTECTED: Entry(logging.WARNING, _RARE),
    identities.MASTER_KEY_PROTECTED: Entry(logging.WARNING, _RARE),
    identities.RECORD_UNREADABLE: Entry(logging.ERROR, _RARE),
    CERTIFICATES_LOADED: Entry(logging.INFO, _RARE),
    CERTIFICATES_UNREADABLE: Entry(logging.ERROR, _RARE),
    CERTIFICATE_EXPIRING: Entry(logging.WARNING, _BUSY),
    LIST_UNREADABLE: Entry(logging.ERROR, _RARE),
    AUTHORITY_RETIRED: Entry(logging.WARNING, _RARE),
    TLS_SHIM_MISSING: Entry(logging.WARNING, _RARE),
    identities.AUTHORITY_CHANGED: Entry(logging.WARNING, _BUSY),
    identities.CERTIFICATE_ISSUED: Entry(logging.INFO, _BUSY),
    identities.CERTIFICATE_REVOKED: Entry(logging.WARNING, _BUSY),
    identities.DEVICE_ENROLLED: Entry(logging.INFO, _BUSY),
    identities.ENROLMENT_REFUSED: Entry(logging.WARNING, 60),
    identities.DDS_SIGNED: Entry(logging.INFO, _BUSY),
    IDENTITY_CHANGED: Entry(logging.INFO, _BUSY),
    IDENTITY_ENDED: Entry(logging.INFO, _BUSY),
    PERMISSIONS_CHANGED: Entry(logging.INFO, _BUSY),
    IDENTITIES_UNREADABLE: Entry(logging.ERROR, _RARE),
    FIGURES_REFUSED: Entry(logging.WARNING, _RARE),
    audit.FAILED: Entry(logging.ERROR, _RARE),
    audit.RECOVERED: Entry(logging.WARNING, _RARE),
    audit.SYSLOG_FAILED: Entry(logging.WARNING, _RARE),
    audit.SYSLOG_RECOVERED: Entry(logging.INFO, _RARE),
    SUPPRESSED: Entry(logging.WARNING, 10_000),
    LINES_LOST: Entry(logging.WARNING, _RARE),
}
