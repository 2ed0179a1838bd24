"""Plain streams on real sockets: what is sent and read, backpressure, and every way to end."""

from __future__ import annotations

import asyncio
import socket

import pytest

from bridgehead.core.errors import LocalMisuse
from bridgehead.transport.shared import Shared
from bridgehead.transport.stream import SocketStream
from tests.transport.tools import Echo, Owner, read_all, read_exactly, reset, tcp_pair, turns, until

BIG = bytes(range(256)) * 16_384  # 4 MiB


async def pair(shared: Shared) -> tuple[SocketStream, socket.socket]:
    near, far = await tcp_pair()
    return SocketStream(shared, near, "there:1"), far


def tiny_pair(shared: Shared) -> tuple[SocketStream, socket.socket]:
    near, far = socket.socketpair()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    near.setblocking(False)
    far.setblocking(False)
    return SocketStream(shared, near, "there:1"), far


async def test_octets_go_both_ways(shared: Shared) -> None:
    stream, far = await pair(shared)
    owner = Owner(stream)
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(far, b"hello")
    assert await owner.has(5) == b"hello"
    stream.send(b"wor")
    stream.send(b"ld")
    assert await read_exactly(far, 5) == b"world"
    assert stream.pending == 0
    assert owner.drains == 0
    stream.abort()
    far.close()


async def test_names_of_both_ends(shared: Shared) -> None:
    stream, far = await pair(shared)
    assert stream.peer == "there:1"
    assert stream.local == f"127.0.0.1:{far.getpeername()[1]}"
    assert stream.tls is None
    assert repr(stream) == "SocketStream(there:1)"
    stream.abort()
    assert stream.local == ""
    far.close()


async def test_what_the_kernel_does_not_take_waits_and_goes_out_in_order(shared: Shared) -> None:
    stream, far = tiny_pair(shared)
    owner = Owner(stream)
    stream.send(BIG)
    assert 0 < stream.pending < len(BIG)
    before = stream.pending
    stream.send(b"after")
    assert stream.pending == before + 5
    assert await read_exactly(far, len(BIG) + 5) == BIG + b"after"
    await until(lambda: owner.drains)
    assert owner.drains == 1
    assert stream.pending == 0
    stream.abort()
    far.close()


async def test_a_writer_is_registered_only_while_something_is_pending(shared: Shared) -> None:
    stream, far = tiny_pair(shared)
    Owner(stream)
    stream.send(b"x")
    loop = asyncio.get_running_loop()
    fd = far_fd(stream)
    assert not loop.remove_writer(fd)
    stream.send(BIG)
    await until(lambda: stream.pending)
    reading = asyncio.create_task(read_exactly(far, len(BIG) + 1))
    await until(lambda: stream.pending == 0)
    assert not loop.remove_writer(fd)
    await reading
    stream.abort()
    far.close()


def far_fd(stream: SocketStream) -> int:
    return stream._fd


async def test_pause_holds_the_peer_back_and_resume_goes_on(shared: Shared) -> None:
    stream, far = tiny_pair(shared)
    owner = Owner(stream)
    stream.pause()
    stream.pause()
    writing = asyncio.create_task(asyncio.get_running_loop().sock_sendall(far, BIG))
    await turns()
    assert owner.reads == []
    assert not writing.done()
    stream.resume()
    stream.resume()
    assert await owner.has(len(BIG)) == BIG
    await writing
    stream.abort()
    far.close()


async def test_pause_inside_on_data_takes_effect_at_once(shared: Shared) -> None:
    small = Shared(read_size=16, max_reads=1000)
    near, far = await tcp_pair()

    class Pausing(Owner):
        def on_data(self, data: bytes) -> None:
            super().on_data(data)
            self.stream.pause()

    owner = Pausing(SocketStream(small, near, "there:1"))
    await asyncio.get_running_loop().sock_sendall(far, b"a" * 40)
    for expected in (16, 32, 40):
        await owner.has(expected)
        await turns()
        assert len(owner.data) == expected
        owner.stream.resume()
    owner.stream.abort()
    far.close()


