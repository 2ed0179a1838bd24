"""One run of the hub as a process, from its configuration to its end."""

from __future__ import annotations

import asyncio
import logging
import sys

from bridgehead.broker.ports import StoreError
from bridgehead.broker.records import CorruptRecord
from bridgehead.node.audit import open_audit
from bridgehead.node.configuration import Config
from bridgehead.node.folder import DataFolder, FolderError
from bridgehead.node.log import EventLog
from bridgehead.node.node import Node
from bridgehead.node.process import loop_factory, raise_open_files, restrict_files
from bridgehead.node.vocabulary import FAILED
from bridgehead.security.audit.log import AuditLog
from bridgehead.security.errors import SecurityError
from bridgehead.security.vault import Passphrase
from bridgehead.transport.address import BindError


class HubError(Exception):
    """The hub cannot start, or had to end: one sentence that says what to do."""


def run(config: Config, passphrase: Passphrase | None = None) -> None:
    """Be the hub until a signal ends it. `passphrase` is asked for the master key's. Errors: HubError."""
    restrict_files()
    try:
        folder = DataFolder(config.data)
    except FolderError as fault:
        raise HubError(str(fault)) from fault
    try:
        _run_logging(config, passphrase)
    finally:
        folder.close()


def _run_logging(config: Config, passphrase: Passphrase | None) -> None:
    try:
        log = EventLog(config.log)
    except OSError as fault:
        raise HubError(f"the log cannot be written to {config.log.file}: {fault.strerror}") from fault
    try:
        audit = open_audit(config, log)
        try:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(_run_node(config, log, audit, passphrase))
        except (SecurityError, StoreError, BindError, CorruptRecord, BaseExceptionGroup) as fault:
            log(FAILED, {"because": str(fault)})
            raise
        finally:
            audit.close()
            log.audit = None
    except (SecurityError, StoreError, BindError) as fault:
        raise HubError(str(fault)) from fault
    except CorruptRecord as fault:
        raise HubError(
            f"the store in {config.data} holds a record that cannot be read ({fault}): restore it from a backup"
        ) from fault
    except BaseExceptionGroup as faults:
        logging.getLogger("bridgehead.node").error("a defect ended the hub", exc_info=faults)
        raise HubError(f"a defect ended the hub: {faults.exceptions[0]!r}; the log has the details") from faults
    finally:
        log.close()


async def _run_node(config: Config, log: EventLog, audit: AuditLog, passphrase: Passphrase | None) -> None:
    await Node(config, log, audit, _say, _warn, raise_open_files(), passphrase).run()


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - standard output is where the ready line belongs


def _warn(line: str) -> None:
    print(f"bridgehead: warning: {line}", file=sys.stderr, flush=True)  # noqa: T201
