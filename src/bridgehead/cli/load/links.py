"""One connection of the load generator: a non-blocking socket, plain or TLS, read into a shared buffer."""

from __future__ import annotations

import socket
import ssl

RECEIVE = 262_144  # octets of ciphertext per read
RECORD = 16_384  # the most that one TLS record holds


class LinkLost(Exception):
    """The connection ended although the run did not. The text says whose it was."""


class Dismissed(LinkLost):
    """The server said DISCONNECT, and why."""


class Link:
    """A connected socket. `name` is the Client Identifier."""

    def __init__(self, sock: socket.socket, name: str) -> None:
        self.sock = sock
        self.name = name
        self.fd = sock.fileno()
        self.pending = b""  # what the kernel has not taken yet
        self.rest = b""  # the beginning of a packet whose end has not come yet
        self.more = False  # there are octets above the socket that epoll does not tell of: read again

    def read(self, view: memoryview) -> int:
        """Read what has come into `view`; the number of octets, 0 when nothing is there. Raises LinkLost."""
        try:
            count = self.sock.recv_into(view)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self.broken(error) from error
        if count == 0:
            raise LinkLost(f"the server closed the connection of {self.name}")
        return count

    def send(self, data: bytes | bytearray | memoryview) -> None:
        """Hand over octets. What does not fit at once waits in `pending`; the caller flushes when the socket can."""
        if self.pending:
            self.pending += data
            return
        try:
            count = self.sock.send(data)
        except BlockingIOError:
            count = 0
        except OSError as error:
            raise self.broken(error) from error
        if count < len(data):
            self.pending = bytes(memoryview(data)[count:])

    def blocked(self) -> bool:
        """Whether octets wait for the kernel to take them."""
        return bool(self.pending)

    def flush(self) -> None:
        """Send on what is pending."""
        data, self.pending = self.pending, b""
        Link.send(self, data)

    def broken(self, error: OSError) -> LinkLost:
        return LinkLost(f"the connection of {self.name} broke: {error.strerror or error}")

    def close(self) -> None:
        """Close without ceremony; a DISCONNECT is the caller's to send."""
        self.sock.close()


class TlsLink(Link):
    """A Link inside TLS.

    Over memory BIOs, unlike the hub's own transport: a server that writes one record per message would cost two
    system calls per record on the socket itself, and the generator would be measured instead of the server.
    """

    def __init__(self, sock: socket.socket, name: str, context: ssl.SSLContext, host: str) -> None:
        super().__init__(sock, name)
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=host)

    def handshake(self) -> None:
        """On a blocking socket. Raises OSError (ssl.SSLError, TimeoutError)."""
        while True:
            try:
                self.tls.do_handshake()
                self.sock.sendall(self.outgoing.read())
                return
            except ssl.SSLWantReadError:
                self.sock.sendall(self.outgoing.read())
                data = self.sock.recv(RECEIVE)
                if not data:
                    raise ConnectionError("the server closed the connection during the TLS handshake") from None
                self.incoming.write(data)

    def read(self, view: memoryview) -> int:
        room = len(view)
        if not self.more:
            count = super().read(view[: min(room, RECEIVE)])
            if count == 0:
                return 0
            self.incoming.write(view[:count])
        total = 0
        self.more = False
        try:
            while room - total >= RECORD:
                data = self.tls.read(RECORD)
                if not data:
                    raise LinkLost(f"the server closed the connection of {self.name}")
                count = total + len(data)
                view[total:count] = data
                total = count
            self.more = True
        except ssl.SSLWantReadError:
            pass  # all that came is decrypted
        except ssl.SSLError as error:
            raise LinkLost(f"TLS of {self.name} broke: {error.reason or error}") from error
        return total

    def send(self, data: bytes | bytearray | memoryview) -> None:
        self.tls.write(data)
        super().send(self.outgoing.read())
