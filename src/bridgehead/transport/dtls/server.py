"""The server's end of DTLS on one secured port: all three modes, told apart in the handshake.

RFC 7252 section 9, RFC 7925, RFC 6347, RFC 9146. What belongs to a session that is established goes straight to its
association; what is costly waits in a queue, of which a few are dealt with in each turn of the loop.
"""

from __future__ import annotations

import heapq
from collections import deque
from hashlib import blake2b
from typing import Any, Final

from bridgehead.core.message import NEVER
from bridgehead.core.rates import Rates
from bridgehead.transport.address import network_of
from bridgehead.transport.dtls.contract import (
    DtlsIdentity,
    DtlsSettings,
    Failure,
    Kind,
    Lookups,
    Proof,
    Rim,
)
from bridgehead.transport.dtls.credentials import Credentials
from bridgehead.transport.dtls.handshake import DONE, UNDER_WAY, Handshake
from bridgehead.transport.dtls.memory import Memory
from bridgehead.wire.dtls.association import Association
from bridgehead.wire.dtls.cookie import Cookies
from bridgehead.wire.dtls.hello import ClientHello, is_client_hello, read_client_hello
from bridgehead.wire.dtls.numbers import ACCESS_DENIED, APPLICATION_DATA, CLOSE_NOTIFY, FATAL, TLS12_CID, WARNING
from bridgehead.wire.dtls.table import Associations
from bridgehead.wire.errors import PeerError

_CLIENT_AUTHENTICATION: Final = b"1.3.6.1.5.5.7.3.2"  # id-kp-clientAuth (RFC 5280 section 4.2.1.12)
_EARLY: Final = 4  # datagrams of application data kept because they overtook the end of the handshake
_EARLY_OCTETS: Final = 8_192
_COSTLY: Final = 3  # steps by a pre-shared key alone that take as long as one with public keys, at least
_SWEEP: Final = 5.0  # seconds between two searches for sessions whose time is over


class ServerHandshake(Handshake):
    """Of one address that brought back its cookie."""

    def __init__(
        self,
        memory: Memory,
        credentials: Credentials,
        settings: DtlsSettings,
        now: float,
        hello: ClientHello,
        path: bytes,
        address: str,
        network: str,
        own_cid: bytes | None,
        lookups: Lookups,
        decoy: bytes,
    ) -> None:
        priorities = credentials.raw_priorities if hello.raw_keys else credentials.priorities
        super().__init__(memory, credentials, settings, now, server=True, own_cid=own_cid, priorities=priorities)
        self.after_cookie(hello.number, hello.sequence)
        self.random: Final = hello.random
        self.path: Final = path
        self.address: Final = address
        self.network: Final = network
        self.early: list[bytes] = []
        self.early_octets: int = 0
        self.timer: float = NEVER  # when its entry among the timers is due
        self._lookups: Final = lookups
        self._decoy: Final = decoy

    def psk(self, identity: bytes) -> bytes:
        self.kind = "psk"
        self.identity = identity
        key = self._lookups.psk(identity, self.address)
        # RFC 4279 section 2, RFC 7925 section 4.2: unknown identities look like wrong keys. The same one each time, as
        # a real key would be.
        return key or blake2b(identity, key=self._decoy, digest_size=16).digest()

    def peer_permitted(self) -> bool:
        kind, chain = self.peer_chain()
        self.kind = kind
        self.identity = chain[0] if chain else b""
        self.because = self._refused(kind, chain)
        self.credential = bool(self.because)
        return not self.because

    def _refused(self, kind: Kind, chain: tuple[bytes, ...]) -> str:
        if not chain:
            return "it showed neither certificate nor raw public key"
        if kind == "rpk":
            return "" if self._lookups.raw_key(chain[0], self.address) else "its raw public key is no device's"
        refused = self.chain_refused(_CLIENT_AUTHENTICATION)
        return f"its certificate is refused: {refused}" if refused else ""


