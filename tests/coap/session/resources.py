"""A handler that lets tests hold the other end of the message layers."""

from __future__ import annotations

from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec.message import Message
from bridgehead.protocols.coap.codec.numbers import CONTENT_FORMAT, OBSERVE, URI_PATH
from bridgehead.protocols.coap.session.contract import Exchange, Handler, Peer, Watcher
from bridgehead.protocols.coap.session.settings import CoapSettings
from tests.coap.dialogue import Hub


class Resources(Handler):
    """`/now` answers at once, `/later` and `/watch` are kept in `kept`, `/large` has 600 octets, `/broken` raises,
    `/missing` is 4.04 with a diagnostic. Every request stands in `handled`."""

    def __init__(self) -> None:
        self.handled: list[Exchange] = []
        self.kept: list[Exchange] = []
        self.forgotten: list[Peer] = []

    def handle(self, exchange: Exchange) -> None:
        self.handled.append(exchange)
        request = exchange.request
        path = b"/".join(request.all(URI_PATH)).decode("utf-8", "replace")
        if path == "later":
            self.kept.append(exchange)
        elif path == "watch":
            self.kept.append(exchange)
            exchange.respond(Message(codes.CONTENT, ((OBSERVE, b"\x01"),), b"first"))
        elif path == "broken":
            raise ZeroDivisionError("a defect")
        elif path == "missing":
            exchange.respond(Message(codes.NOT_FOUND, (), b"There is nothing here, and a long sentence says so." * 3))
        elif path == "large":
            exchange.respond(Message(codes.CONTENT, ((CONTENT_FORMAT, b""),), b"x" * 600))
        elif request.code == codes.POST:
            exchange.respond(Message(codes.CHANGED, (), str(len(self.handled)).encode()))
        else:
            exchange.respond(Message(codes.CONTENT, ((CONTENT_FORMAT, b""),), str(len(self.handled)).encode()))

    def forget(self, peer: Peer) -> None:
        self.forgotten.append(peer)


class Told(Watcher):
    """What became of notifications, in order."""

    def __init__(self) -> None:
        self.fates: list[tuple[str, int]] = []

    def acknowledged(self, number: int) -> None:
        self.fates.append(("acknowledged", number))

    def rejected(self, number: int) -> None:
        self.fates.append(("rejected", number))

    def timed_out(self, number: int) -> None:
        self.fates.append(("timed out", number))


def served(settings: CoapSettings | None = None) -> tuple[Hub, Resources]:
    resources = Resources()
    return Hub(lambda hub: resources, settings), resources
