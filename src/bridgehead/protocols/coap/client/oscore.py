"""OSCORE between a client's requests and the messages beneath them (RFC 8613 section 8, the client's side)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bridgehead.protocols.coap.client.layer import Layer
from bridgehead.protocols.coap.codec import codes, oscore
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.message import Message, Option, in_order, uint_value
from bridgehead.security.errors import SecurityError
from bridgehead.security.oscore.keys import Aead, Secret, opened
from bridgehead.wire.errors import PeerError

_NUMBERS: Final = 1 << 24  # of Observe


class ClientContext:
    """The client's half of a context; `id_context` is empty where there is none. `next_sequence` gives a Sender
    Sequence Number that was never used, whatever became of earlier runs, or raises SecurityError. Errors:
    NotAcceptable."""

    def __init__(
        self,
        sender_id: bytes,
        recipient_id: bytes,
        id_context: bytes,
        secret: Secret,
        next_sequence: Callable[[], int],
    ) -> None:
        self.next_sequence: Final = next_sequence
        self.sender_id: Final = sender_id
        self.recipient_id: Final = recipient_id
        self.id_context: Final = id_context or None
        self.algorithm: Final = secret.algorithm.number
        self.common_iv: Final = secret.common_iv()
        self.sender: Final[Aead] = secret.cipher(sender_id)
        self.recipient: Final[Aead] = secret.cipher(recipient_id)

    def __repr__(self) -> str:
        return f"ClientContext({self.sender_id.hex()})"


class _Sent:
    """A request that was protected, as long as its token may be answered."""

    def __init__(self, request: Message, confirmable: bool, piv: bytes, with_echo: bool) -> None:
        self.request: Final = request
        self.confirmable: Final = confirmable
        self.piv: Final = piv
        self.with_echo: Final = with_echo
        self.newest = -1  # Partial IV of the newest notification
        self.count = 0  # of accepted answers


class ProtectedLayer(Layer):
    """Protects what goes to `inner`, and verifies what comes from there."""

    def __init__(self, inner: Layer, context: ClientContext) -> None:
        super().__init__()
        self._inner: Final = inner
        self._context: Final = context
        self._sent: Final[dict[bytes, _Sent]] = {}
        self.reliable = inner.reliable
        self._look(0.0)

    @property
    def is_ready(self) -> bool:
        return self._inner.is_ready

    def send(self, request: Message, confirmable: bool, now: float) -> None:
        self.expected.add(request.token)
        self._send(request, confirmable, None, now)

    def _send(self, request: Message, confirmable: bool, echo: bytes | None, now: float) -> None:
        keys = self._context
        try:
            sequence = keys.next_sequence()
        except SecurityError as fault:
            self.lost.append((request.token, str(fault)))
            return
        piv = oscore.partial_iv(sequence)
        additional = oscore.additional_data(keys.algorithm, keys.sender_id, piv)
        nonce = oscore.nonce(keys.sender_id, piv, keys.common_iv)
        sealed = keys.sender.encrypt(nonce, oscore.plaintext(request), additional)
        header = oscore.compress(oscore.Compressed(piv, keys.sender_id, keys.id_context))
        options = list(oscore.outer_options(request, header))
        if echo is not None:
            options.append((option.ECHO, echo))
        # Section 4.2: an observation looks like one to proxies, anything else like a POST.
        code = codes.FETCH if request.has(option.OBSERVE) else codes.POST
        self._sent[request.token] = _Sent(request, confirmable, piv, echo is not None)
        self._inner.send(Message(code, in_order(options), sealed, request.token), confirmable, now)
        self._look(now)

    def receive(self, data: bytes, now: float) -> None:
        self._inner.receive(data, now)
        self._look(now)

    def forget(self, token: bytes) -> None:
        super().forget(token)
        self._sent.pop(token, None)
        self._inner.forget(token)

    def ping(self, now: float) -> None:
        self._inner.ping(now)
        self._look(now)

    def next_timeout(self) -> float:
        return self._inner.next_timeout()

    def handle_timeout(self, now: float) -> None:
        self._inner.handle_timeout(now)
        self._look(now)

    def _look(self, now: float) -> None:
        """What the layer beneath has."""
        inner = self._inner
        arrived, inner.arrived = inner.arrived, []
        for message in arrived:
            sent = self._sent.get(message.token)
            if sent is not None:
                self._take(sent, message, now)
        self.lost += inner.lost
        inner.lost = []
        self.outgoing += inner.outgoing
        inner.outgoing = []
        self.closed = inner.closed
        self.block = inner.block

    def _take(self, sent: _Sent, message: Message, now: float) -> None:
        value = message.first(option.OSCORE)
        if value is None:
            self._unprotected(sent, message, now)
            return
        try:
            restored = self._verified(sent, message, oscore.decompress(value))
        except PeerError:
            return  # section 8.4: as if it had not come
        if restored is not None:
            self.arrived.append(restored)

    def _unprotected(self, sent: _Sent, message: Message, now: float) -> None:
        """Section 8.2: what the server cannot verify is refused without protection. Nothing else counts."""
        echo = message.first(option.ECHO)
        if message.code == codes.UNAUTHORIZED and echo is not None and not sent.with_echo:
            # RFC 9175 section 2.3: the address has to be proven before the server looks inside.
            self._send(sent.request, sent.confirmable, echo, now)
        elif message.code >> 5 in (4, 5):
            said = message.payload.decode("utf-8", "replace").strip()
            shown = "".join([c if c.isprintable() else " " for c in said])[:200]
            refused = f"the server refused the OSCORE request: {codes.dotted(message.code)} {shown}".rstrip()
            self.lost.append((message.token, f"{refused}; does the device still have this context?"))

    def _verified(self, sent: _Sent, message: Message, header: oscore.Compressed) -> Message | None:
        """Section 8.4. None: not by the holder of the key, or seen before."""
        keys = self._context
        additional = oscore.additional_data(keys.algorithm, keys.sender_id, sent.piv)
        number = -1
        if header.partial_iv:
            number = int.from_bytes(header.partial_iv, "big")
            if number <= sent.newest:
                return None  # section 7.4.1: the newest notification counts
            nonce = oscore.nonce(keys.recipient_id, header.partial_iv, keys.common_iv)
        elif sent.count:
            return None  # the request's own nonce answers once
        else:
            nonce = oscore.nonce(keys.sender_id, sent.piv, keys.common_iv)
        plain = opened(keys.recipient, nonce, message.payload, additional)
        if plain is None:
            return None
        restored = oscore.restored(plain, message)
        if codes.is_request(restored.code):
            return None
        sent.newest = max(sent.newest, number)
        if restored.has(option.OBSERVE):
            # Section 4.1.3.5.2: Partial IVs order notifications. Upwards they are counted: the first has none, and 24
            # bits of a later one may be anywhere in the circle.
            options: list[Option] = [each for each in restored.options if each[0] != option.OBSERVE]
            options.append((option.OBSERVE, uint_value(sent.count % _NUMBERS)))
            restored = restored.with_options(in_order(options))
        sent.count += 1
        return restored
