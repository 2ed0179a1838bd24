"""NTLM (MS-NLMP): weak, and off unless a listener's chain asks for it. NTLMv2 with its integrity code, nothing older.

Why weak: what is stored is as good as the password, it is an MD4 hash without salt, and what passes over the wire can
be guessed against off line. Why here at all: some devices and Windows programs speak nothing else.

pyspnego's acceptor takes its credentials from a file named by an environment variable of the whole process and draws
its own chance, so the server's side is written here; the tests let pyspnego's client speak with it.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from bridgehead.core.errors import LocalMisuse
from bridgehead.security.mechanisms import NTLM
from bridgehead.security.sasl.contract import Answer, Ask, Challenge, Failure, LookUpNtlm, Mechanism, Step, outcome
from bridgehead.security.sasl.prepare import NotPrepared, prepared

SIGNATURE: Final = b"NTLMSSP\0"
TARGET: Final = "BRIDGEHEAD"
HASH_OCTETS: Final = 16

# MS-NLMP 2.2.2.5.
_UNICODE: Final = 0x1
_REQUEST_TARGET: Final = 0x4
_NTLM: Final = 0x200
_ANONYMOUS: Final = 0x800
_ALWAYS_SIGN: Final = 0x8000
_TARGET_TYPE_SERVER: Final = 0x20000
_EXTENDED_SECURITY: Final = 0x80000
_TARGET_INFO: Final = 0x800000
_VERSION: Final = 0x2000000
_KEY_EXCHANGE: Final = 0x40000000
_WHAT_WE_DO: Final = (
    _UNICODE | _REQUEST_TARGET | _NTLM | _ALWAYS_SIGN | _TARGET_TYPE_SERVER | _EXTENDED_SECURITY | _TARGET_INFO
) | _VERSION  # with a version of ours the client sends one, and its code of integrity has a fixed place
_OUR_VERSION: Final = bytes((10, 0, 0, 0, 0, 0, 0, 15))  # MS-NLMP 2.2.2.10: 15 is NTLMSSP's revision

# MS-NLMP 2.2.2.1.
_AV_END: Final = 0
_AV_COMPUTER: Final = 1
_AV_DOMAIN: Final = 2
_AV_FLAGS: Final = 6
_AV_TIMESTAMP: Final = 7
_AV_BINDINGS: Final = 10
_FLAG_MIC: Final = 0x2

_MIC_AT: Final = 72
_FIXED: Final = _MIC_AT + HASH_OCTETS
_EPOCH: Final = 11_644_473_600  # seconds from 1601, where FILETIME begins, to 1970


class _Broken(Exception):
    """The message is not what MS-NLMP has here."""


class Ntlm(Mechanism):
    """`random`: at least 8 fresh octets. `now`: seconds since the epoch. `fake_key`: as in offer.Settings.
    `end_point`: the connection's tls-server-end-point, to which a client may bind."""

    name = "NTLM"
    message_octets = 8192

    def __init__(self, random: bytes, now: float, fake_key: bytes, end_point: bytes | None) -> None:
        super().__init__()
        if len(random) < 8:
            raise LocalMisuse("NTLM needs 8 octets of chance")
        self._nonce: Final = random[:8]
        self._now: Final = now
        self._fake_key: Final = fake_key
        self._bindings: Final = None if end_point is None else _gss_bindings(end_point)
        self._negotiate = b""
        self._challenge = b""
        self._authenticate: _Authenticate | None = None
        self._claimed = ""

    def _respond(self, response: bytes) -> Step:
        try:
            return self._first(response) if not self._challenge else self._second(response)
        except _Broken as fault:
            return Failure(f"a message of NTLM is not of its form: {fault}", claimed=self._claimed)

    def _first(self, octets: bytes) -> Step:
        _check_head(octets, 1)
        flags = int.from_bytes(octets[12:16], "little")
        if len(octets) < 16 or not flags & _UNICODE:
            raise _Broken("the client does not write Unicode")
        if not flags & _EXTENDED_SECURITY:
            raise _Broken("the client knows only what is older than NTLMv2")
        self._negotiate = octets
        target = TARGET.encode("utf-16-le")
        # MS-NLMP 3.1.5.1.2: a client that gets a time must add the code of integrity over all three messages.
        time = int((self._now + _EPOCH) * 10_000_000).to_bytes(8, "little")
        info = _av(_AV_DOMAIN, target) + _av(_AV_COMPUTER, target) + _av(_AV_TIMESTAMP, time) + _av(_AV_END, b"")
        self._challenge = (
            SIGNATURE
            + (2).to_bytes(4, "little")
            + _field(len(target), 56)
            + _WHAT_WE_DO.to_bytes(4, "little")
            + self._nonce
            + bytes(8)
            + _field(len(info), 56 + len(target))
            + _OUR_VERSION
            + target
            + info
        )
        return Challenge(self._challenge)

    def _second(self, octets: bytes) -> Step:
        authenticate = _Authenticate(octets)
        if authenticate.flags & (_ANONYMOUS | _KEY_EXCHANGE):
            raise _Broken("the client does what was not offered")
        try:
            self._claimed = prepared(authenticate.user)
        except NotPrepared as fault:
            raise _Broken(str(fault)) from None
        if not self._claimed:
            raise _Broken("there is no name")
        pairs = authenticate.pairs
        if not int.from_bytes(pairs.get(_AV_FLAGS, b""), "little") & _FLAG_MIC:
            raise _Broken("the code of integrity is missing")
        bound = pairs.get(_AV_BINDINGS, b"").strip(b"\0")
        if bound and pairs[_AV_BINDINGS] != self._bindings:
            return Failure("the channel binding is another than this connection's", claimed=self._claimed)
        self._authenticate = authenticate
        return Ask(LookUpNtlm(self._claimed))

    def _answer(self, value: Answer) -> Step:
        authenticate = self._authenticate
        if authenticate is None or not (value is None or (isinstance(value, bytes) and len(value) == HASH_OCTETS)):
            raise LocalMisuse("the answer is no NT hash")
        nobodys = hmac.digest(self._fake_key, b"ntlm\0" + self._claimed.encode(), "sha256")[:HASH_OCTETS]
        stored = value or nobodys
        # MS-NLMP 3.3.2: NTOWFv2, NTProofStr and the key that follows from it; 3.1.5.1.2: the MIC.
        owf = hmac.digest(stored, (authenticate.user.upper() + authenticate.domain).encode("utf-16-le"), "md5")
        proof = hmac.digest(owf, self._nonce + authenticate.response[16:], "md5")
        key = hmac.digest(owf, proof, "md5")
        mic = hmac.digest(key, self._negotiate + self._challenge + authenticate.without_mic, "md5")
        right = hmac.compare_digest(proof, authenticate.response[:16])
        whole = hmac.compare_digest(mic, authenticate.mic)
        if not (right and whole and value is not None):
            return Failure("the NTLM response is not that of the password", claimed=self._claimed, guess=True)
        return outcome(self._claimed, "", NTLM)