class DtlsServer:
    """See contract.py. Not thread-safe: all calls come from the event loop's thread."""

    def __init__(self, identity: DtlsIdentity, lookups: Lookups, settings: DtlsSettings, rim: Rim) -> None:
        """Errors: DtlsError."""
        self._lookups: Final = lookups
        self._settings: Final = settings
        self._rim: Final = rim
        self._memory: Final = Memory()
        self._credentials = Credentials(identity, settings, server=True)
        self._ticket_key: Any = self._credentials.new_ticket_key()
        self._cookies: Final = Cookies(rim.random(32), settings.cookie)
        self._decoy: Final = rim.random(32)
        self._table: Final = Associations(rim.send, settings.connection_id)
        self._half_open: Final[dict[bytes, ServerHandshake]] = {}
        self._by_cid: Final[dict[bytes, ServerHandshake]] = {}
        self._per_network: Final[dict[str, int]] = {}
        self._waiting: Final[deque[tuple[bytes, bytes, ClientHello | None, str, str]]] = deque()
        self._waiting_per_network: Final[dict[str, int]] = {}
        self._rates: Final = Rates(settings.handshake_rate, settings.handshake_burst)
        self._deferred = False
        self._timers: Final[list[tuple[float, int, ServerHandshake]]] = []
        self._timer_count = 0
        self._swept = rim.clock.now

    def __len__(self) -> int:
        """Sessions that are established."""
        return len(self._table)

    def __bool__(self) -> bool:
        return True

    @property
    def half_open(self) -> int:
        """Handshakes under way, of addresses that are proven."""
        return len(self._half_open)

    def associations(self) -> list[Association]:
        """All sessions that are established."""
        return self._table.all()

    def reload(self, identity: DtlsIdentity) -> None:
        """For handshakes from now on; tickets end. Errors: DtlsError, and then nothing has changed."""
        self._credentials = Credentials(identity, self._settings, server=True)
        self._ticket_key = self._credentials.new_ticket_key()

    def forget_tickets(self) -> None:
        """No session that was made before is resumed."""
        self._ticket_key = self._credentials.new_ticket_key()

    def end(self, association: Association, because: str, alert: int = CLOSE_NOTIFY) -> None:
        """Tells the peer by close_notify or a fatal alert, and forgets the session."""
        if not association.ended:
            told = association.alert(WARNING if alert == CLOSE_NOTIFY else FATAL, alert)
            if told:
                self._rim.send(association.path, told)
            association.end(because)
        self._table.remove(association)

    def close(self, because: str) -> None:
        """Ends all sessions and handshakes."""
        for association in self._table.all():
            self.end(association, because)
        for handshake in list(self._half_open.values()):
            self._drop(handshake)
        self._waiting.clear()
        self._waiting_per_network.clear()

    # Datagrams.

    def receive_all(self, datagrams: list[tuple[bytes, bytes]]) -> None:
        """Each a path and what came on it, in order."""
        for path, data in self._table.receive_all(datagrams, self._rim.clock.now):
            self._handshake(path, data)

    def receive(self, path: bytes, data: bytes) -> None:
        if not self._table.receive(path, data, self._rim.clock.now):
            self._handshake(path, data)

    def _handshake(self, path: bytes, data: bytes) -> None:
        """A datagram that is for no association, or begins with a record of a handshake."""
        if is_client_hello(data):
            self._hello(path, data)
        elif path in self._half_open or (data[0] == TLS12_CID and self._cid_of(data) in self._by_cid):
            self._wait(path, data, None)
        else:
            association = self._table.at(path)
            if association is not None:  # its peer lacks our last flight, or means to renegotiate
                self._table.opened(association, path, data, self._rim.clock.now)

    def _hello(self, path: bytes, data: bytes) -> None:
        try:
            hello = read_client_hello(data)
        except PeerError:
            return  # nothing is said to an address that is not proven
        handshake = self._half_open.get(path)
        association = self._table.at(path)
        if association is not None and association.hello == hello.random:
            # Late or doubled on its way: a second handshake of it would meet the rest of the first one.
            self._table.opened(association, path, data, self._rim.clock.now)
        elif handshake is not None and handshake.random == hello.random and hello.cookie:
            self._wait(path, data, None)  # it lacks our answer
        elif self._cookies.verify(path, hello, self._rim.clock.now):
            self._wait(path, data, hello)
        else:
            self._rim.send(path, self._cookies.request(path, hello, self._rim.clock.now))

    def _wait(self, path: bytes, data: bytes, hello: ClientHello | None) -> None:
        if len(self._waiting) >= self._settings.waiting:
            return
        known = self._half_open.get(path)
        address = known.address if known is not None else self._rim.address_of(path)
        network = _network_of(address)
        here = self._waiting_per_network.get(network, 0)
        if here < self._settings.waiting_per_address:
            self._waiting_per_network[network] = here + 1
            self._waiting.append((path, data, hello, address, network))
            self._defer()

    def _defer(self) -> None:
        if not self._deferred:
            self._deferred = True
            self._rim.defer(self._work)

    def _work(self) -> None:
        """The few costly steps of one turn."""
        self._deferred = False
        left_over = self._settings.handshakes_per_turn * _COSTLY
        while self._waiting and left_over > 0:
            path, data, hello, address, network = self._waiting.popleft()
            left = self._waiting_per_network[network] - 1
            if left:
                self._waiting_per_network[network] = left
            else:
                del self._waiting_per_network[network]
            if hello is not None:
                self._begin(path, data, hello, address, network)
                handshake = self._half_open.get(path)
            else:
                handshake = self._half_open.get(path)
                self._go_on(path, data)
            left_over -= 1 if handshake is not None and handshake.is_light() else _COSTLY
        if self._waiting:
            self._defer()

    # Handshakes.

    def _begin(self, path: bytes, data: bytes, hello: ClientHello, address: str, network: str) -> None:
        """RFC 6347 section 4.2.8: a session that the address has stays until this one is complete."""
        now = self._rim.clock.now
        before = self._half_open.get(path)
        if before is not None:
            if before.random == hello.random:
                return  # the same one twice in the queue
            self._drop(before)
        at = self._table.at(path)
        if at is not None and at.hello == hello.random:
            return
        self._rates.rate, self._rates.burst = self._settings.handshake_rate, self._settings.handshake_burst
        if not self._rates.take(network, now) or not self._room(network, now):
            return
        own_cid: bytes | None = None
        if hello.cid is not None and self._settings.connection_ids:
            own_cid = self._new_cid()
        handshake = ServerHandshake(
            self._memory,
            self._credentials,
            self._settings,
            now,
            hello,
            path,
            address,
            network,
            own_cid,
            self._lookups,
            self._decoy,
        )
        if self._settings.ticket > 0:
            handshake.offer_tickets(self._ticket_key, int(self._settings.ticket))
        self._half_open[path] = handshake
        self._per_network[network] = self._per_network.get(network, 0) + 1
        if own_cid is not None:
            self._by_cid[own_cid] = handshake
        self._advance(handshake, data)

    def _room(self, network: str, now: float) -> bool:
        """Whether one more may begin; at a ceiling something old gives way to it."""
        settings = self._settings
        if self._per_network.get(network, 0) >= settings.half_open_per_address:
            return False
        if len(self._half_open) >= settings.half_open:
            oldest = next(iter(self._half_open.values()))
            if now - oldest.begun < 2 * settings.retransmission:
                return False
            self._fail(oldest, "others came while it was under way, and it was the oldest")
        if len(self._table) + len(self._half_open) >= settings.associations:
            idle = self._table.idle_since(now - settings.idle_at_least)
            if idle is None:
                return False
            self.end(idle, "it was idle, and another one needed its place")
        return True

    def _new_cid(self) -> bytes:
        cid = self._rim.random(self._settings.connection_id)
        while cid in self._by_cid or self._table.with_cid(cid) is not None:
            cid = self._rim.random(self._settings.connection_id)
        return cid

    def _cid_of(self, data: bytes) -> bytes:
        return data[11 : 11 + self._settings.connection_id]

    def _go_on(self, path: bytes, data: bytes) -> None:
        handshake = self._half_open.get(path)
        if data[0] == TLS12_CID:
            handshake = self._by_cid.get(self._cid_of(data))
        if handshake is None or handshake.path != path:
            self.receive_established(path, data)
        elif data[0] == APPLICATION_DATA:
            self._keep(handshake, data)
        else:
            self._advance(handshake, data)

    def receive_established(self, path: bytes, data: bytes) -> None:
        """What waited behind the end of its handshake."""
        if not self._table.receive(path, data, self._rim.clock.now) and not is_client_hello(data):
            association = self._table.at(path)
            if association is not None:
                self._table.opened(association, path, data, self._rim.clock.now)

    def _keep(self, handshake: ServerHandshake, data: bytes) -> None:
        if len(handshake.early) < _EARLY and handshake.early_octets + len(data) <= _EARLY_OCTETS:
            handshake.early.append(data)
            handshake.early_octets += len(data)

    def _advance(self, handshake: ServerHandshake, data: bytes) -> None:
        handshake.feed(data, self._rim.clock.now)
        sent = handshake.take()
        for datagram in sent:
            self._rim.send(handshake.path, datagram)
        if handshake.state == DONE:
            self._complete(handshake, data, tuple(sent))
        elif handshake.state == UNDER_WAY:
            self._set_timer(handshake)
        else:
            self._fail(handshake, handshake.because)

    def _complete(self, handshake: ServerHandshake, data: bytes, flight: tuple[bytes, ...]) -> None:
        proof = handshake.proof()
        association = handshake.association(handshake.path, proof)
        if proof.resumed and not self._still_permitted(handshake, proof):
            self._rim.send(handshake.path, association.alert(FATAL, ACCESS_DENIED))
            self._fail(handshake, handshake.because)
            return
        self._drop(handshake)
        now = self._rim.clock.now
        association.hello = handshake.random
        self._table.add(association, now)
        self._rim.established(association)
        for each in (data, *handshake.early):  # application data may stand behind Finished
            if not association.ended:
                self._table.opened(association, handshake.path, each, now)
        association.flight = flight if not association.ended else ()

    def _still_permitted(self, handshake: ServerHandshake, proof: Proof) -> bool:
        """A ticket says who its peer was; whether that still holds is asked anew."""
        if proof.kind != "psk":
            return handshake.peer_permitted()
        handshake.kind = "psk"
        handshake.identity = proof.identity
        handshake.credential = self._lookups.psk(proof.identity, handshake.address) is None
        handshake.because = "the pre-shared key of the session that it resumes has ended"
        return not handshake.credential

    def _fail(self, handshake: ServerHandshake, because: str) -> None:
        self._drop(handshake)
        kind = handshake.kind or ""
        self._rim.failed(Failure(handshake.address, kind, handshake.identity, because, handshake.credential))

    def _drop(self, handshake: ServerHandshake) -> None:
        handshake.close()
        if self._half_open.get(handshake.path) is handshake:
            del self._half_open[handshake.path]
            left = self._per_network[handshake.network] - 1
            if left:
                self._per_network[handshake.network] = left
            else:
                del self._per_network[handshake.network]
        cid = handshake.own_cid()
        if self._by_cid.get(cid) is handshake:
            del self._by_cid[cid]

    # Time.

    def next_timeout(self) -> float:
        """When handle_timeout wants to be called, in seconds since the epoch; NEVER: nothing waits."""
        sweep = self._swept + _SWEEP if len(self._table) else NEVER
        return min(self._timers[0][0], sweep) if self._timers else sweep

    def handle_timeout(self, now: float) -> None:
        """Repeats flights that were not answered, gives up handshakes and sessions whose time is over."""
        for _ in range(self._settings.handshakes_per_turn * 16):
            if not self._timers or self._timers[0][0] > now:
                break
            due, _, handshake = heapq.heappop(self._timers)
            if due != handshake.timer or self._half_open.get(handshake.path) is not handshake:
                continue
            handshake.timer = NEVER
            if now - handshake.begun >= self._settings.handshake:
                self._fail(handshake, "it did not come to an end in time")
                continue
            if handshake.due <= now:
                handshake.handle_timeout(now)
                for datagram in handshake.take():
                    self._rim.send(handshake.path, datagram)
            self._set_timer(handshake)
        if now >= self._swept + _SWEEP:
            self._swept = now
            self._table.rest(now - self._settings.rest)
            idle = self._table.idle_since(now - self._settings.idle)
            while idle is not None:
                self.end(idle, "nothing came for too long")
                idle = self._table.idle_since(now - self._settings.idle)

    def _set_timer(self, handshake: ServerHandshake) -> None:
        due = min(handshake.due, handshake.begun + self._settings.handshake)
        if due < handshake.timer:
            handshake.timer = due
            self._timer_count += 1
            heapq.heappush(self._timers, (due, self._timer_count, handshake))


def _network_of(address: str) -> str:
    """Who an address counts as: one IPv6 host has a /64 of them."""
    return network_of(f"[{address}]:0") if ":" in address else address
