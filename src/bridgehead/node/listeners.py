"""The hub's listeners: opened at the start, kept in step with the configuration and the certificates."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from bridgehead.core.errors import LocalMisuse
from bridgehead.node.bind import parse_bind
from bridgehead.node.configuration import Limits
from bridgehead.node.configuration import Listener as Settings
from bridgehead.node.vocabulary import LISTENER_CLOSED, LISTENER_OPENED, LISTENER_PLAINTEXT
from bridgehead.security.login.chain import DEFAULT, Chain
from bridgehead.security.pki import Pki
from bridgehead.security.pki.foreign_lists import ForeignLists
from bridgehead.security.tls.contexts import server_context
from bridgehead.security.tls.profiles import GROUPS, PROFILES, TICKET_LIFETIME
from bridgehead.transport.ceilings import Ceilings
from bridgehead.transport.events import OnEvent
from bridgehead.transport.listener import AcceptRules, Listener
from bridgehead.transport.openssl import set_groups, set_lifetime, staple
from bridgehead.transport.shared import Shared
from bridgehead.transport.stream import Stream
from bridgehead.transport.upgrade import WebSocketRules

# [MQTT-6.0.0-3]; clients of 3.1, which knew no WebSocket, call theirs "mqttv3.1".
_SUBPROTOCOLS: Final = ("mqtt", "mqttv3.1")


def name_of(settings: Settings) -> str:
    """What the listener is called in the `ready` line: mqtt, mqtts, ws, wss, http, https or unix."""
    if parse_bind(settings.bind).is_unix:
        return "unix"
    if settings.protocol == "est":
        return "http" if settings.plaintext else "https"
    name = "ws" if settings.transport == "websocket" else "mqtt"
    return name if settings.plaintext else name + "s"


class _Shape:
    """What a listener cannot change while it is open; a certificate it can."""

    def __init__(self, settings: Settings, limits: Limits) -> None:
        self.settings: Final = replace(
            settings,
            certificate="",
            key="",
            client_ca="",
            client_certificate="optional",
            client_crl=[],
            client_crl_stale="refuse",
            tls_profile="",
            mode=settings.mode[-3:],
        )
        self.connect_timeout: Final = limits.connect_timeout
        self.message_size: Final = limits.packet_size if settings.transport == "websocket" else 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Shape) and vars(self) == vars(other)


class _Open:
    """One open listener with its settings."""

    def __init__(self, settings: Settings, shape: _Shape, listener: Listener) -> None:
        self.settings = settings
        self.shape: Final = shape
        self.listener: Final = listener


class Listeners:
    """All listeners of the hub. `accept` takes each new stream of MQTT, `accept_https` of EST; `response` is what
    handshakes with the hub's own certificate staple."""

    def __init__(
        self,
        accept: Callable[[Stream, Chain], None],
        pki: Pki,
        shared: Shared,
        ceilings: Ceilings,
        event: OnEvent,
        accept_https: Callable[[Stream], None] | None = None,
        response: Callable[[], bytes | None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._accept: Final = accept
        self._accept_https: Final = accept_https
        self._response: Final = response
        self._clock: Final = clock
        self._lists: Final = ForeignLists(pki.folder)
        self._pki: Final = pki
        self._shared: Final = shared
        self._ceilings: Final = ceilings
        self._event: Final = event
        self._ticket_lifetime = TICKET_LIFETIME
        self._open: list[_Open] = []

    def addresses(self) -> list[str]:
        """`name=address` of each address that is listened on, in the configuration's order."""
        pairs: list[str] = []
        for each in self._open:
            pairs += [f"{name_of(each.settings)}={_bare(address)}" for address in each.listener.addresses]
        return pairs

    async def change(self, wanted: Sequence[Settings], limits: Limits, ticket_lifetime: int = TICKET_LIFETIME) -> None:
        """Have exactly the `wanted` listeners open, with certificates read anew. Connections are not touched.
        `ticket_lifetime`: seconds that TLS sessions may be resumed; 0: none is.

        Errors: SecurityError (a certificate), BindError (an address); then everything is as it was.
        """
        contexts = [self._context(settings, ticket_lifetime) for settings in wanted]
        shapes = [_Shape(settings, limits) for settings in wanted]
        left = list(self._open)
        kept: dict[int, _Open] = {}
        for index, shape in enumerate(shapes):
            found = next((each for each in left if each.shape == shape), None)
            if found is not None:
                left.remove(found)
                kept[index] = found
        opened: dict[int, _Open] = {}
        moved: list[_Open] = []
        try:
            for index, settings in enumerate(wanted):
                if index not in kept:
                    # Another listener on the same address has to go before.
                    for other in [each for each in left if each.settings.bind == settings.bind]:
                        other.listener.stop_accepting()
                        left.remove(other)
                        moved.append(other)
                    opened[index] = await self._start(settings, shapes[index], contexts[index])
        except BaseException:
            for new in opened.values():
                new.listener.close()
            for other in moved:
                await other.listener.start()
            raise
        for index, each in kept.items():
            each.settings = wanted[index]
            context = contexts[index]
            if context is not None:
                each.listener.reload(context)
        for gone in (*left, *moved):
            self._event(LISTENER_CLOSED, {"name": name_of(gone.settings), "address": gone.listener.address})
            gone.listener.close()
        self._ticket_lifetime = ticket_lifetime
        self._open = [kept[index] if index in kept else opened[index] for index in range(len(wanted))]
        for new in opened.values():
            self._event(LISTENER_OPENED, {"name": name_of(new.settings), "address": new.listener.address})
            if new.settings.plaintext:
                self._event(LISTENER_PLAINTEXT, {"address": new.listener.address, "because": _warning(new)})

    def plaintext_warnings(self) -> list[str]:
        """One sentence for each listener that everybody on the way can listen to."""
        return [_warning(each) for each in self._open if each.settings.plaintext]

    def renew_certificates(self) -> None:
        """Read all certificates anew, for handshakes from now on. Errors: SecurityError; then nothing has changed."""
        contexts = [self._context(each.settings, self._ticket_lifetime) for each in self._open]
        for each, context in zip(self._open, contexts, strict=True):
            if context is not None:
                each.listener.reload(context)

    def stamp(self) -> tuple[tuple[int, int], ...]:
        """Differs when a file with a certificate, key or revocation list was replaced."""
        files: dict[str, None] = {}
        for each in self._open:
            for name in (each.settings.certificate, each.settings.key, each.settings.client_ca):
                if name:
                    files[name] = None
            for source in each.settings.client_crl:
                files[str(self._lists.path_of(source))] = None
        return (*self._pki.stamp(), *(_stamp_of(Path(name)) for name in files), *self._ended_lists())

    def _ended_lists(self) -> list[tuple[int, int]]:
        """Which lists of other authorities hold: a list that ends changes what is enforced."""
        now = self._clock()
        return [(int(self._lists.holds(source, now)), 0) for each in self._open for source in each.settings.client_crl]

    def close(self) -> None:
        """Stop accepting and end what has not become a stream yet; streams go on."""
        for each in self._open:
            each.listener.close()
        self._open = []

    async def _start(self, settings: Settings, shape: _Shape, context: ssl.SSLContext | None) -> _Open:
        websocket = None
        if settings.transport == "websocket":
            websocket = WebSocketRules(
                _SUBPROTOCOLS,
                path=settings.path,
                origins=settings.origins,
                maximum_message_size=shape.message_size,
            )
        listener = Listener(
            settings.bind,
            self._taker(settings),
            shared=self._shared,
            on_event=self._event,
            ceilings=self._ceilings,
            tls=context,
            websocket=websocket,
            rules=AcceptRules(seconds=shape.connect_timeout, unix_mode=int(settings.mode, 8)),
        )
        await listener.start()
        return _Open(settings, shape, listener)

    def _taker(self, settings: Settings) -> Callable[[Stream], None]:
        if settings.protocol == "est":
            if self._accept_https is None:
                raise LocalMisuse("nobody here serves EST")
            return self._accept_https
        return partial(self._accept_by, Chain(settings.login) if settings.login else DEFAULT)

    def _accept_by(self, chain: Chain, stream: Stream) -> None:
        self._accept(stream, chain)

    def _context(self, settings: Settings, ticket_lifetime: int) -> ssl.SSLContext | None:
        if settings.plaintext:
            return None
        lists = [self._lists.path_of(source) for source in settings.client_crl]
        now = self._clock()
        hold = bool(lists) and all(self._lists.holds(source, now) for source in settings.client_crl)
        alpn = "http/1.1" if settings.protocol == "est" or settings.transport == "websocket" else "mqtt"
        context = server_context(
            self._pki,
            certificate=Path(settings.certificate) if settings.certificate else None,
            key=Path(settings.key) if settings.key else None,
            client_ca=Path(settings.client_ca) if settings.client_ca else None,
            client_certificate_required=settings.client_certificate == "required",
            client_lists=[path for path in lists if path.exists()],
            lists_enforced=hold or (bool(lists) and settings.client_crl_stale == "refuse"),
            alpn=(alpn,),
            profile=PROFILES[settings.tls_profile or "intermediate"],
            tickets=ticket_lifetime > 0,
        )
        set_groups(context, GROUPS)
        set_lifetime(context, ticket_lifetime)
        if self._response is not None and not settings.certificate:
            staple(context, self._response)
        return context


def _warning(each: _Open) -> str:
    if parse_bind(each.settings.bind).is_unix:
        mode = each.settings.mode
        return f"{each.listener.address} is not encrypted, as configured: its mode {mode} says who may connect"
    return (
        f"{each.listener.address} is not encrypted, as configured (plaintext = true): "
        "whoever is on the way reads passwords and data"
    )


def _bare(address: str) -> str:
    return address.removeprefix("unix:")


def _stamp_of(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_ino)
