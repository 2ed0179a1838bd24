"""TLS streams against a client driven by hand: reading, writing, every way to end."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any

import pytest

from bridgehead.transport.shared import Shared
from bridgehead.transport.tls import TlsStream
from tests.transport.tools import (
    Contexts,
    Echo,
    Hall,
    Owner,
    reset,
    tls_client,
    tls_read,
    tls_read_all,
    tls_write,
    turns,
    until,
)

BIG = bytes(range(256)) * 16_384  # 4 MiB
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
async def test_data_in_the_same_segment_as_the_end_of_the_handshake(
    shared: Shared, server_tls: ssl.SSLContext, contexts: Contexts, version: ssl.TLSVersion
) -> None:
    """The client's last flight and its first data reach us in one piece."""
    async with Hall(shared, tls=server_tls, owner=Echo) as hall:
        sock = await hall.connect()
        loop = asyncio.get_running_loop()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = contexts.client(version=version).wrap_bio(incoming, outgoing, server_hostname="localhost")
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                await loop.sock_sendall(sock, outgoing.read())
                incoming.write(await loop.sock_recv(sock, 65536))
        if version == ssl.TLSVersion.TLSv1_3:
            client.write(b"with the Finished")
            await loop.sock_sendall(sock, outgoing.read())
        else:  # here the server ends the handshake; a client that is sure of it sends at once
            client.write(b"with the ")
            client.write(b"Finished")
            await loop.sock_sendall(sock, outgoing.read())
        assert await (await hall.owner()).has(17) == b"with the Finished"
        sock.close()


@pytest.mark.parametrize("size", [100, 1000, 16384, 65536])
@pytest.mark.parametrize("records", [1, 2, 7])
async def test_any_record_against_any_read_size(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, size: int, records: int
) -> None:
    """Octets of a record that a small read left inside OpenSSL are read although the selector is silent."""
    shared = Shared(read_size=size, max_records=4)
    async with Hall(shared, tls=server_tls) as hall:
        client = await tls_client(await hall.connect(), client_tls)
        data = bytes(i % 251 for i in range(16384))
        for _ in range(records):
            await tls_write(client, data)
        assert await (await hall.owner()).has(records * 16384) == data * records
        client.close()


