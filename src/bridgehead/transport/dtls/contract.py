"""What a DTLS end and whoever uses it tell one another: identities, proofs, look-ups, limits.

The server's end is `server.DtlsServer`, the client's `client.DtlsClient`; both give out a
`wire.dtls.association.Association` for each session, which seals and opens the records from then on. None of them owns
a socket or a timer: datagrams and the time come in as calls.

    server = DtlsServer(identity, lookups, settings, Rim(...))      # Errors: DtlsError
    server.receive(path, data)          # each datagram of the secured port, in order
    server.next_timeout() -> float      # seconds since the epoch; core.message.NEVER: nothing waits
    server.handle_timeout(now)
    server.reload(identity)             # from now on; what is established stays, tickets end. Errors: DtlsError
    server.forget_tickets()             # a credential ended: nobody resumes what stood on it
    server.end(association, because, alert)   # tells the peer, forgets it; its sink is told `ended`
    len(server), server.half_open       # sessions, handshakes under way

A `path` is opaque here: octets that name remote address, local address and interface. `Rim.established` is called in
the midst of `receive`; it sets `association.sink` (a `wire.dtls.association.Sink`), whose `received(data)` gets what
the peer sends and whose `ended(because)` is called once, whoever ended it. It may also refuse: `server.end(...)`.
To send: `rim.send(association.path, association.seal(octets))`; `path` changes where a Connection ID permits it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, Protocol

from bridgehead.core.clock import Clock
from bridgehead.wire.dtls.association import Association

Kind = Literal["psk", "rpk", "certificate"]


class DtlsError(Exception):
    """GnuTLS is missing, or an identity cannot be used. The text is one sentence that says what to do."""


class Proof:
    """How the peer proved who it is, and what the session runs on.

    `identity`: the identity of a pre-shared key, octets as they came. `spki`: the DER SubjectPublicKeyInfo of a raw
    public key. `certificate`: DER of the leaf, verified against the trust and its lists; `chain`
    what the peer sent above it. `resumed`: by a ticket, so the proof is that of an earlier handshake: judge it anew.
    """

    __slots__ = ("certificate", "chain", "identity", "kind", "resumed", "spki", "suite")

    def __init__(
        self,
        kind: Kind,
        *,
        identity: bytes = b"",
        spki: bytes = b"",
        certificate: bytes = b"",
        chain: tuple[bytes, ...] = (),
        suite: str = "",
        resumed: bool = False,
    ) -> None:
        self.kind: Final[Kind] = kind
        self.identity: Final = identity
        self.spki: Final = spki
        self.certificate: Final = certificate
        self.chain: Final = chain
        self.suite: Final = suite
        self.resumed: Final = resumed

    def __repr__(self) -> str:
        return f"Proof({self.kind}, {self.suite}{', resumed' if self.resumed else ''})"


class Failure:
    """A handshake that came to nothing. `kind` is "" where it was not yet known. `credential`: the peer proved its
    address and then failed at its proof (unknown identity, wrong key, unknown raw key, certificate refused): what
    brakes and the audit log count. `identity`: that of the pre-shared key, else the DER of raw key or certificate.
    `refused`: the other way round, the peer did not accept what it was shown."""

    def __init__(
        self,
        address: str,
        kind: Kind | Literal[""],
        identity: bytes,
        because: str,
        credential: bool,
        refused: bool = False,
    ) -> None:
        self.address: Final = address
        self.kind: Final = kind
        self.identity: Final = identity
        self.because: Final = because
        self.credential: Final = credential
        self.refused: Final = refused


class Lookups(Protocol):
    """What the hub knows of its devices, asked in the midst of a handshake: answers come at once."""

    def psk(self, identity: bytes, address: str) -> bytes | None:
        """The key, or None: unknown, ended, or the address is locked out. The peer cannot tell (a random key takes its
        place) if this takes as long either way: open some sealed key for an unknown identity too."""
        ...

    def raw_key(self, spki: bytes, address: str) -> bool:
        """Whether the DER SubjectPublicKeyInfo is a device's."""
        ...


