"""OSCORE contexts of the devices on record, as CoAP's sessions see them: found, derived, and told to the audit log."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from bridgehead.broker.events import EventSink
from bridgehead.core.errors import Refusal
from bridgehead.core.policy import Context
from bridgehead.protocols.coap.session.contract import Peer
from bridgehead.protocols.coap.session.oscore_context import Cipher, OscoreContext, OscoreContexts
from bridgehead.security.credentials import OscoreRecord, oscore_context
from bridgehead.security.errors import SecurityError
from bridgehead.security.events import AUTHENTICATED, AUTHENTICATION_REFUSED, RECORD_UNREADABLE, SEQUENCE_NOT_KEPT
from bridgehead.security.identity.identity import Identity
from bridgehead.security.login.answers import Unseals
from bridgehead.security.login.authenticate import Authenticator
from bridgehead.security.mechanisms import OSCORE
from bridgehead.security.oscore.keys import Aead, Secret, opened
from bridgehead.security.oscore.sequences import Sequences
from bridgehead.security.records import Device
from bridgehead.security.registry.registry import Registry
from bridgehead.security.rights.enforced import is_barred, mark_of
from bridgehead.security.rights.principals import Principals

PROTOCOL: Final = "coap"
KEPT: Final = 65_536  # contexts in memory; one that comes back must show that it is fresh
_CANDIDATES: Final = 8  # contexts that one request without a kid context is tried with


class _Cipher(Cipher):
    def __init__(self, aead: Aead) -> None:
        self._aead: Final = aead

    def seal(self, nonce: bytes, plain: bytes, additional: bytes) -> bytes:
        return self._aead.encrypt(nonce, plain, additional)

    def open(self, nonce: bytes, sealed: bytes, additional: bytes) -> bytes | None:
        return opened(self._aead, nonce, sealed, additional)


class HubContexts(OscoreContexts):
    """Lives on the event loop's thread. `clock` gives seconds since the epoch."""

    def __init__(
        self,
        registry: Registry,
        principals: Principals,
        vault: Unseals,
        sequences: Sequences,
        events: EventSink,
        clock: Callable[[], float],
        admit: Callable[[], None] = lambda: None,
    ) -> None:
        """`admit` raises Refusal while nobody new may be let in."""
        self._registry: Final = registry
        self._principals: Final = principals
        self._vault: Final = vault
        self._sequences: Final = sequences
        self._events: Final = events
        self._clock: Final = clock
        self._admit: Final = admit
        self._kept: Final[OrderedDict[str, OscoreContext]] = OrderedDict()
        self._told: Final[set[str]] = set()  # contexts that have no numbers left, and it was said

    def find(self, kid: bytes, kid_context: bytes | None) -> list[OscoreContext]:
        found: list[OscoreContext] = []
        name = ""
        try:
            self._principals.follow()  # microseconds, and a context that was made or ended just now counts at once
            for name in self._registry.oscore_owners(kid):
                device = self._principals.device(name)
                # Whoever must prove itself by password and certificate has not done so (login.authenticate).
                if device is None or is_barred(device) or device.require != "any":
                    continue
                for record in device.oscore:
                    if record.sender_id == kid and kid_context in (None, record.id_context) and self._lives(record):
                        found.append(self._context(device, record))
        except SecurityError as fault:
            self._events(RECORD_UNREADABLE, {"principal": name, "because": str(fault)})
        return found[:_CANDIDATES]

    def _lives(self, record: OscoreRecord) -> bool:
        return record.until is None or self._clock() < record.until

    def _context(self, device: Device, record: OscoreRecord) -> OscoreContext:
        """Errors: SecurityError."""
        mark = mark_of(OSCORE, f"{record.sender_id.hex()} {record.set_at}")
        principal = self._principals.of(device).under(Context(PROTOCOL, (OSCORE,)))
        key = f"{device.name} {mark}"
        context = self._kept.get(key)
        if context is None:
            box = self._vault.open_sealed(record.secret, oscore_context(device.name, record.sender_id))
            secret = Secret(box[1 : 1 + box[0]], box[1 + box[0] :], record.id_context or None)
            context = OscoreContext(
                record.recipient_id,
                record.sender_id,
                secret.common_iv(),
                secret.algorithm.number,
                _Cipher(secret.cipher(record.recipient_id)),
                _Cipher(secret.cipher(record.sender_id)),
                principal,
                (mark,),
            )
            self._kept[key] = context
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(key)
        context.principal = principal
        return context

    def next_sequence(self, context: OscoreContext) -> int:
        name = context.principal.name
        key = f"{name} {context.marks[0]}"
        try:
            number = self._sequences.next(key)
            because = self._sequences.exhausted
        except SecurityError as fault:
            number, because = None, str(fault)
        if number is not None:
            self._told.discard(key)
            return number
        if key not in self._told:
            self._told.add(key)
            self._events(SEQUENCE_NOT_KEPT, {"principal": name, "because": because})
        return -1

    def opened(self, context: OscoreContext, peer: Peer) -> bool:
        try:
            self._admit()
        except Refusal:
            return False
        fields: dict[str, object] = {
            "principal": context.principal.name,
            "by": OSCORE,
            "client_id": "",
            "address": peer.address,
            "protocol": PROTOCOL,
        }
        self._events(AUTHENTICATED, fields)
        return True

    def refused(self, peer: Peer, kid: bytes, because: str) -> None:
        names = self._registry.oscore_owners(kid)
        fields: dict[str, object] = {
            "claimed": names[0] if len(names) == 1 else "",
            "because": f"OSCORE: {because}",
            "braked": False,
            "client_id": "",
            "address": peer.address,
            "protocol": PROTOCOL,
            "mechanism": OSCORE,
        }
        self._events(AUTHENTICATION_REFUSED, fields)


def make_contexts(
    identity: Identity,
    authenticator: Authenticator,
    events: EventSink,
    clock: Callable[[], float],
    admit: Callable[[], None],
) -> HubContexts:
    """For one run of the hub."""
    sequences = Sequences(identity.data, clock())
    return HubContexts(identity.registry, authenticator.principals, identity.vault, sequences, events, clock, admit)