async def test_one_connection_reads_only_so_much_per_wake_up() -> None:
    shared = Shared(read_size=64, max_reads=3)
    near, far = await tcp_pair()
    other_near, other_far = await tcp_pair()
    order: list[str] = []

    class Noting(Owner):
        def on_data(self, data: bytes) -> None:
            super().on_data(data)
            order.append(self.stream.peer)

    await asyncio.get_running_loop().sock_sendall(far, b"f" * 64 * 20)
    await asyncio.get_running_loop().sock_sendall(other_far, b"q")
    flood = Noting(SocketStream(shared, near, "flood"))
    quiet = Noting(SocketStream(shared, other_near, "quiet"))
    await flood.has(64 * 20)
    await quiet.has(1)
    # Whichever came first in the first turn: the quiet one waited for three reads at most.
    assert order.index("quiet") <= 3
    for sock in (far, other_far):
        sock.close()
    flood.stream.abort()
    quiet.stream.abort()


@pytest.mark.parametrize("length", [1, 63, 64, 65, 128, 64 * 3, 1000])
async def test_any_length_against_any_read_size(length: int) -> None:
    near, far = await tcp_pair()
    owner = Echo(SocketStream(Shared(read_size=64, max_reads=2), near, "there:1"))
    data = bytes(i % 251 for i in range(length))
    await asyncio.get_running_loop().sock_sendall(far, data)
    assert await read_exactly(far, length) == data
    assert max(len(read) for read in owner.reads) <= 64
    owner.stream.abort()
    far.close()


# --- the end ----------------------------------------------------------------------------------------------------------


async def test_the_peers_end_is_orderly(shared: Shared) -> None:
    stream, far = await pair(shared)
    owner = Owner(stream)
    await asyncio.get_running_loop().sock_sendall(far, b"last words")
    far.close()
    assert await owner.ended() == ""
    assert owner.data == b"last words"


async def test_half_close_the_answer_still_goes_out(shared: Shared) -> None:
    stream, far = await pair(shared)

    class Answering(Owner):
        def on_end(self, reason: str) -> None:
            super().on_end(reason)
            self.stream.send(b"answer to " + self.data)

    owner = Answering(stream)
    await asyncio.get_running_loop().sock_sendall(far, b"question")
    far.shutdown(socket.SHUT_WR)
    assert await read_all(far) == b"answer to question"
    assert await owner.ended() == ""
    far.close()


async def test_half_close_what_is_pending_still_goes_out(shared: Shared) -> None:
    stream, far = tiny_pair(shared)
    owner = Owner(stream)
    stream.send(BIG)
    far.shutdown(socket.SHUT_WR)
    await owner.ended()
    assert await read_all(far) == BIG
    far.close()


async def test_a_reset_is_told(shared: Shared) -> None:
    stream, far = await pair(shared)
    owner = Owner(stream)
    reset(far)
    assert await owner.ended() == "the peer reset the connection"


async def test_a_peer_that_goes_while_we_send_is_told_once_and_later(shared: Shared) -> None:
    stream, far = await pair(shared)
    owner = Owner(stream)
    stream.pause()
    reset(far)
    while not owner.ends:
        stream.send(b"x" * 1000)  # must never call back from inside
        assert owner.ends == []
        await turns(1)
    assert await owner.ended() != ""
    stream.send(b"ignored")
    assert stream.pending == 0


async def test_the_peers_good_bye_is_read_although_our_write_fails_first(shared: Shared) -> None:
    """A DISCONNECT that lies in the kernel must be seen, else the hub would publish a Will that was cancelled."""
    stream, far = await pair(shared)
    await asyncio.get_running_loop().sock_sendall(far, b"good-bye")
    reset(far)
    owner = Owner(stream)
    stream.send(b"into the void")
    stream.send(b"again")
    assert await owner.ended() != ""
    assert owner.data == b"good-bye"


async def test_close_flushes_and_ends(shared: Shared) -> None:
    stream, far = tiny_pair(shared)
    owner = Owner(stream)
    stream.send(BIG)
    stream.close()
    stream.close()
    stream.send(b"too late")
    assert owner.ends == []
    assert await read_all(far) == BIG
    assert await owner.ended() == ""
    assert owner.drains == 0
    far.close()
    await until(lambda: len(shared.closing) == 0)


async def test_close_does_not_destroy_what_the_peer_has_not_read(shared: Shared) -> None:
    """RFC 1122 4.2.2.13: closing over unread octets sends a reset. The flood must not cost the peer our last words."""
    stream, far = await pair(shared)
    owner = Owner(stream)
    stream.pause()
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(far, b"flood" * 1000)
    stream.send(b"you are disconnected because")
    stream.close()
    assert await owner.ended() == ""
    await loop.sock_sendall(far, b"flood" * 1000)
    assert await read_all(far) == b"you are disconnected because"
    far.close()
    await until(lambda: len(shared.closing) == 0)


