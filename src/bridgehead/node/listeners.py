"""The hub's listeners: opened at the start, kept in step with the configuration and the certificates."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from msgspec.structs import replace

from bridgehead.core.errors import LocalMisuse
from bridgehead.node.bind import parse_bind
from bridgehead.node.coap import Coap, check_dtls, reload_dtls
from bridgehead.node.configuration import Limits, settled
from bridgehead.node.configuration import Listener as Settings
from bridgehead.node.vocabulary import LISTENER_CLOSED, LISTENER_OPENED, LISTENER_PLAINTEXT
from bridgehead.protocols.amqp import config as amqp
from bridgehead.protocols.coap import config as coap
from bridgehead.protocols.coap.datagram_server import DatagramListener
from bridgehead.security.login.chain import DEFAULT, Chain
from bridgehead.security.pki import Pki
from bridgehead.security.pki.foreign_lists import ForeignLists
from bridgehead.security.tls.contexts import server_context
from bridgehead.security.tls.dtls import DtlsFiles, dtls_files
from bridgehead.security.tls.profiles import GROUPS, PROFILES, TICKET_LIFETIME
from bridgehead.transport.ceilings import Ceilings
from bridgehead.transport.events import OnEvent
from bridgehead.transport.listener import AcceptRules, Listener
from bridgehead.transport.openssl import set_groups, set_lifetime, staple
from bridgehead.transport.shared import Shared
from bridgehead.transport.stream import Stream
from bridgehead.transport.upgrade import WebSocketRules

# [MQTT-6.0.0-3]; clients of 3.1, which knew no WebSocket, call theirs "mqttv3.1".
_MQTT_SUBPROTOCOLS: Final = ("mqtt", "mqttv3.1")
_SUBPROTOCOLS: Final = {"coap": (coap.SUBPROTOCOL,), "amqp": amqp.SUBPROTOCOLS}
_ALPN: Final = {"coap": coap.ALPN, "amqp": amqp.ALPN}
_AMQP_MESSAGE: Final = 4 * 1024 * 1024


def name_of(settings: Settings) -> str:
    """What the listener is called in the `ready` line: mqtt, mqtts, ws, wss, http, https, unix, a CoAP URI's scheme
    (RFC 7252 section 6, RFC 8323 section 8), or amqp, amqps, amqp+ws, amqps+ws."""
    if parse_bind(settings.bind).is_unix:
        return "unix"
    if settings.protocol == "amqp":
        name = "amqp" if settings.plaintext else "amqps"
        return name + ("+ws" if settings.transport == "websocket" else "")
    if settings.protocol == "est":
        return "http" if settings.plaintext else "https"
    if settings.protocol == "proxy":
        return "proxy-plain" if settings.plaintext else "proxy"
    if settings.protocol == "coap":
        scheme = "coap" if settings.plaintext else "coaps"
        return scheme + {"tcp": "+tcp", "websocket": "+ws"}.get(settings.transport, "")
    name = "ws" if settings.transport == "websocket" else "mqtt"
    return name if settings.plaintext else name + "s"


class Opened(Protocol):
    """A listener of streams or of datagrams."""

    @property
    def address(self) -> str: ...

    @property
    def addresses(self) -> list[str]: ...

    async def start(self) -> None: ...

    def stop_accepting(self) -> None: ...

    def close(self) -> None: ...


class Secrets:
    """What a listener proves itself by, and whom it lets in: for TLS or for DTLS; neither for a plaintext one."""

    def __init__(self, tls: ssl.SSLContext | None = None, dtls: DtlsFiles | None = None) -> None:
        self.tls: Final = tls
        self.dtls: Final = dtls


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
        self.message_size: Final = _message_size(settings, limits)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Shape) and vars(self) == vars(other)


class _Open:
    """One open listener with its settings."""

    def __init__(self, settings: Settings, shape: _Shape, listener: Opened, reload: Callable[[Secrets], None]) -> None:
        self.settings = settings
        self.shape: Final = shape
        self.listener: Final = listener
        self.reload: Final = reload


class Listeners:
    """All listeners of the hub. `accept` takes each new stream of MQTT, `accept_https` of EST, `accept_amqp` of AMQP;
    `coap` has the listeners of datagrams and takes CoAP's streams; `response` is what handshakes with the hub's own
    certificate staple."""

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
        coap: Coap | None = None,
        accept_proxied: Callable[[Stream, Chain], None] | None = None,
        accept_amqp: Callable[[Stream, Chain], None] | None = None,
    ) -> None:
        self._accept_amqp: Final = accept_amqp
        self._accept_proxied: Final = accept_proxied
        self._coap: Final = coap
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
        wanted = [settled(settings) for settings in wanted]
        secrets = [self._secrets(settings, ticket_lifetime) for settings in wanted]
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
                    for other in [each for each in left if _clash(each.settings, settings)]:
                        other.listener.stop_accepting()
                        left.remove(other)
                        moved.append(other)
                    opened[index] = await self._start(settings, shapes[index], secrets[index])
        except BaseException:
            for new in opened.values():
                new.listener.close()
            for other in moved:
                await other.listener.start()
            raise
        for index, each in kept.items():
            each.settings = wanted[index]
            each.reload(secrets[index])
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
        secrets = [self._secrets(each.settings, self._ticket_lifetime) for each in self._open]
        for each, new in zip(self._open, secrets, strict=True):
            each.reload(new)

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

    async def _start(self, settings: Settings, shape: _Shape, secrets: Secrets) -> _Open:
        if settings.transport == "udp":
            datagrams = self._served(settings).listener(settings, secrets.dtls)
            await datagrams.start()
            return _Open(settings, shape, datagrams, partial(_reload_dtls, datagrams))
        websocket = None
        if settings.transport == "websocket":
            websocket = WebSocketRules(
                _SUBPROTOCOLS.get(settings.protocol, _MQTT_SUBPROTOCOLS),
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
            tls=secrets.tls,
            websocket=websocket,
            rules=AcceptRules(seconds=shape.connect_timeout, unix_mode=int(settings.mode, 8)),
        )
        await listener.start()
        return _Open(settings, shape, listener, partial(_reload_tls, listener))

    def _served(self, settings: Settings) -> Coap:
        if self._coap is None:
            raise LocalMisuse(f"nobody here serves CoAP at {settings.bind}")
        return self._coap

    def _taker(self, settings: Settings) -> Callable[[Stream], None]:
        if settings.protocol == "est":
            if self._accept_https is None:
                raise LocalMisuse("nobody here serves EST")
            return self._accept_https
        if settings.protocol == "coap":
            return partial(self._served(settings).accept, guest=settings.guest)
        takers = {"mqtt": self._accept, "amqp": self._accept_amqp, "proxy": self._accept_proxied}
        accept = takers[settings.protocol]
        if accept is None:
            raise LocalMisuse(f"nobody here serves {settings.protocol}")
        return partial(_accept_by, accept, Chain(settings.login) if settings.login else DEFAULT)

    def _secrets(self, settings: Settings, ticket_lifetime: int) -> Secrets:
        """Errors: SecurityError."""
        if settings.plaintext:
            return Secrets()
        if settings.transport == "udp":
            return Secrets(dtls=self._dtls_files(settings))
        return Secrets(tls=self._context(settings, ticket_lifetime))

    def _dtls_files(self, settings: Settings) -> DtlsFiles:
        lists = [self._lists.path_of(source) for source in settings.client_crl]
        now = self._clock()
        hold = all(self._lists.holds(source, now) for source in settings.client_crl)
        # Without a list in force nobody else's authority counts, unless that was said to be right.
        trusted = settings.client_ca if hold or settings.client_crl_stale == "accept" else ""
        files = dtls_files(
            self._pki,
            Path(settings.certificate) if settings.certificate else None,
            Path(settings.key) if settings.key else None,
            Path(trusted) if trusted else None,
            [path for path in lists if trusted and path.exists()],
        )
        check_dtls(settings, files)
        return files

    def _context(self, settings: Settings, ticket_lifetime: int) -> ssl.SSLContext:
        lists = [self._lists.path_of(source) for source in settings.client_crl]
        now = self._clock()
        hold = bool(lists) and all(self._lists.holds(source, now) for source in settings.client_crl)
        alpn = _ALPN.get(settings.protocol, "mqtt")
        if settings.protocol in ("est", "proxy") or settings.transport == "websocket":
            alpn = "http/1.1"
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


def _message_size(settings: Settings, limits: Limits) -> int:
    """Octets of a WebSocket message; 0 without WebSocket. A message of AMQP's holds what its sender put together, a
    frame or several (AMQP WebSocket binding 2.4)."""
    if settings.transport != "websocket":
        return 0
    return max(limits.packet_size, _AMQP_MESSAGE) if settings.protocol == "amqp" else limits.packet_size


def _accept_by(accept: Callable[[Stream, Chain], None], chain: Chain, stream: Stream) -> None:
    accept(stream, chain)


def _clash(one: Settings, other: Settings) -> bool:
    return one.bind == other.bind and (one.transport == "udp") == (other.transport == "udp")


def _reload_tls(listener: Listener, secrets: Secrets) -> None:
    if secrets.tls is not None:
        listener.reload(secrets.tls)


def _reload_dtls(listener: DatagramListener, secrets: Secrets) -> None:
    if secrets.dtls is not None:
        reload_dtls(listener, secrets.dtls)


def _warning(each: _Open) -> str:
    if parse_bind(each.settings.bind).is_unix:
        mode = each.settings.mode
        return f"{each.listener.address} is not encrypted, as configured: its mode {mode} says who may connect"
    if each.settings.protocol == "coap" and each.settings.guest:
        return (
            f"{each.listener.address} is not encrypted, as configured (plaintext = true): whoever reaches it may do "
            f"what the device {each.settings.guest!r} may, and whoever is on the way reads and changes it"
        )
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
