"""Which events the audit log keeps, and of which kind each is. Every event of the hub is in one of the two tables.

`LOSSLESS` kinds are written whatever happens; of the others, which strangers can cause without end, a flood becomes
counted lines.
"""

from __future__ import annotations

from typing import Final

from bridgehead.security.audit.events import FAILED, RECOVERED, SYSLOG_FAILED, SYSLOG_RECOVERED

LOG_IN: Final = "log-in"
REFUSAL: Final = "refusal"  # who was not let in
DENIAL: Final = "denial"  # who was in, and might not
ADMINISTRATION: Final = "administration"
REVOCATION: Final = "revocation"
POLICY: Final = "policy"
CONFIGURATION: Final = "configuration"
CERTIFICATE: Final = "certificate"
RUN: Final = "run"  # start, stop, and what keeps the hub from its work
AUDIT: Final = "audit"  # the log about itself

KINDS: Final = (
    LOG_IN,
    REFUSAL,
    DENIAL,
    ADMINISTRATION,
    REVOCATION,
    POLICY,
    CONFIGURATION,
    CERTIFICATE,
    RUN,
    AUDIT,
)
LOSSLESS: Final = frozenset(KINDS) - {REFUSAL, DENIAL}

# The log's own events.
FILE_OPENED: Final = "audit.file-opened"  # file, previous: the first line of each file
FILE_REMOVED: Final = "audit.file-removed"  # file, last, last_hash, because
CHECKPOINT: Final = "audit.checkpoint"  # signature
TORN: Final = "audit.torn"  # octets, digest: what stands before it was cut off in writing
BROKEN: Final = "audit.broken"  # because: the chain was not as it had been left
CLOCK_BACK: Final = "audit.clock-back"  # seconds, because
SUMMARY: Final = "audit.summary"  # of, count, because: lines left out of a flood
LINES_LOST: Final = "audit.lines-lost"  # count, because

AUDITED: Final[dict[str, str]] = {
    "authentication.accepted": LOG_IN,
    "authentication.refused": REFUSAL,
    "authentication.not-rehashed": ADMINISTRATION,
    "authentication.rehashed": ADMINISTRATION,
    "authentication.locked-out": REFUSAL,
    "authentication.lockout-not-kept": RUN,
    "oscore.sequence-not-kept": RUN,
    "authentication.weak": LOG_IN,
    "device.added": ADMINISTRATION,
    "device.rotated": ADMINISTRATION,
    "device.revoked": REVOCATION,
    "device.removed": REVOCATION,
    "dds.signed": CERTIFICATE,
    "device.enabled": ADMINISTRATION,
    "device.disabled": REVOCATION,
    "device.changed": ADMINISTRATION,
    "device.unlocked": ADMINISTRATION,
    "devices.imported": ADMINISTRATION,
    "device.invited": ADMINISTRATION,
    "invite.redeemed": ADMINISTRATION,
    "act.refused": ADMINISTRATION,
    "policy.applied": POLICY,
    "policy.imported": POLICY,
    "role.added": POLICY,
    "role.changed": POLICY,
    "role.removed": POLICY,
    "group.added": POLICY,
    "group.changed": POLICY,
    "group.removed": POLICY,
    "queue.added": POLICY,
    "queue.changed": POLICY,
    "queue.removed": POLICY,
    "queue.not-applied": POLICY,
    "master-key.rotated": ADMINISTRATION,
    "master-key.protected": ADMINISTRATION,
    "connection.refused": REFUSAL,
    "listener.connection-refused": REFUSAL,
    "listener.handshake-failed": REFUSAL,
    "publish.denied": DENIAL,
    "publish.refused": DENIAL,
    "subscribe.denied": DENIAL,
    "will.denied": DENIAL,
    "subscription.withdrawn": DENIAL,
    "queue.consumer-cancelled": DENIAL,
    "retained.hidden": REVOCATION,
    "retained.shown": REVOCATION,
    "retained.purged": REVOCATION,
    "session.taken-over": LOG_IN,
    "identity.changed": REVOCATION,
    "identity.ended": REVOCATION,
    "identity.permissions-changed": POLICY,
    "identity.registry-unreadable": RUN,
    "identity.unreadable": RUN,
    "certificate.loaded": CERTIFICATE,
    "certificate.unreadable": CERTIFICATE,
    "tls.shim-missing": CONFIGURATION,
    "certificate.expiring": CERTIFICATE,
    "certificate.list-unreadable": CERTIFICATE,
    "certificate.authority-retired": REVOCATION,
    "ca.changed": CERTIFICATE,
    "ca.issued": CERTIFICATE,
    "ca.revoked": REVOCATION,
    "est.enrolled": CERTIFICATE,
    "est.refused": REFUSAL,
    "listener.opened": CONFIGURATION,
    "listener.closed": CONFIGURATION,
    "listener.plaintext": CONFIGURATION,
    "dds.plain": CONFIGURATION,
    "dds.documents-failed": CERTIFICATE,
    "dds.domain-joined": CONFIGURATION,
    "dds.domain-failed": CONFIGURATION,
    "dds.domain-left": CONFIGURATION,
    "dds.participant-found": LOG_IN,
    "dds.route-opened": CONFIGURATION,
    "dds.route-failed": CONFIGURATION,
    "dds.type-learnt": CONFIGURATION,
    "dds.security": REFUSAL,
    "dds.writer-unknown": REFUSAL,
    "dds.owner-unpermitted": DENIAL,
    "dds.owner-changed": LOG_IN,
    "dds.reader-unpermitted": DENIAL,
    "dds.qos-incompatible": CONFIGURATION,
    "dds.inconsistent-topic": CONFIGURATION,
    "node.ceiling-lowered": CONFIGURATION,
    "node.reloaded": CONFIGURATION,
    "node.reload-failed": CONFIGURATION,
    "node.restart-needed": CONFIGURATION,
    "node.starting": RUN,
    "node.ready": RUN,
    "node.stopping": RUN,
    "node.stopped": RUN,
    "node.failed": RUN,
    "node.defect": RUN,
    FILE_OPENED: AUDIT,
    FILE_REMOVED: AUDIT,
    CHECKPOINT: AUDIT,
    TORN: AUDIT,
    BROKEN: AUDIT,
    CLOCK_BACK: AUDIT,
    SUMMARY: AUDIT,
    LINES_LOST: AUDIT,
    RECOVERED: AUDIT,
    SYSLOG_FAILED: AUDIT,
    SYSLOG_RECOVERED: AUDIT,
}

