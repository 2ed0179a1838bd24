"""The cross-proxy as the node serves it: HTTP clients of CoAP resources, and CoAP clients of HTTP servers."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.node.coap import Coap
from bridgehead.node.configuration import Config
from bridgehead.node.identities import Identities
from bridgehead.protocols.coap.proxy.config import ProxySettings
from bridgehead.protocols.coap.proxy.gateway import Gateway
from bridgehead.protocols.coap.proxy.reach import Reach
from bridgehead.protocols.coap.proxy.servers import OtherServers
from bridgehead.protocols.coap.proxy.to_http import ToHttp
from bridgehead.security.login.chain import DEFAULT, Chain
from bridgehead.security.pki import Pki
from bridgehead.transport.stream import Stream


class Proxy:
    """Serves the listeners with `protocol = "proxy"`, and what the site is asked for of http and https servers."""

    def __init__(self, config: Config, broker: Broker, coap: Coap, identities: Identities, pki: Pki) -> None:
        """Errors: OSError (the file of authorities)."""
        settings = ProxySettings()
        chosen = config.proxy
        settings.body_octets = chosen.body_size
        settings.answer_timeout = chosen.answer_timeout
        settings.streams = chosen.streams
        settings.streams_per_identity = chosen.streams_per_identity
        reach = Reach(chosen.requests, chosen.requests_per_identity)
        self._reach: Final = reach
        trust = Path(chosen.trust).read_text() if chosen.trust else pki.authority_file.read_text()
        servers = OtherServers(trust, chosen.answer_timeout)
        self._to_http: Final = ToHttp(broker.door, settings, reach, chosen.trust)
        self._gateway: Final = Gateway(
            coap.site, broker.door, identities, settings, reach, servers, coap.attach, broker.clock
        )
        coap.site.proxy = self._to_http

    def accept(self, stream: Stream, chain: Chain = DEFAULT) -> None:
        self._gateway.accept(stream, chain)

    async def stop(self) -> None:
        await self._gateway.stop()
        await self._to_http.stop()
        self._reach.close()
