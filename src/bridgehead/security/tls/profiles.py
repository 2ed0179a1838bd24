"""The named TLS profiles: versions, suites, groups, and what holds in each of them (docs/tls.md).

They follow RFC 9325 (BCP 195), BSI TR-02102-2 and Mozilla's Server Side TLS 5.7 where these three agree, and the
strictest of them where they do not.
"""

from __future__ import annotations

import ssl
from typing import Final, Literal

ProfileName = Literal["modern", "intermediate"]

# TLS 1.2: ephemeral ECDH and AEAD only (RFC 9325 4.1, 4.2). AES-128 first; the client's order counts, since none is
# weak and the client knows whether it has AES in hardware (Mozilla: "the client chooses").
SUITES: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
)
# The one group that every TLS 1.3 client must have (RFC 8446 9.1) and that small devices have in hardware. Without
# a choice OpenSSL accepts ffdhe8192 as well: 107 ms of our processor for one ClientHello that costs its sender
# nothing (CVE-2022-40735), against 0.05 ms. Python 3.11 can name one group only; a client that guessed another one
# is asked once more (HelloRetryRequest).
GROUP: Final = "prime256v1"
# What a server offers where OpenSSL can be told (transport/openssl.py). X25519 is what most clients guess, so it saves
# them a round trip. P-384 is left out: OpenSSL needs 0.5 ms for it, and whoever has it has one of these two.
GROUPS: Final = "X25519:P-256"
# OpenSSL's level 2 asks for 112 bits: no SHA-1 in any signature (RFC 9155), no RSA key below 2048 bits.
_LEVEL: Final = "@SECLEVEL=2"
TICKETS: Final = 1  # per TLS 1.3 handshake; OpenSSL's default of 2 is for browsers with parallel connections
TICKET_LIFETIME: Final = 7200  # seconds; what OpenSSL gives a ticket that nobody else gave one to
LONGEST_TICKET_LIFETIME: Final = 86400  # seconds; its keys live no longer (RFC 8446 4.6.1 permits seven days)


class Profile:
    """`oldest`: the lowest version that is spoken."""

    def __init__(self, name: ProfileName, oldest: ssl.TLSVersion) -> None:
        self.name: Final = name
        self.oldest: Final = oldest


MODERN: Final = Profile("modern", ssl.TLSVersion.TLSv1_3)
INTERMEDIATE: Final = Profile("intermediate", ssl.TLSVersion.TLSv1_2)
PROFILES: Final[dict[ProfileName, Profile]] = {"modern": MODERN, "intermediate": INTERMEDIATE}


def harden(context: ssl.SSLContext, profile: Profile = INTERMEDIATE) -> None:
    """What holds for servers and clients."""
    context.minimum_version = profile.oldest
    context.maximum_version = ssl.TLSVersion.MAXIMUM_SUPPORTED
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    # Python 3.11.2 sets it, later ones don't: a connection cut in two would look like one that ended in order.
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    context.set_ciphers(f"{':'.join(SUITES)}:{_LEVEL}")


def harden_server(context: ssl.SSLContext, profile: Profile, tickets: bool = True) -> None:
    """As `harden`, and what a server decides: one group, tickets, whose order of suites counts."""
    harden(context, profile)
    context.set_ecdh_curve(GROUP)
    context.num_tickets = TICKETS if tickets else 0
    if not tickets:
        context.options |= ssl.OP_NO_TICKET
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
