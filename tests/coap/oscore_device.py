"""A device that speaks OSCORE by aiocoap's implementation, without a socket: octets out, octets in."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from bridgehead.protocols.coap.codec.decode import decode
from bridgehead.protocols.coap.codec.encode import encode
from bridgehead.protocols.coap.codec.message import Message

_aiocoap: Any = import_module("aiocoap")  # which has no types
_message: Any = import_module("aiocoap.message")
_oscore: Any = import_module("aiocoap.oscore")

SECRET = bytes.fromhex("0102030405060708090a0b0c0d0e0f10")
SALT = bytes.fromhex("9e7ca92223786340")
ID_CONTEXT = bytes.fromhex("37cbf3210017a2d3")


def _no_check(self: Any) -> None:
    """Sequence numbers are kept in memory."""


_Context: Any = type(
    "_Context",
    (_oscore.CanProtect, _oscore.CanUnprotect, _oscore.SecurityContextUtils),
    {"post_seqnoincrease": _no_check},
)


class Device:
    """`sender_id` is the device's own. The hub's is `hub_id`."""

    def __init__(
        self,
        sender_id: bytes = b"\x0a",
        hub_id: bytes = b"B",
        id_context: bytes | None = ID_CONTEXT,
        secret: bytes = SECRET,
        salt: bytes = SALT,
    ) -> None:
        self.context = _Context()
        self.context.alg_aead = _oscore.algorithms["AES-CCM-16-64-128"]
        self.context.hashfun = _oscore.hashfunctions["sha256"]
        self.context.id_context = id_context
        self.context.sender_id = sender_id
        self.context.recipient_id = hub_id
        self.context.derive_keys(salt, secret)
        self.context.sender_sequence_number = 0
        self.context.recipient_replay_window = _oscore.ReplayWindow(32, lambda: None)
        self.context.recipient_replay_window.initialize_empty()

    def protect(self, message: Message, kid_context: bool = True) -> tuple[Message, Any]:
        """The request as it travels, and what `unprotect` needs for the answers to it."""
        plain = _aiocoap.Message.decode(encode(message))
        plain.direction = _message.Direction.OUTGOING
        protected, request = self.context.protect(plain, kid_context=kid_context)
        protected.mtype, protected.mid, protected.token = plain.mtype, plain.mid, plain.token
        return decode(protected.encode()), request

    def unprotect(self, response: Message, request: Any) -> Message:
        """The answer in clear. Errors: aiocoap's."""
        arrived = _aiocoap.Message.decode(encode(response))
        plain, _ = self.context.unprotect(arrived, request)
        plain.mtype, plain.mid, plain.token = arrived.mtype, arrived.mid, arrived.token
        plain.direction = _message.Direction.OUTGOING
        if plain.opt.observe == -1:  # how aiocoap says that it is older than all with a Partial IV
            plain.opt.observe = 0
        return decode(plain.encode())


NotProtected: Any = _oscore.NotAProtectedMessage
NotVerified: Any = _oscore.ProtectionInvalid