class _Authenticate:
    """MS-NLMP 2.2.1.3, as far as it is needed. Errors: _Broken."""

    def __init__(self, octets: bytes) -> None:
        _check_head(octets, 3)
        if len(octets) < _FIXED:
            raise _Broken("it is shorter than its fixed part")
        self.response: Final = _payload(octets, 20)
        try:
            self.domain: Final = _payload(octets, 28).decode("utf-16-le")
            self.user: Final = _payload(octets, 36).decode("utf-16-le")
        except UnicodeDecodeError:
            raise _Broken("a name is not UTF-16") from None
        self.flags: Final = int.from_bytes(octets[60:64], "little")
        self.mic: Final = octets[_MIC_AT:_FIXED]
        self.without_mic: Final = octets[:_MIC_AT] + bytes(HASH_OCTETS) + octets[_FIXED:]
        # NTProofStr (16), then NTLMv2_CLIENT_CHALLENGE: 28 octets and the AV pairs. NTLMv1's response has 24 in all.
        if len(self.response) < 16 + 28 + 4 or self.response[16:18] != b"\x01\x01":
            raise _Broken("the response is not NTLMv2's")
        self.pairs: Final = _av_pairs(self.response[44:])


def _check_head(octets: bytes, kind: int) -> None:
    if octets[:8] != SIGNATURE or octets[8:12] != kind.to_bytes(4, "little"):
        raise _Broken(f"it is no message of type {kind}")


def _payload(octets: bytes, at: int) -> bytes:
    length = int.from_bytes(octets[at : at + 2], "little")
    begin = int.from_bytes(octets[at + 4 : at + 8], "little")
    if length and (begin < _FIXED or begin + length > len(octets)):
        raise _Broken("a field lies outside of it")
    return octets[begin : begin + length]


def _av_pairs(octets: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(octets):
        kind = int.from_bytes(octets[at : at + 2], "little")
        length = int.from_bytes(octets[at + 2 : at + 4], "little")
        if kind == _AV_END:
            return found
        if kind in found or at + 4 + length > len(octets):
            break
        found[kind] = octets[at + 4 : at + 4 + length]
        at += 4 + length
    raise _Broken("its AV pairs have no end")


def _av(kind: int, value: bytes) -> bytes:
    return kind.to_bytes(2, "little") + len(value).to_bytes(2, "little") + value


def _field(length: int, offset: int) -> bytes:
    return length.to_bytes(2, "little") * 2 + offset.to_bytes(4, "little")


def _gss_bindings(end_point: bytes) -> bytes:
    """MD5 of gss_channel_bindings_struct (RFC 4121 section 4.1.1.2, MS-NLMP 2.2.2.1) with tls-server-end-point."""
    data = b"tls-server-end-point:" + end_point
    return hashlib.md5(bytes(16) + len(data).to_bytes(4, "little") + data, usedforsecurity=False).digest()
