"""Acts on the policy, in the hub's one vocabulary of events. Every field is a text or a number."""

from __future__ import annotations

from typing import Final

# source: the file's name, revision, gaining, losing: devices that gain and lose rights
POLICY_APPLIED: Final = "policy.applied"
# source: the files' names, devices, roles: how many were made
POLICY_IMPORTED: Final = "policy.imported"
# name, permissions: how many it has now
ROLE_ADDED: Final = "role.added"
ROLE_CHANGED: Final = "role.changed"
ROLE_REMOVED: Final = "role.removed"
GROUP_ADDED: Final = "group.added"
GROUP_CHANGED: Final = "group.changed"
GROUP_REMOVED: Final = "group.removed"
# name, feeds: how many topic filters feed it
QUEUE_ADDED: Final = "queue.added"
QUEUE_CHANGED: Final = "queue.changed"
QUEUE_REMOVED: Final = "queue.removed"
