"""TLS handshakes of independent clients (asyncio's, `ssl` driven by hand, OpenSSL's own), good and bad."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any

import pytest

from bridgehead.transport.events import HANDSHAKE_FAILED
from bridgehead.transport.listener import AcceptRules
from bridgehead.transport.shared import Shared
from tests.transport.tools import (
    Contexts,
    Echo,
    Hall,
    read_all,
    reset,
    tls_client,
    tls_read,
    tls_write,
    turns,
    until,
)

BIG = bytes(range(256)) * 16_384  # 4 MiB
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize("version", VERSIONS)
async def test_echo_with_asyncios_own_tls_client(
    shared: Shared, server_tls: ssl.SSLContext, contexts: Contexts, version: ssl.TLSVersion
) -> None:
    async with Hall(shared, tls=server_tls, owner=Echo) as hall:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", hall.listener.port, ssl=contexts.client(version=version), server_hostname="localhost"
        )
        for data in (b"x", b"hello", BIG):
            writer.write(data)
            assert await reader.readexactly(len(data)) == data
        owner = await hall.owner()
        info = owner.stream.tls
        assert info is not None
        assert info.version == {VERSIONS[0]: "TLSv1.2", VERSIONS[1]: "TLSv1.3"}[version]
        assert info.cipher == writer.get_extra_info("cipher")[0]
        assert info.peer_certificate is None
        writer.close()
        await writer.wait_closed()
        assert await owner.ended() == ""


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_client_certificate_is_reported(shared: Shared, contexts: Contexts, version: ssl.TLSVersion) -> None:
    async with Hall(shared, tls=contexts.server(client_certificate=ssl.CERT_REQUIRED)) as hall:
        client = await tls_client(await hall.connect(), contexts.client(certificate=True, version=version))
        await tls_write(client, b"hello")
        owner = await hall.owner()
        assert await owner.has(5) == b"hello"
        pem, _ = contexts._files["device"]
        info = owner.stream.tls
        assert info is not None
        assert info.peer_certificate == ssl.PEM_cert_to_DER_cert(pem.read_text())
        assert "with peer certificate" in repr(info)
        client.close()


async def test_without_a_certificate_the_client_hears_why(shared: Shared, contexts: Contexts) -> None:
    """In TLS 1.3 the client has sent data by then: the alert must survive that."""
    async with Hall(shared, tls=contexts.server(client_certificate=ssl.CERT_REQUIRED)) as hall:
        client = await tls_client(await hall.connect(), contexts.client(version=ssl.TLSVersion.TLSv1_3))
        await tls_write(client, b"too early")
        with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
            await tls_read(client, 1)
        client.close()
        event = await hall.event(HANDSHAKE_FAILED)
        assert event["because"] == "no client certificate came, and one is required"
        assert hall.owners == []


async def test_a_certificate_of_a_stranger_is_refused(shared: Shared, contexts: Contexts, tmp_path: Any) -> None:
    from bench.certificates import Authority

    stranger = Authority(tmp_path).issue("device")
    mine = contexts.client()
    mine.load_cert_chain(*stranger)
    async with Hall(shared, tls=contexts.server(client_certificate=ssl.CERT_OPTIONAL)) as hall:
        client = await tls_client(await hall.connect(), mine)
        with pytest.raises(ssl.SSLError, match=r"(?i)alert"):
            await tls_read(client, 1)
        client.close()
        event = await hall.event(HANDSHAKE_FAILED)
        assert str(event["because"]).startswith("the peer's certificate is not accepted: ")


@pytest.mark.parametrize(
    ("garbage", "because"),
    [
        (b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00" * 3, "what came is not TLS (plaintext sent to a TLS port?)"),
        (b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n", "plain HTTP was sent to a TLS port"),
        (b"\x16\x03\x01\xff\xff" + b"\xff" * 100, ""),
        (b"\x00" * 65536, ""),
    ],
)
async def test_garbage_instead_of_a_client_hello(
    shared: Shared, server_tls: ssl.SSLContext, garbage: bytes, because: str
) -> None:
    async with Hall(shared, tls=server_tls) as hall:
        client = await hall.connect()
        await asyncio.get_running_loop().sock_sendall(client, garbage)
        event = await hall.event(HANDSHAKE_FAILED)
        assert event["because"] == because or (not because and event["because"])
        assert event["peer"] == f"127.0.0.1:{client.getsockname()[1]}"
        assert event["listener"] == hall.listener.address
        await read_all(client)  # an alert at most, then the end
        client.close()
        assert hall.owners == []


@pytest.mark.parametrize("end", [socket.socket.close, reset])
@pytest.mark.parametrize("first", [b"", b"\x16\x03\x01\x02\x00\x01"])
async def test_a_client_that_leaves_during_the_handshake(
    shared: Shared, server_tls: ssl.SSLContext, first: bytes, end: Any
) -> None:
    async with Hall(shared, tls=server_tls) as hall:
        client = await hall.connect()
        await until(lambda: hall.listener.connections == 1)
        if first:
            await asyncio.get_running_loop().sock_sendall(client, first)
            await turns()
        end(client)
        event = await hall.event(HANDSHAKE_FAILED)
        assert event["because"] in ("the peer left during the TLS handshake", "the peer reset the connection") or str(
            event["because"]
        ).startswith("transport endpoint is not connected")
        await until(lambda: len(hall.ceilings) == 0)
        assert hall.listener.arriving == 0


@pytest.mark.parametrize("first", [b"", b"\x16\x03\x01\x02\x00\x01"])
async def test_a_handshake_that_never_ends_is_cut_off(shared: Shared, server_tls: ssl.SSLContext, first: bytes) -> None:
    async with Hall(shared, tls=server_tls, rules=AcceptRules(seconds=0.05)) as hall:
        client = await hall.connect()
        if first:
            await asyncio.get_running_loop().sock_sendall(client, first)
        event = await hall.event(HANDSHAKE_FAILED)
        stage = "the TLS handshake was not complete" if first else "no TLS handshake began"
        assert event["because"] == f"{stage} within 0.05 s"
        await until(lambda: len(hall.ceilings) == 0)
        client.close()


async def test_handshakes_at_work_have_a_ceiling_and_the_others_wait(
    shared: Shared, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with Hall(shared, tls=server_tls, rules=AcceptRules(handshakes=1)) as hall:
        stalled = await hall.connect()
        await asyncio.get_running_loop().sock_sendall(stalled, b"\x16\x03\x01\x02\x00\x01")
        await until(lambda: len(hall.listener._arrivals._working) == 1)
        silent = [await hall.connect() for _ in range(10)]  # these say nothing and take no place
        waiting = await hall.connect()
        handshake = asyncio.create_task(tls_client(waiting, client_tls))
        await until(lambda: len(hall.listener._arrivals._waiting) == 1)
        await turns()
        assert not handshake.done()
        assert len(hall.listener._arrivals._working) == 1
        stalled.close()
        client = await handshake
        await tls_write(client, b"hello")
        assert await (await hall.owner()).has(5) == b"hello"
        client.close()
        for sock in silent:
            sock.close()


async def test_who_stalls_in_a_handshake_makes_room(
    shared: Shared, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridgehead.transport.arrivals._STALLED", 0.0)
    async with Hall(shared, tls=server_tls, rules=AcceptRules(handshakes=1)) as hall:
        stalled = await hall.connect()
        await asyncio.get_running_loop().sock_sendall(stalled, b"\x16\x03\x01\x02\x00\x01")
        await until(lambda: len(hall.listener._arrivals._working) == 1)
        client = await tls_client(await hall.connect(), client_tls)
        event = await hall.event(HANDSHAKE_FAILED)
        assert event["because"] == "the TLS handshake stalled while others waited"
        stalled.close()
        client.close()


async def test_who_waits_needs_nobody_else_to_come(
    shared: Shared, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridgehead.transport.arrivals._STALLED", 0.05)
    async with Hall(shared, tls=server_tls, rules=AcceptRules(seconds=60, handshakes=2)) as hall:
        stalled = [await hall.connect() for _ in range(6)]
        for sock in stalled:
            await asyncio.get_running_loop().sock_sendall(sock, b"\x16\x03\x01\x02\x00\x01")
        await until(lambda: len(hall.listener._arrivals._waiting) == 4)
        client = await tls_client(await hall.connect(), client_tls)
        for sock in (*stalled, client):
            sock.close()


async def test_reload_counts_for_new_connections_only(shared: Shared, contexts: Contexts) -> None:
    async with Hall(shared, tls=contexts.server("hub"), owner=Echo) as hall:
        first = await tls_client(await hall.connect(), contexts.client())
        hall.listener.reload(contexts.server("other"))
        second = await tls_client(await hall.connect(), contexts.client())
        for client, name in ((first, "hub"), (second, "other")):
            certificate: Any = client.getpeercert()
            assert certificate["subject"] == ((("commonName", name),),)
            await tls_write(client, b"still here")
            assert await tls_read(client, 10) == b"still here"
            client.close()


@pytest.mark.peer("openssl")
async def test_a_renegotiation_is_refused_and_costs_no_handshake(
    shared: Shared, server_tls: ssl.SSLContext, contexts: Contexts
) -> None:
    """RFC 9325 3.5: OpenSSL's own client asks for it when it reads a line with R."""
    async with Hall(shared, tls=server_tls, owner=Echo) as hall:
        client = await asyncio.create_subprocess_exec(
            "openssl", "s_client", "-connect", hall.listener.address, "-tls1_2", "-CAfile", str(contexts.authority.ca),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(b"before\n")
        owner = await hall.owner()
        await owner.has(7)
        client.stdin.write(b"R\n")
        output = (await asyncio.wait_for(client.stdout.read(), 20)).decode()
        assert "RENEGOTIATING" in output
        assert "no renegotiation" in output
        await client.wait()
        await owner.ended()
        assert owner.data == b"before\n"