async def test_many_small_records_are_read_together_after_a_while(
    shared: Shared, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with Hall(shared, tls=server_tls) as hall:
        client = await tls_client(await hall.connect(), client_tls)
        owner = await hall.owner()
        owner.stream.pause()
        for _ in range(200):
            await tls_write(client, b"0123456789")
        owner.stream.resume()
        await owner.has(2000)
        assert owner.data == b"0123456789" * 200
        assert len(owner.reads) < 40
        assert max(map(len, owner.reads)) == 10 * shared.max_records
        client.close()


async def test_a_trickle_is_read_without_looking_twice(
    shared: Shared, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with Hall(shared, tls=server_tls) as hall:
        client = await tls_client(await hall.connect(), client_tls)
        owner = await hall.owner()
        stream = owner.stream
        assert isinstance(stream, TlsStream)
        real = stream._sock
        looks = 0

        class Counting:
            def recv(self, size: int) -> bytes:
                nonlocal looks
                looks += 1
                return real.recv(size)

            def __getattr__(self, name: str) -> Any:
                return getattr(real, name)

        counting: Any = Counting()
        stream._sock = counting
        for count in range(1, 33):
            await tls_write(client, b"m")
            await owner.has(count)
        # One for each message, one more at every 16th, and one for the session tickets.
        assert looks <= 32 + 2 + 1
        stream._sock = real
        client.close()


@pytest.mark.parametrize("size", [1000, 65536])
async def test_pause_and_resume_with_data_inside_openssl(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, size: int
) -> None:
    class Pausing(Owner):
        def on_data(self, data: bytes) -> None:
            super().on_data(data)
            self.stream.pause()

    async with Hall(Shared(read_size=size, max_records=1), tls=server_tls, owner=Pausing) as hall:
        client = await tls_client(await hall.connect(), client_tls)
        await tls_write(client, b"z" * 16384)
        owner = await hall.owner()
        for reads in range(1, 16384 // size + 2):
            await until(lambda: len(owner.reads) >= reads)  # noqa: B023
            await turns(2)
            assert len(owner.reads) == reads
            owner.stream.resume()
        assert owner.data == b"z" * 16384
        client.close()


# --- writing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
async def test_partial_writes_and_backpressure(
    shared: Shared, server_tls: ssl.SSLContext, contexts: Contexts, version: ssl.TLSVersion
) -> None:
    async with Hall(shared, tls=server_tls) as hall:
        sock = await hall.connect()
        client = await tls_client(sock, contexts.client(version=version))
        await tls_write(client, b"go")
        owner = await hall.owner()
        await owner.has(2)
        stream = owner.stream
        assert isinstance(stream, TlsStream)
        stream._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        stream.send(BIG)
        assert 0 < stream.pending <= len(BIG)
        stream.send(b"tail")
        assert owner.drains == 0
        data = await tls_read(client, len(BIG) + 4)
        assert data[: len(BIG)] == BIG
        assert data[len(BIG) :] == b"tail"
        await until(lambda: owner.drains == 1)
        assert stream.pending == 0
        client.close()


async def test_a_send_of_several_records_never_calls_back_from_inside(
    shared: Shared, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with Hall(shared, tls=server_tls) as hall:
        client = await tls_client(await hall.connect(), client_tls)
        owner = await hall.owner()
        owner.stream.send(b"a" * 50_000)  # four records, all taken at once
        assert owner.drains == 0
        assert owner.stream.pending == 0
        assert await tls_read(client, 50_000) == b"a" * 50_000
        await turns()
        assert owner.drains == 0
        client.close()


class Scripted:
    """Stands before an SSLSocket and first raises what a renegotiation would make it raise."""

    def __init__(self, real: ssl.SSLSocket, recv: list[Exception], send: list[Exception]) -> None:
        self.real = real
        self.to_recv = recv
        self.to_send = send

    def recv(self, size: int) -> bytes:
        if self.to_recv:
            raise self.to_recv.pop(0)
        return self.real.recv(size)

    def send(self, data: bytes) -> int:
        if self.to_send:
            raise self.to_send.pop(0)
        return self.real.send(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


async def test_tls_may_want_the_other_direction(
    shared: Shared, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with Hall(shared, tls=server_tls) as hall:
        client = await tls_client(await hall.connect(), client_tls)
        owner = await hall.owner()
        stream = owner.stream
        assert isinstance(stream, TlsStream)
        script: Any = Scripted(
            stream._sock,
            [ssl.SSLWantWriteError(), ssl.SSLWantReadError()],
            [ssl.SSLWantReadError(), ssl.SSLWantReadError(), ssl.SSLWantWriteError()],
        )
        stream._sock = script
        stream.send(b"first ")
        assert stream.pending == 6
        stream.send(b"second")
        await tls_write(client, b"hello")
        assert await owner.has(5) == b"hello"
        assert await tls_read(client, 12) == b"first second"
        await until(lambda: owner.drains == 1)
        assert script.to_recv == script.to_send == []
        client.close()


# --- the end ----------------------------------------------------------------------------------------------------------


async def test_close_sends_close_notify_after_what_is_pending(
    shared: Shared, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with Hall(shared, tls=server_tls) as hall:
        client = await tls_client(await hall.connect(), client_tls, strict=True)
        owner = await hall.owner()
        owner.stream.send(BIG)
        owner.stream.close()
        assert await tls_read_all(client) == BIG
        assert await owner.ended() == ""
        client.close()


async def test_close_while_the_peer_floods(
    shared: Shared, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with Hall(shared, tls=server_tls) as hall:
        client = await tls_client(await hall.connect(), client_tls)
        owner = await hall.owner()
        owner.stream.pause()
        await tls_write(client, b"flood" * 5000)
        owner.stream.send(b"you are disconnected")
        owner.stream.close()
        assert await tls_read_all(client) == b"you are disconnected"
        client.close()
        assert await owner.ended() == ""


async def test_an_end_without_close_notify_is_told(
    shared: Shared, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with Hall(shared, tls=server_tls) as hall:
        client = await tls_client(await hall.connect(), client_tls)
        await tls_write(client, b"last words")
        owner = await hall.owner()
        await owner.has(10)
        client.close()
        assert await owner.ended() == "the peer ended the connection without TLS's close_notify"


@pytest.mark.parametrize("messages", [1, 40])
async def test_last_words_and_close_notify_in_one_piece(
    shared: Shared, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, messages: int
) -> None:
    async with Hall(shared, tls=server_tls) as hall:
        client = await tls_client(await hall.connect(), client_tls)
        owner = await hall.owner()
        owner.stream.pause()
        for _ in range(messages):
            await tls_write(client, b"last words")
        with pytest.raises(ssl.SSLWantReadError):
            client.unwrap()
        # The connection itself stays open: only TLS has ended.
        owner.stream.resume()
        assert await owner.ended() == ""
        assert owner.data == b"last words" * messages
        client.close()


async def test_a_reset_is_told(shared: Shared, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    async with Hall(shared, tls=server_tls) as hall:
        client = await tls_client(await hall.connect(), client_tls)
        owner = await hall.owner()
        reset(client)
        # Python's ssl hides the reset behind OpenSSL's "unexpected end".
        assert await owner.ended() == "the peer ended the connection without TLS's close_notify"


async def test_a_broken_record_ends_the_connection(
    shared: Shared, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with Hall(shared, tls=server_tls) as hall:
        client = await tls_client(await hall.connect(), client_tls)
        owner = await hall.owner()
        bare = socket.socket(fileno=client.detach())
        bare.setblocking(False)
        await asyncio.get_running_loop().sock_sendall(bare, b"\x17\x03\x03\x00\x20" + b"\x00" * 32)
        assert (await owner.ended()).startswith("TLS failed: ")
        bare.close()


async def test_octets_before_a_broken_record_are_handed_up(
    shared: Shared, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with Hall(shared, tls=server_tls) as hall:
        client = await tls_client(await hall.connect(), client_tls)
        owner = await hall.owner()
        owner.stream.pause()
        for _ in range(20):
            await tls_write(client, b"good ")
        bare = socket.socket(fileno=client.detach())
        bare.setblocking(False)
        await asyncio.get_running_loop().sock_sendall(bare, b"\x17\x03\x03\x00\x20" + b"\x00" * 32)
        owner.stream.resume()
        assert (await owner.ended()).startswith("TLS failed: ")
        assert owner.data == b"good " * 20
        bare.close()


async def test_the_peers_good_bye_is_read_although_our_write_fails_first(
    shared: Shared, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with Hall(shared, tls=server_tls) as hall:
        client = await tls_client(await hall.connect(), client_tls)
        owner = await hall.owner()
        owner.stream.pause()
        await tls_write(client, b"good-bye")
        reset(client)
        await turns()
        owner.stream.resume()
        owner.stream.send(b"into the void")
        owner.stream.send(b"z" * 100_000)
        assert await owner.ended() != ""
        assert owner.data == b"good-bye"


async def test_abort_inside_on_data(shared: Shared, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    class Aborting(Owner):
        def on_data(self, data: bytes) -> None:
            super().on_data(data)
            self.stream.abort()

    async with Hall(shared, tls=server_tls, owner=Aborting) as hall:
        client = await tls_client(await hall.connect(), client_tls)
        await tls_write(client, b"z" * 16384)
        owner = await hall.owner()
        assert await owner.ended() == "the connection was aborted"
        client.close()


async def test_close_notify_waits_for_room_in_the_kernel(
    shared: Shared, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with Hall(shared, tls=server_tls) as hall:
        client = await tls_client(await hall.connect(), client_tls, strict=True)
        owner = await hall.owner()
        assert isinstance(owner.stream, TlsStream)
        stream: TlsStream = owner.stream
        real = stream._sock
        refusals: list[Exception] = [ssl.SSLWantWriteError(), ssl.SSLWantWriteError()]

        class Full:
            def unwrap(self) -> object:
                if refusals:
                    raise refusals.pop()
                stream._sock = real
                return real.unwrap()

            def __getattr__(self, name: str) -> Any:
                return getattr(real, name)

        full: Any = Full()
        stream._sock = full
        stream.close()
        assert owner.ends == []
        assert await tls_read_all(client) == b""
        client.close()
        assert await owner.ended() == ""
        await until(lambda: len(hall.ceilings) == 0)