class DtlsIdentity:
    """Who this end is, in PEM. All are optional: without `certificate` and `raw_key` only pre-shared keys are spoken.

    `certificate`: the chain, leaf first. `key`: its private key (ECDSA; RSA is refused, it would hold up the others).
    `trust`: authorities of the peers' certificates; empty: no peer's certificate is accepted. `lists`: revocation
    lists of these. `raw_key`: a private key whose public half is this end's raw public key; where it is "", `key` is
    used. `psk_identity`, `psk_key`: a client's. `peer_raw_keys`: what a client accepts as the server's raw key (DER).
    """

    def __init__(
        self,
        *,
        certificate: str = "",
        key: str = "",
        trust: str = "",
        lists: str = "",
        raw_key: str = "",
        psk_identity: bytes = b"",
        psk_key: bytes = b"",
        peer_raw_keys: tuple[bytes, ...] = (),
    ) -> None:
        self.certificate: Final = certificate
        self.key: Final = key
        self.trust: Final = trust
        self.lists: Final = lists
        self.raw_key: Final = raw_key
        self.psk_identity: Final = psk_identity
        self.psk_key: Final = psk_key
        self.peer_raw_keys: Final = peer_raw_keys


class DtlsSettings:
    """All limits and times, plain attributes; seconds and octets."""

    def __init__(self) -> None:
        self.modes: tuple[Kind, ...] = ("psk", "rpk", "certificate")
        # By preference, in GnuTLS's names. AES-128-CCM-8 is what RFC 7252 section 9 asks of all: last, since who has a
        # stronger one is to use it, and small devices offer nothing else.
        self.ciphers: tuple[str, ...] = (
            "AES-128-GCM",
            "AES-256-GCM",
            "CHACHA20-POLY1305",
            "AES-128-CCM",
            "AES-128-CCM-8",
        )
        self.psk_exchanges: tuple[str, ...] = ("ECDHE-PSK", "PSK")  # the former has forward secrecy
        self.associations: int = 20_000  # sessions held; at the ceiling the longest idle one gives way ...
        self.idle_at_least: float = 300.0  # ... if it has been silent so long, else the newcomer is not answered
        self.idle: float = 86_400.0 * 2  # a session that was silent so long ends; Observe asks every day at most
        self.rest: float = 60.0  # a session that was silent so long keeps its keys only, not its ciphers
        self.half_open: int = 1_000  # handshakes under way, of addresses that brought back their cookie
        self.half_open_per_address: int = 16  # an IPv6 /64 counts as one address
        self.waiting_per_address: int = 64  # of the datagrams that wait, so that one address leaves room for the others
        self.handshake_rate: float = 2_000.0  # a second, of one address, in the long run; 0: no limit ...
        self.handshake_burst: float = 20_000.0  # ... and at once
        # Steps with public keys before the loop turns: other traffic waits for no more. Steps without count a third.
        self.handshakes_per_turn: int = 4
        self.waiting: int = 2_000  # datagrams of handshakes that wait for their turn
        self.handshake: float = 40.0
        self.retransmission: float = 1.0  # RFC 6347 section 4.2.4.1: doubled at each repetition
        self.longest_retransmission: float = 60.0
        self.mtu: int = 1_232  # octets of a datagram's payload in a handshake: IPv6 without options (RFC 8200)
        self.cookie: float = 30.0  # a cookie is good for this long, at most for twice as long
        self.ticket: float = 86_400.0  # RFC 5077: how long a session may be resumed; 0: never
        self.connection_ids: bool = True
        self.connection_id: int = 6  # octets of the Connection IDs that this end gives out
        self.forgeries: int = 1 << 20  # records that fail to open, after which a session ends (RFC 9147 4.5.3)


class Rim:
    """What the sockets' owner gives a DTLS end.

    `send(path, datagram)`. `established(association)`: a handshake is complete; `association.proof` is a Proof.
    `failed(failure)`. `address_of(path)`: the remote address, for people, for brakes, and for the ceiling per address:
    no port. `defer(call)`: call it in a later turn of the loop (`loop.call_soon`). `clock` is read, never set.
    `random(n)`: n octets nobody can guess.
    """

    def __init__(
        self,
        *,
        send: Callable[[bytes, bytes], None],
        established: Callable[[Association], None],
        failed: Callable[[Failure], None],
        address_of: Callable[[bytes], str],
        defer: Callable[[Callable[[], None]], object],
        clock: Clock,
        random: Callable[[int], bytes],
    ) -> None:
        self.send: Final = send
        self.established: Final = established
        self.failed: Final = failed
        self.address_of: Final = address_of
        self.defer: Final = defer
        self.clock: Final = clock
        self.random: Final = random
