"""What the audit log reports to the hub's own log about itself."""

from __future__ import annotations

from typing import Final

# because: lines cannot be written
FAILED: Final = "audit.failed"
# lost: how many lines there was no room for (in the hub's log); because: what was wrong (in the audit log)
RECOVERED: Final = "audit.recovered"
# because: syslog does not take lines; they wait on disk
SYSLOG_FAILED: Final = "audit.syslog-failed"
SYSLOG_RECOVERED: Final = "audit.syslog-recovered"