async def test_a_flood_after_close_is_cut_off() -> None:
    shared = Shared(linger_octets=100_000, linger_seconds=1000)
    stream, far = await pair(shared)
    stream.start(lambda data: None, lambda reason: None)
    stream.close()
    with pytest.raises(OSError, match=r"[Rr]eset|[Bb]roken pipe"):
        await asyncio.get_running_loop().sock_sendall(far, b"x" * 64 * 1024 * 1024)
    far.close()
    assert len(shared.closing) == 0


async def test_a_peer_that_takes_nothing_is_dropped_after_a_while() -> None:
    shared = Shared(linger_seconds=0.05)
    stream, far = tiny_pair(shared)
    owner = Owner(stream)
    stream.send(BIG)
    left = stream.pending
    stream.close()
    assert await owner.ended() == f"the peer did not take the last {left} octets within 0.05 s"
    far.close()


async def test_a_peer_that_never_ends_its_side_is_dropped_after_a_while() -> None:
    shared = Shared(linger_seconds=0.05)
    released: list[object] = []
    near, far = await tcp_pair()
    stream = SocketStream(shared, near, "there:1", released.append)
    owner = Owner(stream)
    stream.close()
    assert await owner.ended() == ""
    assert released == []
    await until(lambda: released == [stream])
    far.close()


async def test_abort_is_a_reset_and_is_told_later(shared: Shared) -> None:
    stream, far = await pair(shared)
    owner = Owner(stream)
    stream.abort()
    stream.abort()
    assert owner.ends == []
    assert await owner.ended() == "the connection was aborted"
    with pytest.raises(ConnectionResetError):
        await read_all(far)
    far.close()


async def test_abort_inside_on_data(shared: Shared) -> None:
    near, far = await tcp_pair()

    class Aborting(Owner):
        def on_data(self, data: bytes) -> None:
            super().on_data(data)
            self.stream.abort()

    owner = Aborting(SocketStream(Shared(read_size=8), near, "there:1"))
    await asyncio.get_running_loop().sock_sendall(far, b"x" * 100)
    assert await owner.ended() == "the connection was aborted"
    assert owner.data == b"x" * 8
    far.close()


async def test_close_inside_on_data_reads_no_further(shared: Shared) -> None:
    near, far = await tcp_pair()

    class Closing(Owner):
        def on_data(self, data: bytes) -> None:
            super().on_data(data)
            self.stream.send(b"bye")
            self.stream.close()

    owner = Closing(SocketStream(Shared(read_size=8), near, "there:1"))
    await asyncio.get_running_loop().sock_sendall(far, b"x" * 100)
    assert await read_all(far) == b"bye"
    assert await owner.ended() == ""
    assert owner.data == b"x" * 8
    far.close()


async def test_an_end_before_start_is_told_at_start(shared: Shared) -> None:
    stream, far = await pair(shared)
    stream.abort()
    owner = Owner(stream, start=False)
    owner.start()
    assert owner.ends == []
    assert await owner.ended() == "the connection was aborted"
    far.close()


async def test_released_is_called_once(shared: Shared) -> None:
    near, far = await tcp_pair()
    released: list[object] = []
    stream = SocketStream(shared, near, "there:1", released.append)
    Owner(stream)
    stream.abort()
    stream.abort()
    await turns()
    assert released == [stream]
    far.close()


async def test_a_stream_can_be_handed_on(shared: Shared) -> None:
    stream, far = await pair(shared)
    first = Owner(stream)
    await asyncio.get_running_loop().sock_sendall(far, b"one")
    await first.has(3)
    second = Owner(stream)
    await asyncio.get_running_loop().sock_sendall(far, b"two")
    assert await second.has(3) == b"two"
    far.close()
    assert await second.ended() == ""
    assert first.ends == []


async def test_reading_before_start_is_our_own_fault(shared: Shared) -> None:
    stream, far = await pair(shared)
    stream.resume()  # nobody to hand octets to: nothing is read
    far.send(b"x")
    await turns()
    with pytest.raises(LocalMisuse):
        stream._readable()
    stream.abort()
    far.close()
