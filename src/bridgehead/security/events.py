"""What this room reports, in the hub's one vocabulary of events (`bridgehead.broker.events`).

Every field is a text, a number or a flag. `principal` is a device that exists; `claimed` is the name that a peer
gave without proof; `by` is the credential that proved it: "password", "certificate" or "password+certificate".
"""

from __future__ import annotations

from typing import Final

# principal, by, client_id, address, protocol
AUTHENTICATED: Final = "authentication.accepted"
# claimed, because, braked, client_id, address, protocol
AUTHENTICATION_REFUSED: Final = "authentication.refused"
# principal: its password's hash was made anew with today's parameters
PASSWORD_REHASHED: Final = "authentication.rehashed"  # noqa: S105 - the name of an event
# principal, because
PASSWORD_NOT_REHASHED: Final = "authentication.not-rehashed"  # noqa: S105 - the name of an event
# principal, because: its record cannot be read, so it may nothing
RECORD_UNREADABLE: Final = "identity.unreadable"
# claimed, address, failures, seconds: the identity is not looked at from there for so long
LOCKED_OUT: Final = "authentication.locked-out"
# because: it holds, and would not outlive a restart
LOCKOUT_NOT_KEPT: Final = "authentication.lockout-not-kept"
# principal, because: nothing that needs a new OSCORE sequence number goes out to it; told once, until there are some
SEQUENCE_NOT_KEPT: Final = "oscore.sequence-not-kept"
# listener, because: it lets in by something weak, as configured
WEAK_LOGIN: Final = "authentication.weak"

# Acts on identities, by whichever command or program. `principal` is the device.
# kinds (of credentials), roles, groups
DEVICE_ADDED: Final = "device.added"
# which, overlap: seconds for which the old ones still count
DEVICE_ROTATED: Final = "device.rotated"
# certificates: how many went onto the revocation list
DEVICE_REVOKED: Final = "device.revoked"
DEVICE_REMOVED: Final = "device.removed"
# changed: the fields of the record that differ
DEVICE_ENABLED: Final = "device.enabled"
DEVICE_DISABLED: Final = "device.disabled"
DEVICE_CHANGED: Final = "device.changed"
# address: empty for all of them
DEVICE_UNLOCKED: Final = "device.unlocked"
# count, source: the file's name
DEVICES_IMPORTED: Final = "devices.imported"
# expires: seconds since the epoch
DEVICE_INVITED: Final = "device.invited"
INVITE_REDEEMED: Final = "invite.redeemed"
# act, because: nothing was changed
ACT_REFUSED: Final = "act.refused"
# count: stored keys that were sealed anew
MASTER_KEY_ROTATED: Final = "master-key.rotated"
# passphrase: whether it is under one now
MASTER_KEY_PROTECTED: Final = "master-key.protected"
# by ("token", "certificate"), serial: the device asked for its certificate itself (EST)
DEVICE_ENROLLED: Final = "est.enrolled"
# claimed, because, braked, address: a device that could not prove itself, or whose request was not acceptable
ENROLMENT_REFUSED: Final = "est.refused"
# act ("roll-over", "finish", "offline-root", "use-external", "install"), authority, overlap: seconds
AUTHORITY_CHANGED: Final = "ca.changed"
# profile, subject, serial
CERTIFICATE_ISSUED: Final = "ca.issued"
# serial, subject: one that stands on no device's record
CERTIFICATE_REVOKED: Final = "ca.revoked"
# what ("permissions", "governance"), expires: seconds since the epoch, 0 for never; principal: the permissions' device
DDS_SIGNED: Final = "dds.signed"
