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
