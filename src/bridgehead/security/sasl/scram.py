"""SCRAM-SHA-256, SCRAM-SHA-512 and their -PLUS forms, the server's side (RFC 5802, RFC 7677).

What an unknown name is answered with looks like a record: the salt follows from the name under a key of the hub, so it
is the same each time; the proof is checked against keys that no password leads to. The peer hears the same refusal.
"""

from __future__ import annotations

import hmac
from typing import Final

from bridgehead.core.errors import LocalMisuse
from bridgehead.security.credentials import ScramRecord
from bridgehead.security.mechanisms import SCRAM
from bridgehead.security.sasl.contract import Answer, Ask, Binding, Challenge, Failure, LookUpScram, Mechanism, Step
from bridgehead.security.sasl.contract import outcome as proven
from bridgehead.security.sasl.prepare import NotPrepared, prepared
from bridgehead.security.sasl.scram_keys import (
    HASHES,
    PLUS,
    SALT_OCTETS,
    NotScram,
    attribute,
    checked_nonce,
    decoded,
    encoded,
    proof_is_right,
    signature,
    text_of,
    unescaped,
)

NONCE_OCTETS: Final = 24
CLIENT_NONCE: Final = 512
TLS_SERVER_END_POINT: Final = "tls-server-end-point"
TLS_EXPORTER: Final = "tls-exporter"


def bindings_of(binding: Binding) -> dict[str, bytes]:
    """The channel binding types that this connection has, each with its data."""
    known = {TLS_SERVER_END_POINT: binding.tls_server_end_point, TLS_EXPORTER: binding.tls_exporter}
    return {kind: data for kind, data in known.items() if data}


