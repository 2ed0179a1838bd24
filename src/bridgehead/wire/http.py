"""One HTTP/1.1 connection, the server's side: octets and the time come in, requests and octets come out.

h11 does the grammar. Here are the bounds: size of the head and the body, time for a request, how many of them.
"""

from __future__ import annotations

from typing import Any, Final

import h11
from mypy_extensions import mypyc_attr

# States. WAITING: for a request or the rest of one. ANSWERING: a request is there and waits for respond() or begin().
# STREAMING: begin() was called, and end() was not.
WAITING: Final = 0
ANSWERING: Final = 1
CLOSED: Final = 2
STREAMING: Final = 3

_NEVER: Final = float("inf")


@mypyc_attr(allow_interpreted_subclasses=True)
class HttpLimits:
    """Times are in seconds, sizes in octets."""

    def __init__(self) -> None:
        # From the first octet of a request to its last, and between two requests of a connection.
        self.request_timeout = 10.0
        self.idle_timeout = 15.0
        self.body_octets = 16 * 1024
        self.head_octets = 8 * 1024
        # Connections at a time, in all and from one address; requests before a connection has to be made anew.
        self.connections = 512
        self.connections_per_address = 32
        self.requests_per_connection = 100


class Request:
    """One whole request. Header names are in small letters; of several with one name the last counts."""

    def __init__(self, method: bytes, target: bytes, headers: dict[bytes, bytes], body: bytes) -> None:
        self.method: Final = method
        self.target: Final = target
        self.headers: Final = headers
        self.body: Final = body


class HttpConnection:
    """receive() and handle_timeout() may leave output for to_send() and a request in `request`."""

    def __init__(self, limits: HttpLimits, now: float) -> None:
        self._limits: Final = limits
        self._http: Final = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.head_octets)
        self._out: list[bytes] = []
        self._head: Any = None
        self._body = bytearray()
        self._served = 0
        self._ahead = 0  # octets that came while an answer goes out in parts
        self._deadline = now + limits.request_timeout
        self.state = WAITING
        self.request: Request | None = None
        self.close = False  # once the output has gone

    def to_send(self) -> bytes:
        data = b"".join(self._out)
        self._out.clear()
        return data

    def next_timeout(self) -> float:
        return self._deadline if self.state == WAITING else _NEVER

    def handle_timeout(self, now: float) -> None:
        """A client that is slow, or has nothing more to ask."""
        if self.state != WAITING or now < self._deadline:
            return
        if self._served and self._head is None and not self._http.trailing_data[0]:
            self._end()  # between two requests no answer is waited for
        else:
            self._refuse(408, "the request was not complete in time")

    def receive(self, data: bytes, now: float) -> None:
        """`data` b"": the peer has ended its side."""
        if self.state == CLOSED:
            return
        if self.state == STREAMING:
            # The rim reads on, to see the client's end: what comes before the answer is whole is held, and bounded as
            # the head of one request is.
            self._ahead += len(data)
            if data and self._ahead <= self._limits.head_octets:
                self._http.receive_data(data)
            else:
                self._end()
            return
        try:
            self._http.receive_data(data)
            self._advance(now)
        except h11.RemoteProtocolError as fault:
            self._refuse(fault.error_status_hint, "this is no HTTP/1.1 request")

    def respond(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes, now: float) -> None:
        """Answer the request. A HEAD is answered without the body, by its length."""
        assert self.state == ANSWERING
        assert self.request is not None
        method = self.request.method
        self.request = None
        self._served += 1
        last = self._served >= self._limits.requests_per_connection
        self._write(status, headers, body, method == b"HEAD", last)
        self._go_on(last, now)

    def begin(self, status: int, headers: list[tuple[bytes, bytes]], now: float) -> None:
        """Answer the request with a body that comes in parts: `part` and, at last, `end`."""
        assert self.state == ANSWERING
        self.request = None
        self._served += 1
        self._ahead = 0
        self.state = STREAMING
        self._out.append(self._http.send(h11.Response(status_code=status, headers=headers)) or b"")

    def part(self, data: bytes) -> None:
        """The next octets of the body."""
        if self.state == STREAMING:
            self._out.append(self._http.send(h11.Data(data=data)) or b"")

    def end(self, now: float) -> None:
        """The body that began is whole."""
        if self.state == STREAMING:
            self._out.append(self._http.send(h11.EndOfMessage()) or b"")
            self._go_on(self._served >= self._limits.requests_per_connection, now)

    def _go_on(self, last: bool, now: float) -> None:
        """An answer has gone out: the connection takes another request, or ends."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE or last:
            self._end()
            return
        self._http.start_next_cycle()
        self.state = WAITING
        self._deadline = now + self._limits.idle_timeout
        try:
            self._advance(now)
        except h11.RemoteProtocolError as fault:
            self._refuse(fault.error_status_hint, "this is no HTTP/1.1 request")

    # ------------------------------------------------------------------------------------------------

    def _advance(self, now: float) -> None:
        while self.state == WAITING:
            # Any: h11 hands out bytearrays where it promises bytes, and compiled code holds it to its word.
            event: Any = self._http.next_event()
            kind = type(event)
            if kind is h11.Request:
                self._head = event
                self._body.clear()
                self._deadline = now + self._limits.request_timeout
                if not self._fits():
                    self._refuse(413, f"the body is larger than {self._limits.body_octets} octets")
                    return
                if self._http.they_are_waiting_for_100_continue:
                    go_on = h11.InformationalResponse(status_code=100, headers=[])
                    self._out.append(self._http.send(go_on) or b"")
            elif kind is h11.Data:
                self._body += event.data
                if len(self._body) > self._limits.body_octets:
                    self._refuse(413, f"the body is larger than {self._limits.body_octets} octets")
            elif kind is h11.EndOfMessage:
                self._complete()
            else:  # NEED_DATA, PAUSED, or the peer has gone
                if event is not h11.NEED_DATA:
                    self._end()
                elif self._served and self._head is None and self._http.trailing_data[0]:
                    # The first octets of another request: from now on it has the time of a request.
                    self._deadline = min(self._deadline, now + self._limits.request_timeout)
                return

    def _fits(self) -> bool:
        """Whether what the head announces can be taken."""
        for name, value in self._head.headers:
            if name == b"content-length" and int(value) > self._limits.body_octets:
                return False
        return True

    def _complete(self) -> None:
        head = self._head
        headers: dict[bytes, bytes] = {}
        for name, value in head.headers:
            headers[bytes(name)] = bytes(value)
        self.request = Request(bytes(head.method), bytes(head.target), headers, bytes(self._body))
        self._head = None
        self._body.clear()
        self.state = ANSWERING

    def _refuse(self, status: int, because: str) -> None:
        """Answer what is no whole request, and end."""
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            headers = [(b"content-type", b"text/plain; charset=utf-8")]
            self._write(status, headers, because.encode() + b"\n", False, True)
        self._end()

    def _write(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes, head_only: bool, last: bool) -> None:
        whole = [*headers, (b"content-length", str(len(body)).encode())]
        if last:
            whole.append((b"connection", b"close"))
        send = self._http.send
        self._out.append(send(h11.Response(status_code=status, headers=whole)) or b"")
        if body and not head_only:
            self._out.append(send(h11.Data(data=body)) or b"")
        self._out.append(send(h11.EndOfMessage()) or b"")

    def _end(self) -> None:
        self.state = CLOSED
        self.close = True
        self.request = None
