"""DTLS clients for the measurements: handshakes over a blocking socket, then sealed requests."""

from __future__ import annotations

import os
import time
from typing import Final

from bench.coap_load import Lane
from bridgehead.core.clock import Clock
from bridgehead.transport.datagram_calls import BATCH
from bridgehead.transport.dtls.client import DtlsClient
from bridgehead.transport.dtls.contract import DtlsIdentity, DtlsSettings, Failure, Rim
from bridgehead.wire.dtls.association import Association
from bridgehead.wire.dtls.numbers import APPLICATION_DATA

TIMEOUT: Final = 20.0
CIPHER: Final = "AES-128-CCM-8"  # what RFC 7252 section 9 has everybody speak, and the smallest devices only


class SecuredLane(Lane):
    """One DTLS session and the requests under way on it. Answers are counted by their records, not opened: what the
    generator does not do leaves it time to load the server."""

    def __init__(self, port: int, code: int, rest: bytes, identity: DtlsIdentity, source: str = "127.0.0.1") -> None:
        super().__init__(port, code, rest, source)
        self._clock: Final = Clock(time.time())
        self._failure = ""
        self._written: list[tuple[bytes, bytes]] = []
        self._identity: Final = identity
        self.association: Association | None = None
        settings = DtlsSettings()
        settings.ciphers = (CIPHER,)
        settings.psk_exchanges = ("PSK",)
        rim = Rim(
            send=self._send,
            established=self._established,
            failed=self._failed,
            address_of=lambda path: "127.0.0.1",
            defer=lambda call: call(),
            clock=self._clock,
            random=os.urandom,
        )
        self._client: Final = DtlsClient(identity, settings, rim, "localhost")

    def _send(self, path: bytes, data: bytes) -> None:
        self._written.append((self.path, data))

    def flush(self) -> None:
        """Send what the handshake has written."""
        if self._written:
            self.calls.send(self._written)
            self._written.clear()

    def _established(self, association: Association) -> None:
        self.association = association

    def _failed(self, failure: Failure) -> None:
        self._failure = failure.because

    def begin(self) -> None:
        """The first flight; `flush` sends it."""
        self._clock.now = time.time()
        self._client.start()

    def go_on(self) -> bool:
        """Take what came; whether the handshake is complete. `flush` sends the answer. RuntimeError when it failed."""
        self._clock.now = time.time()
        for _, data, _ in self.calls.receive():
            self._client.receive(data)
        if self._client.next_timeout() <= self._clock.now:
            self._client.handle_timeout(self._clock.now)
        if self._failure:
            raise RuntimeError(f"the handshake failed: {self._failure}")
        return self.association is not None

    def connect(self) -> None:
        """The whole handshake. RuntimeError when it fails."""
        self.begin()
        self.flush()
        deadline = time.monotonic() + TIMEOUT
        while not self.go_on():
            self.flush()
            if time.monotonic() > deadline:
                raise RuntimeError("the server did not complete the handshake")
            time.sleep(0.0005)
        self.flush()

    def ask(self, count: int) -> None:
        association = self.association
        assert association is not None
        batch = [(self.path, association.seal(request)) for request in self.requests(count)]
        for at in range(0, count, BATCH):
            self.calls.send(batch[at : at + BATCH])

    def send(self, message: bytes) -> None:
        association = self.association
        assert association is not None
        self.calls.send([(self.path, association.seal(message))])

    def is_answer(self, data: bytes) -> bool:
        return data[0] == APPLICATION_DATA