class Scram(Mechanism):
    """`name` is one of the four. `random`: at least NONCE_OCTETS fresh octets. The rest is as in offer.Settings."""

    message_octets = 8192

    def __init__(self, name: str, binding: Binding, random: bytes, fake_key: bytes, iterations: int) -> None:
        super().__init__()
        if len(random) < NONCE_OCTETS:
            raise LocalMisuse(f"SCRAM needs {NONCE_OCTETS} octets of chance")
        self.name = name
        self._base: Final = name.removesuffix(PLUS)
        self._digest: Final = HASHES[self._base]
        self._bindings: Final = bindings_of(binding)
        self._nonce: Final = encoded(random[:NONCE_OCTETS])
        self._fake_key: Final = fake_key
        self._iterations: Final = iterations
        self._claimed = ""
        self._authzid = ""
        self._channel = b""  # what c= must be
        self._client_first_bare = ""
        self._whole_nonce = ""
        self._server_first = ""
        self._record: ScramRecord | None = None
        self._real = False

    def _respond(self, response: bytes) -> Step:
        try:
            text = text_of(response)
            return self._client_first(text) if not self._server_first else self._client_final(text)
        except NotScram as fault:
            return self._refuse(str(fault), fault.error)

    # The client's first message. ------------------------------------------------------------------------------------

    def _client_first(self, text: str) -> Step:
        flag, comma, rest = text.partition(",")
        authzid, comma_2, bare = rest.partition(",")
        if not comma or not comma_2:
            raise NotScram("a client-first-message begins with a GS2 header")
        data = self._judge_flag(flag)
        if authzid:
            self._authzid = _name(attribute(authzid, "a"))
        # RFC 5802 section 7: reserved-mext comes first, and is an extension that nobody may ignore.
        if bare.startswith("m="):
            raise NotScram("the client asks for an extension that does not exist", "extensions-not-supported")
        parts = bare.split(",")
        if len(parts) < 2:
            raise NotScram("a client-first-message has a name and a nonce")
        self._claimed = _name(attribute(parts[0], "n"))
        nonce = checked_nonce(attribute(parts[1], "r"))
        if not self._claimed or len(nonce) > CLIENT_NONCE:
            raise NotScram("the name is empty, or the nonce is longer than any")
        _check_extensions(parts[2:])
        # RFC 5802 section 7: cbind-input = gs2-header [ cbind-data ].
        self._channel = f"{flag},{authzid},".encode() + data
        self._client_first_bare = bare
        self._whole_nonce = nonce + self._nonce
        return Ask(LookUpScram(self._claimed, self._base))

    def _judge_flag(self, flag: str) -> bytes:
        """The channel binding data that the flag speaks of (RFC 5802 section 6). Errors: NotScram."""
        plus = self.name.endswith(PLUS)
        if flag == "y" and self._bindings:
            # The client can bind, and believes that we cannot: somebody has shortened the list of mechanisms.
            raise NotScram(
                "the client was told that there is no channel binding here, and there is",
                "server-does-support-channel-binding",
            )
        if flag in ("y", "n"):
            if plus:
                raise NotScram(f"{self.name} came without channel binding", "server-does-support-channel-binding")
            return b""
        if not flag.startswith("p="):
            raise NotScram("the GS2 header's flag is none of n, y and p=")
        if not plus:
            raise NotScram(f"{self.name} came with channel binding", "channel-binding-not-supported")
        data = self._bindings.get(flag[2:])
        if data is None:
            raise NotScram("the client binds to what this connection has not", "unsupported-channel-binding-type")
        return data

    def _answer(self, value: Answer) -> Step:
        if value is not None and not (isinstance(value, ScramRecord) and value.mechanism == self._base):
            raise LocalMisuse(f"the answer is no ScramRecord of {self._base}")
        self._real = value is not None
        nobody = self._nobody()  # made for every name, so that it takes as long
        record = self._record = value if value is not None else nobody
        self._server_first = f"r={self._whole_nonce},s={encoded(record.salt)},i={record.iterations}"
        return Challenge(self._server_first.encode())

    def _nobody(self) -> ScramRecord:
        """The same salt each time, or asking twice would tell that there is no such name."""
        about = f"{self._base}\0{self._claimed}".encode()
        salt = hmac.digest(self._fake_key, b"salt\0" + about, "sha512")[:SALT_OCTETS]
        keys = hmac.digest(self._fake_key, b"keys\0" + about, self._digest)
        return ScramRecord(self._base, salt, self._iterations, keys, keys)

    # Its final one. -------------------------------------------------------------------------------------------------

    def _client_final(self, text: str) -> Step:
        record = self._record
        assert record is not None
        without_proof, found, proof_text = text.rpartition(",p=")
        parts = without_proof.split(",")
        if not found or len(parts) < 2:
            raise NotScram("a client-final-message has channel binding, nonce and proof, in this order")
        channel = decoded(attribute(parts[0], "c"))
        nonce = attribute(parts[1], "r")
        proof = decoded(proof_text)
        _check_extensions(parts[2:])
        if not hmac.compare_digest(channel, self._channel):
            raise NotScram("the channel binding is another than this connection's", "channel-bindings-dont-match")
        if not hmac.compare_digest(nonce.encode(), self._whole_nonce.encode()):
            raise NotScram("the nonce is not this exchange's")
        message = f"{self._client_first_bare},{self._server_first},{without_proof}"
        right = proof_is_right(self._digest, record.stored_key, message, proof)
        if not (right and self._real):
            because = "the proof is not that of the password" if self._real else "no SCRAM verifier has that name"
            return self._refuse(because, "invalid-proof", guess=True)
        verifier = signature(self._digest, record.server_key, message)
        return proven(self._claimed, self._authzid, SCRAM, f"v={encoded(verifier)}".encode())

    def _refuse(self, because: str, error: str, guess: bool = False) -> Failure:
        return Failure(because, f"e={error}".encode(), self._claimed, guess)


def _name(saslname: str) -> str:
    try:
        return prepared(unescaped(saslname))
    except NotPrepared as fault:
        raise NotScram(f"a name is not acceptable: {fault}", "invalid-username-encoding") from None


def _check_extensions(parts: list[str]) -> None:
    """RFC 5802 5.1: unknown optional extensions are ignored, but they are attr-val; none is what belongs elsewhere."""
    for part in parts:
        if part.startswith("m="):
            raise NotScram("the client asks for an extension that does not exist", "extensions-not-supported")
        if len(part) < 3 or not part[0].isascii() or not part[0].isalpha() or part[1] != "=" or part[0] in "amnrcpsive":
            raise NotScram("an attribute is out of order or no attribute")
