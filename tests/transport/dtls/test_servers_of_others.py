"""The client's end against servers of other makers: libcoap on GnuTLS and on OpenSSL, GnuTLS's and OpenSSL's own."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridgehead.core.clock import Clock
from bridgehead.transport.dtls.client import DtlsClient
from bridgehead.transport.dtls.contract import DtlsIdentity, DtlsSettings, Failure, Proof, Rim
from bridgehead.wire.dtls.association import Association
from tests.transport.dtls.dialogue import PSK, Collected
from tests.transport.dtls.keys import pem, town

GET = b"\x41\x01\x12\x34\x07" + b"\xbb.well-known\x04core"
Until = Callable[["Client"], bool]


class Client:
    """A DtlsClient with a socket, stepped by `run`."""

    def __init__(self, port: int, identity: DtlsIdentity, host: str = "127.0.0.1") -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.connect(("127.0.0.1", port))
        self.sink = Collected()
        self.proofs: list[Proof] = []
        self.failures: list[Failure] = []
        self.clock = Clock(time.time())
        rim = Rim(
            send=self._send,
            established=self._established,
            failed=self.failures.append,
            address_of=lambda path: "127.0.0.1",
            defer=asyncio.get_running_loop().call_soon,
            clock=self.clock,
            random=os.urandom,
        )
        self.dtls = DtlsClient(identity, DtlsSettings(), rim, host)

    def _established(self, association: Association) -> None:
        assert isinstance(association.proof, Proof)
        association.sink = self.sink
        self.proofs.append(association.proof)

    def _send(self, path: bytes, data: bytes) -> None:
        try:
            self.socket.send(data)
        except ConnectionRefusedError:  # the server is not there yet: the flight is sent again
            return

    async def run(self, until: Until) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(15):
            while not until(self):
                try:
                    data = await asyncio.wait_for(loop.sock_recv(self.socket, 65536), 0.1)
                except (TimeoutError, ConnectionRefusedError):
                    data = b""
                self.clock.now = time.time()
                if data:
                    self.dtls.receive(data)
                elif self.dtls.next_timeout() <= self.clock.now:
                    self.dtls.handle_timeout(self.clock.now)

    def close(self) -> None:
        self.dtls.close("the test is over")
        self.socket.close()


@pytest.fixture
def port() -> int:
    """A free one, whose next one is free as well: libcoap takes two."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.bind(("127.0.0.1", 0))
            number: int = one.getsockname()[1]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two:
                try:
                    two.bind(("127.0.0.1", number + 1))
                except OSError:
                    continue
                return number


@pytest.fixture
def files(tmp_path: Path) -> Path:
    here = town()
    for name, text in {
        "ca.pem": here.authority.pem,
        "hub.crt": pem(here.hub),
        "hub.key": here.hub_key.sec1,
        "psk.txt": f"sensor-7:{PSK.hex()}\n",
    }.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@asynccontextmanager
