"""One handshake, of either role: GnuTLS speaks, this end keeps the time, the flights, and the Connection IDs.

GnuTLS has no Connection IDs (RFC 9146). Where they are negotiated, the one record of each side that is protected
within a handshake, Finished, is opened here and sealed again in the form that the other side reads: the same key, the
same number; the form that GnuTLS knows never leaves this process.
"""

from __future__ import annotations

from typing import Any, Final

from bridgehead.transport.dtls import gnutls as g
from bridgehead.transport.dtls.contract import DtlsSettings, Kind, Proof
from bridgehead.transport.dtls.credentials import Credentials
from bridgehead.transport.dtls.memory import Memory, callbacks
from bridgehead.transport.dtls.suites import SUITES, Suite
from bridgehead.wire.dtls.alerts import alert_name
from bridgehead.wire.dtls.association import Association
from bridgehead.wire.dtls.numbers import (
    ALERT,
    CONNECTION_ID,
    DTLS_1_2,
    FATAL,
    HANDSHAKE,
    HANDSHAKE_HEADER,
    HEADER,
    SERVER_HELLO,
    TLS12_CID,
)
from bridgehead.wire.dtls.protection import Protection

DONE: Final = 0
UNDER_WAY: Final = 1
FAILED: Final = 2

_DECRYPT_ERROR: Final = bytes([ALERT]) + DTLS_1_2 + bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 2, FATAL, 51])
_NUMBERS: Final = (1 << 48) - 1  # a peer chooses where they begin
_SLOW: Final = 0x7FFFFFF  # ms: GnuTLS's own timers never fire, since this end keeps the time
_LARGEST_MESSAGE: Final = 16_384
_REPEATS: Final = 8  # how often a flight is sent again because the peer asks for it


