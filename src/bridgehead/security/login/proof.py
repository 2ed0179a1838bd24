"""What a peer shows to prove who it is, and what is proven by it."""

from __future__ import annotations

import math
from typing import Final

from bridgehead.core.policy import Principal
from bridgehead.security.login.chain import DEFAULT, Chain
from bridgehead.security.sasl.contract import Binding

NEVER: Final = math.inf


class Credentials:
    """What a peer shows, and the connection that it comes by. `certificate` (DER) was verified by TLS. `address` is the
    peer's, with or without port. `chain` is what its listener lets in by, `binding` what SASL may know of TLS."""

    def __init__(
        self,
        user_name: str | None,
        password: bytes | None,
        certificate: bytes | None,
        client_id: str,
        address: str,
        protocol: str,
        chain: Chain = DEFAULT,
        binding: Binding | None = None,
    ) -> None:
        self.user_name: Final = user_name
        self.password: Final = password
        self.certificate: Final = certificate
        self.client_id: Final = client_id
        self.address: Final = address
        self.protocol: Final = protocol
        self.chain: Final = chain
        self.binding: Final = binding if binding is not None else Binding(certificate=certificate is not None)

    def __repr__(self) -> str:
        """Without anything that the peer claims: a user name field may hold a password typed too early."""
        return f"Credentials(address={self.address!r}, protocol={self.protocol!r})"


class Proven:
    """An identity that is proven: `principal` as this connection has it, by which `kinds` of proof
    (security.mechanisms), and until when (seconds since the epoch). `data` ends an exchange, on its way to the peer.
    `marks` say which credentials proved it, as rights.enforced.mark_of writes them."""

    def __init__(
        self,
        principal: Principal,
        kinds: tuple[str, ...],
        expires_at: float = NEVER,
        data: bytes | None = None,
        marks: tuple[str, ...] = (),
    ) -> None:
        self.principal: Final = principal
        self.kinds: Final = kinds
        self.expires_at: Final = expires_at
        self.data: Final = data
        self.marks: Final = marks

    @property
    def name(self) -> str:
        return self.principal.name

    def __repr__(self) -> str:
        return f"Proven({self.name!r}, {'+'.join(self.kinds)})"


class Unproven(Exception):
    """The credentials do not prove a device; the text is for the log."""


class Braked(Unproven):
    """Not even looked at."""
