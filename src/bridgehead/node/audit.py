"""The audit log as the configuration wants it, beside the hub's own log."""

from __future__ import annotations

from pathlib import Path

from bridgehead.core.errors import UNAVAILABLE, Refusal
from bridgehead.node.audit_settings import Audit
from bridgehead.node.configuration import Config
from bridgehead.node.log import EventLog
from bridgehead.node.vocabulary import FAILED
from bridgehead.security.audit.acts import operator
from bridgehead.security.audit.folder import FOLDER
from bridgehead.security.audit.journal import append
from bridgehead.security.audit.log import AuditLog
from bridgehead.security.audit.settings import Rules
from bridgehead.security.audit.syslog import Target


def open_audit(config: Config, log: EventLog) -> AuditLog:
    """From now on each event that `log` gets is offered to the audit log too. Errors: SecurityError."""
    chosen = config.audit
    audit = AuditLog(
        config.data, _rules(chosen), log.write, refuse=chosen.on_failure == "refuse", syslog=_target(chosen)
    )
    log.audit = audit
    return audit


def apply_audit(config: Config, audit: AuditLog) -> None:
    """Put a reloaded configuration in force. Errors: SecurityError, OSError; then everything is as it was."""
    chosen = config.audit
    audit.reconfigure(_rules(chosen), chosen.on_failure == "refuse", _target(chosen))


def record_failed_start(data: Path, because: str) -> None:
    """The hub does not even begin: its configuration is wrong. A folder in which no hub has run stays as it is.

    Errors: SecurityError.
    """
    if (data / FOLDER).is_dir():
        append(data, FAILED, {"because": because, "by": operator()})


def admit_log_in(audit: AuditLog) -> None:
    """Nobody new gets in while it cannot be recorded, where that is configured. Errors: Refusal(UNAVAILABLE)."""
    if because := audit.failing():
        raise Refusal(UNAVAILABLE, f"log-ins cannot be recorded just now: {because}")


def _rules(chosen: Audit) -> Rules:
    return Rules(chosen.file_size, chosen.file_age, chosen.keep, chosen.checkpoint_lines, chosen.checkpoint_seconds)


def _target(chosen: Audit) -> Target | None:
    return Target(chosen.syslog, chosen.syslog_ca) if chosen.syslog else None