# What is no act of anybody's, or is told by another event that stands above.
NOT_AUDITED: Final[dict[str, str]] = {
    "connection.accepted": "authentication.accepted says more",
    "connection.ended": "the end of a connection is no act on rights",
    "connection.peer-error": "a fault in the protocol, not in the rights",
    "session.created": "follows a log-in that is kept",
    "session.resumed": "follows a log-in that is kept",
    "session.ended": "follows an act that is kept, or a time that ran out",
    "will.published": "permitted traffic",
    "queue.full": "load",
    "queue.declared": "permitted traffic",
    "queue.deleted": "permitted traffic",
    "queue.purged": "permitted traffic",
    "queue.overflowing": "load",
    "queue.dead-letter-lost": "load",
    "exchange.declared": "permitted traffic",
    "exchange.deleted": "permitted traffic",
    "exchange.bound": "permitted traffic",
    "exchange.unbound": "permitted traffic",
    "outbox.full": "load",
    "outbox.drained": "load",
    "store.commit-failed": "the store's health, in the hub's log",
    "store.commit-recovered": "the store's health, in the hub's log",
    "store.recovered": "follows node.starting",
    "store.queues-recovered": "follows node.starting",
    "listener.upgrade-failed": "a fault in HTTP, before anybody was named",
    "listener.accepting-paused": "load",
    "listener.datagrams-dropped": "load",
    "system-topics.refused": "the hub's own figures",
    "dds.participant-gone": "the end of a connection is no act on rights",
    "dds.discovery-full": "load",
    "dds.library": "the library's own words, in the hub's log",
    "dds.samples-lost": "load",
    "dds.sample-refused": "a fault in CDR, in the hub's log",
    "dds.instances-full": "load",
    "dds.instance-ended": "permitted traffic",
    "dds.liveliness-lost": "the state of a device",
    "dds.liveliness-regained": "the state of a device",
    "dds.deadline-missed": "load",
    "dds.message-unfit": "a fault in a payload, in the hub's log",
    "dds.route-slow": "load",
    "log.suppressed": "of the hub's log",
    "log.lines-lost": "of the hub's log",
    FAILED: "the audit log cannot be written then; the hub's log has it",
}

# An act of a new kind is kept before anybody has put it into the table.
_BY_BEGINNING: Final[tuple[tuple[str, str], ...]] = (
    ("authentication.", REFUSAL),
    ("device.revoked", REVOCATION),
    ("device.", ADMINISTRATION),
    ("devices.", ADMINISTRATION),
    ("act.", ADMINISTRATION),
    ("master-key.", ADMINISTRATION),
    ("est.", CERTIFICATE),
    ("role.", ADMINISTRATION),
    ("group.", ADMINISTRATION),
    ("identity.", ADMINISTRATION),
    ("lockout.", ADMINISTRATION),
    ("invite.", ADMINISTRATION),
    ("policy.", POLICY),
    ("ca.", CERTIFICATE),
    ("certificate.", CERTIFICATE),
    ("audit.", AUDIT),
)


def kind_of(event: str) -> str | None:
    """The kind under which the event is kept; None: it is not."""
    kind = AUDITED.get(event)
    if kind is not None or event in NOT_AUDITED:
        return kind
    return next((kind for beginning, kind in _BY_BEGINNING if event.startswith(beginning)), None)