async def running(*command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def psk_client(key: bytes = PSK) -> DtlsIdentity:
    return DtlsIdentity(psk_identity=b"sensor-7", psk_key=key)


def raw_client() -> DtlsIdentity:
    return DtlsIdentity(raw_key=town().sensor_key.pem, peer_raw_keys=(town().hub_key.spki,))


def certificate_client() -> DtlsIdentity:
    here = town()
    return DtlsIdentity(certificate=pem(here.sensor), key=here.sensor_key.pem, trust=here.authority.pem)


async def get(port: int, identity: DtlsIdentity) -> Proof:
    client = Client(port, identity)
    try:
        client.dtls.start()
        await client.run(lambda client: bool(client.proofs or client.failures))
        assert client.proofs, client.failures[0].because
        assert client.dtls.association is not None
        client.socket.send(client.dtls.association.seal(GET))
        await client.run(lambda client: bool(client.sink.data))
        answer = client.sink.data[0]
        assert answer[:5] == b"\x61\x45\x12\x34\x07"  # 2.05 Content, piggybacked
        assert b"</" in answer
        return client.proofs[0]
    finally:
        client.close()


@pytest.mark.parametrize(
    "program",
    [
        pytest.param("coap-server-gnutls", marks=pytest.mark.peer("coap-server-gnutls")),
        pytest.param("coap-server-openssl", marks=pytest.mark.peer("coap-server-openssl")),
    ],
)
@pytest.mark.parametrize("mode", ["psk", "certificate"])
async def test_libcoap(program: str, mode: str, port: int, files: Path) -> None:
    keys: tuple[str, ...] = ("-k", PSK.decode()) if mode == "psk" else ()
    if mode == "certificate":
        keys = ("-c", str(files / "hub.crt"), "-j", str(files / "hub.key"), "-C", str(files / "ca.pem"), "-n")
    async with running(program, "-A", "127.0.0.1", "-p", str(port), *keys):
        proof = await get(port + 1, psk_client() if mode == "psk" else certificate_client())
    assert proof.kind == mode


@pytest.mark.peer("coap-server-gnutls")
async def test_libcoap_with_raw_keys(port: int, files: Path) -> None:
    async with running("coap-server-gnutls", "-A", "127.0.0.1", "-p", str(port), "-M", str(files / "hub.key")):
        proof = await get(port + 1, raw_client())
    assert (proof.kind, proof.spki) == ("rpk", town().hub_key.spki)


async def reach(port: int, identity: DtlsIdentity, host: str = "127.0.0.1") -> Client:
    client = Client(port, identity, host)
    client.dtls.start()
    await client.run(lambda client: bool(client.proofs or client.failures))
    client.close()
    return client


@pytest.mark.peer("openssl")
async def test_openssl_whose_certificate_names_another_host(port: int, files: Path) -> None:
    async with running(
        "openssl", "s_server", "-dtls1_2", "-accept", f"127.0.0.1:{port}", "-cert", str(files / "hub.crt"),
        "-key", str(files / "hub.key"), "-quiet",
    ):  # fmt: skip
        client = await reach(port, certificate_client(), "hub.example.com")
    (failure,) = client.failures
    assert failure.credential
    assert "the server's certificate is refused" in failure.because
    assert "name" in failure.because


@pytest.mark.peer("openssl")
@pytest.mark.parametrize("key", [PSK, b"another"])
async def test_openssl_with_the_key_and_with_another(port: int, key: bytes) -> None:
    async with running(
        "openssl", "s_server", "-dtls1_2", "-accept", f"127.0.0.1:{port}", "-nocert", "-psk", key.hex(),
        "-psk_identity", "sensor-7", "-quiet",
    ):  # fmt: skip
        client = Client(port, psk_client())
        client.dtls.start()
        if key == PSK:
            await client.run(lambda client: bool(client.proofs))
        else:  # a record that does not open is dropped: silence, and no session
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(2):
                    await client.run(lambda client: bool(client.proofs))
        client.close()


@pytest.mark.peer("gnutls-serv")
async def test_gnutls_own_server(port: int, files: Path) -> None:
    async with running(
        "gnutls-serv", "--udp", "--echo", "-p", str(port), "--pskpasswd", str(files / "psk.txt"), "--priority",
        "NONE:+VERS-DTLS1.2:+AES-128-CCM-8:+AEAD:+PSK:+COMP-NULL:+SIGN-ALL:+GROUP-ALL",
    ):  # fmt: skip
        client = Client(port, psk_client())
        client.dtls.start()
        await client.run(lambda client: bool(client.proofs or client.failures))
        assert [proof.suite for proof in client.proofs] == ["TLS_PSK_WITH_AES_128_CCM_8"]
        assert client.dtls.association is not None
        client.socket.send(client.dtls.association.seal(b"22.5 C\n"))
        await client.run(lambda client: bool(client.sink.data))
        assert client.sink.data == [b"22.5 C\n"]
        client.close()