class Handshake:
    """`state` after each call: DONE, UNDER_WAY or FAILED, and then `because` and `credential` say why. What is to be
    sent is taken by `take()`. `due` is when the flight is to be sent again."""

    kind: Kind | None = None  # once it is known
    because: str = ""
    alert: int = -1  # the fatal one that the peer sent
    credential: bool = False  # it failed at the proof
    identity: bytes = b""

    def __init__(
        self,
        memory: Memory,
        credentials: Credentials,
        settings: DtlsSettings,
        now: float,
        *,
        server: bool,
        own_cid: bytes | None,
        priorities: Any,
    ) -> None:
        """`own_cid`: what the peer is to put into its records; b"" for none of its own, None: do not negotiate."""
        self._library: Final = g.library()
        self._memory: Final = memory
        self._credentials: Final = credentials
        self._settings: Final = settings
        self._server: Final = server
        self._own_cid: Final = own_cid
        self._peer_cid: bytes | None = None  # what this end puts into its records; None: not negotiated
        self.state: int = UNDER_WAY
        self.begun: Final = now
        self.due: float = now + settings.retransmission
        self._pause: float = settings.retransmission
        self._number: int = 0  # of the next unprotected record of this end
        self._sent: int = 0  # protected records of this end
        self._received: int = -1  # the highest number of a protected record of the peer that was opened
        self._highest: int = -1  # message_seq of the peer's newest message
        self._repeats: int = _REPEATS
        self._flight: list[bytes] = []
        self._fresh: bool = False  # the flight has not been taken yet
        self._suite: Suite | None = None
        self._seen: list[Suite] = []  # of each ServerHello; a client may be shown forged ones too
        self._block: bytes = b""
        self._made: dict[bool, tuple[Protection, Protection]] = {}  # with Connection IDs or without
        self._session: Any = self._open(priorities)

    def close(self) -> None:
        """GnuTLS's part is let go; `state` stays."""
        if self._session is not None:
            self._library.lib.gnutls_deinit(self._session)
            self._session = None

    def is_light(self) -> bool:
        """Whether it is known to do without public keys, of which each operation takes as long as all the rest."""
        return self._suite is not None and self._suite.name.startswith("TLS_PSK_")

    # What GnuTLS is set up with.

    def _open(self, priorities: Any) -> Any:
        ffi, lib = self._library.ffi, self._library.lib
        calls = callbacks()
        made = ffi.new("void **")
        flags = (g.SERVER if self._server else g.CLIENT) | g.DATAGRAM | g.NONBLOCK | g.ENABLE_RAWPK
        if not self._server:
            flags |= g.NO_TICKETS
        if lib.gnutls_init(made, flags) < 0:
            raise MemoryError("GnuTLS has no memory for one more handshake")
        session = made[0]
        lib.gnutls_session_set_ptr(session, self._memory.handle)
        lib.gnutls_priority_set(session, priorities)
        if self._credentials.psk is not None:
            lib.gnutls_credentials_set(session, g.CRD_PSK, self._credentials.psk)
        lib.gnutls_credentials_set(session, g.CRD_CERTIFICATE, self._credentials.certificates)
        if self._server:
            lib.gnutls_certificate_server_set_request(session, g.CERT_REQUIRE)
            # The names of the authorities would be the largest part of a flight, and a device has one certificate.
            lib.gnutls_certificate_send_x509_rdn_sequence(session, 1)
        lib.gnutls_transport_set_ptr(session, self._memory.handle)
        lib.gnutls_transport_set_push_function(session, calls.push)
        lib.gnutls_transport_set_pull_function(session, calls.pull)
        lib.gnutls_transport_set_pull_timeout_function(session, calls.pull_timeout)
        lib.gnutls_dtls_set_mtu(session, self._settings.mtu)
        lib.gnutls_dtls_set_timeouts(session, _SLOW, _SLOW)
        lib.gnutls_handshake_set_max_packet_length(session, _LARGEST_MESSAGE)
        if self._own_cid is not None:
            lib.gnutls_session_ext_register(
                session,
                b"connection_id",
                CONNECTION_ID,
                g.EXT_MANDATORY,
                calls.receive_cid,
                calls.send_cid,
                ffi.NULL,
                ffi.NULL,
                ffi.NULL,
                g.EXT_FLAGS,
            )
        return session

    def offer_tickets(self, key: Any, seconds: int) -> None:
        """RFC 5077. `key`: a gnutls_datum_t."""
        lib = self._library.lib
        lib.gnutls_session_ticket_enable_server(self._session, key)
        lib.gnutls_db_set_cache_expiration(self._session, seconds)

    def after_cookie(self, number: int, sequence: int) -> None:
        """The ClientHello that comes next is the record `number`, its message_seq is `sequence`, and its cookie was
        verified: a HelloVerifyRequest went before."""
        state = self._library.ffi.new("prestate_t *", {"record_seq": 0, "hsk_read_seq": sequence, "hsk_write_seq": 0})
        self._library.lib.gnutls_dtls_prestate_set(self._session, state)
        self._number = number

    def say_name(self, name: bytes) -> None:
        """A client's: the server's name (RFC 6066 section 3)."""
        self._library.lib.gnutls_server_name_set(self._session, g.NAME_DNS, name, len(name))

    # What GnuTLS asks (memory.Asked); the two ends answer differently.

    def psk(self, identity: bytes) -> bytes:
        raise NotImplementedError

    def peer_permitted(self) -> bool:
        raise NotImplementedError

    def own_cid(self) -> bytes:
        return self._own_cid or b""

    def peer_cid(self, cid: bytes) -> None:
        if self._own_cid is not None:
            self._peer_cid = cid
            self._made.clear()

    # Steps.

    def start(self) -> None:
        """A client's: the first ClientHello."""
        self._step(b"")

    def feed(self, datagram: bytes, now: float) -> None:
        """A datagram of the peer."""
        newest = -1
        protected = False
        pos, end = 0, len(datagram)
        plain_from = 0
        while end - pos >= HEADER and self.state == UNDER_WAY:
            kind = datagram[pos]
            start = pos + HEADER + (len(self._own_cid or b"") if kind == TLS12_CID else 0)
            stop = start + int.from_bytes(datagram[start - 2 : start], "big")
            if stop > end:
                break
            epoch = datagram[pos + 3] << 8 | datagram[pos + 4]
            if kind == TLS12_CID:
                if pos > plain_from:
                    self._step(datagram[plain_from:pos])  # the keys follow from what stands before
                plain_from = stop
                protected = True
                self._finished_with_cid(datagram[pos:stop], start - pos)
            elif epoch == 0 and kind == HANDSHAKE and stop - start >= 6:
                newest = max(newest, datagram[start + 4] << 8 | datagram[start + 5])
                if not self._server:
                    self._see(datagram[pos:stop])
            elif epoch == 1 and kind == HANDSHAKE:
                protected = True
                self._received = max(self._received, int.from_bytes(datagram[pos + 5 : pos + 11], "big"))
            pos = stop
        if end > plain_from and self.state == UNDER_WAY:
            self._step(datagram[plain_from:])
        if self.state == UNDER_WAY:
            if protected and self.kind == "psk" and not self._genuine(datagram):
                # RFC 4279 section 2: what an unknown identity is answered with, too.
                self._fail("the identity of its pre-shared key is unknown, or its key is another one", credential=True)
                self._flight, self._fresh = [_DECRYPT_ERROR], True
            elif not self._fresh and 0 <= newest <= self._highest and self._repeats > 0:
                self._repeats -= 1  # the peer sends its flight again: it lacks ours (RFC 6347 section 4.2.4)
                self._fresh = bool(self._flight)
        self._highest = max(self._highest, newest)
        if self._fresh:
            self._pause = self._settings.retransmission
            self.due = now + self._pause

    def handle_timeout(self, now: float) -> None:
        """At `due`: the flight is to be taken once more (RFC 6347 section 4.2.4.1)."""
        self._fresh = bool(self._flight)
        self._pause = min(self._pause * 2, self._settings.longest_retransmission)
        self.due = now + self._pause

    def take(self) -> list[bytes]:
        """Datagrams to be sent now, each at most `mtu` octets where the records permit it."""
        if not self._fresh:
            return []
        self._fresh = False
        datagrams: list[bytes] = []
        filling = b""
        for record in self._flight:
            if record[3] == 0 and record[4] == 0:  # each transmission has numbers of its own
                record = record[:5] + (self._number & _NUMBERS).to_bytes(6, "big") + record[11:]
                self._number += 1
            if filling and len(filling) + len(record) > self._settings.mtu:
                datagrams.append(filling)
                filling = b""
            filling += record
        if filling:
            datagrams.append(filling)
        return datagrams

    def _step(self, octets: bytes) -> None:
        """GnuTLS reads the datagram and goes as far as it can."""
        memory, lib = self._memory, self._library.lib
        memory.inbox = octets
        memory.asked = self
        code = int(lib.gnutls_handshake(self._session))
        while code < 0 and (memory.inbox or code not in (g.E_AGAIN, g.E_INTERRUPTED)):
            if lib.gnutls_error_is_fatal(code):
                break
            code = int(lib.gnutls_handshake(self._session))
        if code < 0 and lib.gnutls_error_is_fatal(code):
            if code == g.E_FATAL_ALERT_RECEIVED:
                self.alert = int(lib.gnutls_alert_get(self._session))
                self._fail(f"the peer sent the fatal alert {alert_name(self.alert)}")
            else:
                lib.gnutls_alert_send_appropriate(self._session, code)
                none = code in (g.E_NO_CERTIFICATE_FOUND, g.E_CERTIFICATE_REQUIRED)
                self._fail(self._library.because(code), credential=none)
        elif code == 0:
            self.state = DONE
            if self._protections(True) is None:
                self._fail("its ServerHello cannot be told from the others")
        written = memory.outbox
        memory.inbox = b""
        memory.asked = None
        if written:
            memory.outbox = []
            self._written(written)
        memory.raise_fault()

    def _written(self, records: list[bytes]) -> None:
        """A new flight takes the place of the last one."""
        out: list[bytes] = []
        for record in records:
            if record[4] == 1:
                if self._sent == 0 and not self._settled(record):
                    self._fail("which suite was agreed on cannot be told: somebody forges ServerHellos")
                    return
                self._sent += 1
                if self._peer_cid:
                    record = self._with_cid(record)
            elif self._server:
                self._see(record)
            out.append(record)
        self._flight = out
        self._fresh = True
        self._repeats = _REPEATS

    def _fail(self, because: str, credential: bool = False) -> None:
        self.state = FAILED
        if not self.because:
            self.because = because
            self.credential = credential

    # Keys.

    def _see(self, record: bytes) -> None:
        """A ServerHello says which suite it is; GnuTLS tells when all is over only."""
        at = HEADER + HANDSHAKE_HEADER + 34  # after version and random
        if len(record) > at and record[0] == HANDSHAKE and record[4] == 0 and record[HEADER] == SERVER_HELLO:
            at += 1 + record[at]
            suite = SUITES.get(int.from_bytes(record[at : at + 2], "big"))
            if suite is not None and suite not in self._seen and len(self._seen) < len(SUITES):
                self._seen.append(suite)
                self._suite = self._suite or suite

    def _settled(self, record: bytes) -> bool:
        """The suite is the one by which GnuTLS's first protected record opens."""
        for suite in self._seen:
            self._suite, self._block = suite, b""
            self._made.clear()
            protections = self._protections(False)
            if protections is not None and self._opened(protections[1], record) is not None:
                return True
        return False

    def _opened(self, protection: Protection, record: bytes) -> bytes | None:
        return protection.open(record[0], record[3:11], record[HEADER:])

    def _key_block(self, suite: Suite) -> bytes:
        """RFC 5246 section 6.3; b"" while there is no master secret."""
        if not self._block:
            lib, ffi = self._library.lib, self._library.ffi
            secret = ffi.new("gnutls_datum_t *")
            lib.gnutls_session_get_master_secret(self._session, secret)
            if not any(self._library.octets(secret)):
                return b""
            out = ffi.new("char[]", suite.octets)
            label = b"key expansion"
            if lib.gnutls_prf(self._session, len(label), label, 1, 0, ffi.NULL, suite.octets, out) == 0:
                self._block = bytes(ffi.buffer(out, suite.octets))
        return self._block

    def _protections(self, with_cids: bool) -> tuple[Protection, Protection] | None:
        """What the peer writes with, and this end."""
        suite = self._suite
        block = self._key_block(suite) if suite is not None else b""
        if suite is None or not block:
            return None
        negotiated = with_cids and self._peer_cid is not None
        made = self._made.get(negotiated)
        if made is None:
            made = self._made[negotiated] = self._new_protections(suite, block, negotiated)
        return made

    def _new_protections(self, suite: Suite, block: bytes, negotiated: bool) -> tuple[Protection, Protection]:
        incoming = (self._own_cid or b"") if negotiated else b""
        outgoing = (self._peer_cid or b"") if negotiated else b""
        if self._server:
            return suite.protections(block, incoming, outgoing)
        server, client = suite.protections(block, outgoing, incoming)[::-1]
        return server, client

    def _with_cid(self, record: bytes) -> bytes:
        plain, sealed = self._protections(False), self._protections(True)
        assert plain is not None, "GnuTLS wrote a protected record, so there are keys"
        assert sealed is not None, "GnuTLS wrote a protected record, so there are keys"
        content = self._opened(plain[1], record)
        assert content is not None, "these are the keys that GnuTLS wrote it with"
        return sealed[1].seal(record[0], int.from_bytes(record[3:11], "big"), content)

    def _finished_with_cid(self, record: bytes, start: int) -> None:
        """A record of the peer that carries this end's Connection ID, put into the form that GnuTLS reads."""
        if record[11 : start - 2] != self._own_cid or record[3:5] != b"\x00\x01":
            return
        plain, sealed = self._protections(False), self._protections(True)
        if plain is None or sealed is None:
            return
        content = sealed[0].open(TLS12_CID, record[3:11], record[start:])
        content = content.rstrip(b"\x00") if content is not None else b""
        if not content or content[-1] != HANDSHAKE:
            return
        self._received = max(self._received, int.from_bytes(record[5:11], "big"))
        self._step(plain[0].seal(HANDSHAKE, int.from_bytes(record[3:11], "big"), content[:-1]))

    def _genuine(self, datagram: bytes) -> bool:
        """Whether a protected record in it opens, or it cannot be told yet."""
        protections = self._protections(True)
        if protections is None:
            return True
        incoming = protections[0]
        pos = 0
        while len(datagram) - pos >= HEADER:
            kind = datagram[pos]
            start = pos + HEADER + (len(incoming.cid) if kind == TLS12_CID else 0)
            stop = start + int.from_bytes(datagram[start - 2 : start], "big")
            if stop > len(datagram):
                break
            if (
                datagram[pos + 4] == 1
                and incoming.open(kind, datagram[pos + 3 : pos + 11], datagram[start:stop]) is None
            ):
                return False
            pos = stop
        return True

    # After it.

    def proof(self) -> Proof:
        """Errors: AssertionError before it is DONE."""
        assert self.state == DONE, "only a handshake that is complete proves something"
        lib = self._library.lib
        suite = self._suite.name if self._suite is not None else ""
        resumed = bool(lib.gnutls_session_is_resumed(self._session))
        if lib.gnutls_auth_get_type(self._session) == g.CRD_PSK:
            name = self._library.ffi.new("gnutls_datum_t *")
            identity = self.identity
            if self._server and lib.gnutls_psk_server_get_username2(self._session, name) == 0:
                identity = self._library.octets(name)
            return Proof("psk", identity=identity, suite=suite, resumed=resumed)
        kind, chain = self.peer_chain()
        if kind == "rpk":
            return Proof("rpk", spki=chain[0], suite=suite, resumed=resumed)
        return Proof("certificate", certificate=chain[0], chain=chain[1:], suite=suite, resumed=resumed)

    def peer_chain(self) -> tuple[Kind, tuple[bytes, ...]]:
        """What the peer showed: a raw key alone, or a certificate and what stands above it, in DER."""
        lib, ffi = self._library.lib, self._library.ffi
        count = ffi.new("unsigned int *")
        found = lib.gnutls_certificate_get_peers(self._session, count)
        chain = tuple(self._library.octets(found[n]) for n in range(count[0])) if found != ffi.NULL else ()
        raw = lib.gnutls_certificate_type_get2(self._session, g.CTYPE_PEERS) == g.CRT_RAWPK
        return ("rpk" if raw else "certificate"), chain

    def chain_refused(self, purpose: bytes, host: bytes = b"", address: bytes = b"") -> str:
        """ "" if the peer's certificate is trusted for `purpose` (an OID), and names the host; else why not."""
        lib, ffi = self._library.lib, self._library.ffi
        wanted = [(g.DT_KEY_PURPOSE_OID, purpose)]
        if host:
            wanted.append((g.DT_DNS_HOSTNAME, host))
        if address:
            wanted.append((g.DT_IP_ADDRESS, address))
        kept = [ffi.new("unsigned char[]", value + b"\x00") for _, value in wanted]
        data = ffi.new("gnutls_typed_vdata_st[]", len(wanted))
        for place, ((kind, value), buffer) in enumerate(zip(wanted, kept, strict=True)):
            data[place].type, data[place].data, data[place].size = kind, buffer, len(value)
        status = ffi.new("unsigned int *")
        code = lib.gnutls_certificate_verify_peers(self._session, data, len(wanted), status)
        if code < 0:
            return self._library.because(code)
        if status[0] == 0:
            return ""
        words = ffi.new("gnutls_datum_t *")
        lib.gnutls_certificate_verification_status_print(status[0], g.CRT_X509, words, 0)
        return self._library.taken(words).decode("utf-8", "replace").strip() or "it is not trusted"

    def association(self, path: bytes, proof: Proof) -> Association:
        """What goes on with the records; this handshake should be closed then."""
        suite = self._suite
        assert suite is not None, "a handshake that is complete has keys"
        assert self._block, "a handshake that is complete has keys"
        # Others than those that the handshake has used: a peer that is silent after it takes no AEADs.
        protections = self._new_protections(suite, self._block, self._peer_cid is not None)
        made = Association(path, proof, protections[0], protections[1], self._settings.forgeries)
        made.begin_at(self._sent, self._received)
        return made
