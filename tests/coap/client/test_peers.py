"""The client against libcoap's servers, on GnuTLS and on OpenSSL: each transport and each way to prove who it is."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bridgehead.protocols.coap.client.client import MOST_WAITING, Client, Observation, Security
from bridgehead.protocols.coap.client.errors import ConnectionFailed
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.message import Message
from bridgehead.protocols.coap.codec.uri import parse_uri
from bridgehead.transport.dtls.contract import DtlsIdentity
from tests.transport.dtls.keys import pem, town

KEY = b"a key of 16 oct."
SERVERS = [
    pytest.param("coap-server-gnutls", marks=pytest.mark.peer("coap-server-gnutls")),
    pytest.param("coap-server-openssl", marks=pytest.mark.peer("coap-server-openssl")),
]
GNUTLS = pytest.mark.peer("coap-server-gnutls")


def client(
    scheme: str, port: int, path: str, security: Security | None = None, host: str = "127.0.0.1", patience: float = 15
) -> Client:
    return Client(parse_uri(f"{scheme}://{host}:{port}{path}"), security, patience)


@asynccontextmanager
async def server(program: str, *options: str) -> AsyncIterator[int]:
    """One that runs: its port; DTLS and TLS are at the next one."""
    for _ in range(5):
        port = free_pair()
        process = await asyncio.create_subprocess_exec(
            program, "-A", "127.0.0.1", "-p", str(port), "-v", "3", *options,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            if await answers(port, process):
                yield port
                return
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()
    raise AssertionError(f"{program} does not start")


async def answers(port: int, process: asyncio.subprocess.Process) -> bool:
    for _ in range(100):
        if process.returncode is not None:
            return False
        try:
            async with client("coap", port, "/") as it:
                return (await it.request(Message(codes.GET))).code == codes.CONTENT
        except ConnectionFailed:
            await asyncio.sleep(0.05)
    return False


def free_pair() -> int:
    import socket

    for _ in range(50):
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
    raise AssertionError("no two ports in a row are free")


async def exchanged(it: Client, path: str) -> None:
    """A large body there and back, block by block where the transport asks for it."""
    body = bytes(each % 97 + 32 for each in range(5000))
    options = it.options()
    put = await it.request(Message(codes.PUT, options, body))
    assert put.code in (codes.CREATED, codes.CHANGED)
    got = await it.request(Message(codes.GET, options))
    assert (got.code, got.payload) == (codes.CONTENT, body)
    missing = await it.request(Message(codes.GET, parse_uri("coap://h/nothing/here").resource_options()))
    assert missing.code == codes.NOT_FOUND


@pytest.mark.parametrize("program", SERVERS)
@pytest.mark.parametrize("scheme", ["coap", "coap+tcp"])
@pytest.mark.clause("RFC7959-2.3")
@pytest.mark.clause("RFC8323-3.4")
async def test_bodies_there_and_back(program: str, scheme: str) -> None:
    async with server(program, "-d", "10") as port, client(scheme, port, "/made") as it:
        await exchanged(it, "/made")


@GNUTLS
@pytest.mark.parametrize("scheme", ["coap", "coap+tcp"])
@pytest.mark.clause("RFC7641-3.2")
async def test_an_observation(scheme: str) -> None:
    async with server("coap-server-gnutls") as port, client(scheme, port, "/time") as it:
        observation = it.observe(Message(codes.GET, it.options()))
        found = []
        for _ in range(3):
            notification = await asyncio.wait_for(observation.next(), 15)
            assert notification is not None
            assert notification.has(option.OBSERVE)
            found.append(notification.payload)
        assert len(set(found)) == 3  # the time of day
        observation.cancel()
        again = await it.request(Message(codes.GET, it.options()))
        assert again.code == codes.CONTENT


@pytest.mark.parametrize("program", SERVERS)
@pytest.mark.clause("RFC7252-9.1.3.1")
async def test_a_pre_shared_key(program: str) -> None:
    security = Security(dtls=DtlsIdentity(psk_identity=b"sensor-7", psk_key=KEY))
    async with server(program, "-d", "10", "-k", KEY.decode(), "-h", "hint") as port:
        async with client("coaps", port + 1, "/made", security) as it:
            await exchanged(it, "/made")
        wrong = Security(dtls=DtlsIdentity(psk_identity=b"sensor-7", psk_key=b"another key"))
        with pytest.raises(ConnectionFailed):
            await client("coaps", port + 1, "/", wrong, patience=1).open()


@GNUTLS
@pytest.mark.clause("RFC7252-9.1.3.2")
async def test_raw_public_keys(tmp_path: Path) -> None:
    here = town()
    public = here.hub_key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    (tmp_path / "raw.pem").write_text(public + here.hub_key.sec1)
    async with server("coap-server-gnutls", "-d", "10", "-M", str(tmp_path / "raw.pem")) as port:
        known = DtlsIdentity(raw_key=here.sensor_key.pem, peer_raw_keys=(here.hub_key.spki,))
        async with client("coaps", port + 1, "/made", Security(dtls=known)) as it:
            await exchanged(it, "/made")
        other = DtlsIdentity(raw_key=here.sensor_key.pem, peer_raw_keys=(here.stranger_key.spki,))
        with pytest.raises(ConnectionFailed, match="raw public key is not one that was named"):
            await client("coaps", port + 1, "/", Security(dtls=other)).open()


def files(folder: Path) -> list[str]:
    here = town()
    (folder / "server.pem").write_text(pem(here.hub))
    (folder / "server.key").write_text(here.hub_key.sec1)
    (folder / "ca.pem").write_text(here.authority.pem)
    # -n: the client's certificate is looked at only where it shows one.
    return ["-c", str(folder / "server.pem"), "-j", str(folder / "server.key"), "-C", str(folder / "ca.pem")]


@pytest.mark.parametrize("program", SERVERS)
@pytest.mark.clause("RFC7252-9.1.3.3")
async def test_certificates_over_dtls(program: str, tmp_path: Path) -> None:
    here = town()
    dtls = DtlsIdentity(certificate=pem(here.sensor), key=here.sensor_key.pem, trust=here.authority.pem)
    async with server(program, "-d", "10", *files(tmp_path)) as port:
        async with client("coaps", port + 1, "/made", Security(dtls=dtls), "localhost") as it:
            await exchanged(it, "/made")
        stranger = DtlsIdentity(certificate=pem(here.sensor), key=here.sensor_key.pem, trust=pem(here.stranger))
        with pytest.raises(ConnectionFailed, match="the server's certificate is refused"):
            await client("coaps", port + 1, "/", Security(dtls=stranger), "localhost").open()


@pytest.mark.parametrize("program", SERVERS)
@pytest.mark.clause("RFC8323-8.2")
async def test_certificates_over_tls(program: str, tmp_path: Path) -> None:
    options = files(tmp_path)
    (tmp_path / "sensor.pem").write_text(pem(town().sensor))
    (tmp_path / "sensor.key").write_text(town().sensor_key.pem)
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    context.load_cert_chain(str(tmp_path / "sensor.pem"), str(tmp_path / "sensor.key"))
    async with (
        server(program, "-d", "10", *options) as port,
        client("coaps+tcp", port + 1, "/made", Security(tls=context), "localhost") as it,
    ):
        await exchanged(it, "/made")


async def test_a_port_where_nobody_listens() -> None:
    port = free_pair()
    async with client("coap", port, "/") as it:
        with pytest.raises(ConnectionFailed, match="does the server listen there"):
            await it.request(Message(codes.GET))
    with pytest.raises(ConnectionFailed, match="does the server run there"):
        await client("coap+tcp", port, "/").open()


async def test_notifications_that_nobody_takes_are_bounded() -> None:
    async with client("coap", free_pair(), "/") as it:
        observation = Observation(it, 1)
        assert all(observation.put(Message(codes.CONTENT)) for _ in range(MOST_WAITING))
        assert not observation.put(Message(codes.CONTENT))
        for _ in range(MOST_WAITING):
            assert await observation.next() is not None
        with pytest.raises(ConnectionFailed, match="wait to be taken"):
            await observation.next()
