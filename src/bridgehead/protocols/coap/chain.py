"""The chain of handlers between a message layer and the hub's resources, put together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.protocols.coap.config import CoapConfig
from bridgehead.protocols.coap.mapping import TOPICS
from bridgehead.protocols.coap.session.blockwise import Blockwise
from bridgehead.protocols.coap.session.contract import Handler, Peer
from bridgehead.protocols.coap.session.directory.directory import ResourceDirectory
from bridgehead.protocols.coap.session.directory.fetching import PeerFetch
from bridgehead.protocols.coap.session.echo import Echo
from bridgehead.protocols.coap.session.observing import Observing
from bridgehead.protocols.coap.session.oscore import OscoreLayer
from bridgehead.protocols.coap.session.oscore_context import OscoreContexts
from bridgehead.protocols.coap.session.pubsub.pubsub import PubSub
from bridgehead.protocols.coap.session.site import Site
from bridgehead.protocols.coap.session.topics import Topics
from bridgehead.protocols.coap.session.well_known import WELL_KNOWN, WellKnown


class Chain:
    """`handler` is the first, `attach` makes a peer known to the broker as soon as it is logged in; it raises Refusal
    when its identity has too many sessions."""

    def __init__(self, handler: Handler, site: Site, attach: Callable[[Peer], None]) -> None:
        self.handler: Final = handler
        self.site: Final = site
        self.attach: Final = attach


def make_chain(
    broker: Broker, config: CoapConfig, contexts: OscoreContexts, echo: Echo, jitter: Callable[[], float]
) -> Chain:
    """Block-wise transfer, OSCORE, block-wise transfer inside it, the site. `jitter` gives numbers from 0 up to, not
    including, 1 by chance."""
    site = Site()
    well_known = WellKnown(site)
    site.add(WELL_KNOWN, well_known)
    observing = Observing(broker, config)
    topics = Topics(broker, observing, config)
    site.add(TOPICS, topics)
    site.add(b"ps", PubSub(broker, topics, config.pubsub))
    directory = ResourceDirectory(broker, config.directory, PeerFetch(config.directory), observing.attend)
    for segment in (b"rd", b"rd-lookup"):
        site.add(segment, directory)
    well_known.add(b"rd", directory)
    inner = Blockwise(site, broker.clock, config.blocks, jitter)
    oscore = OscoreLayer(inner, contexts, echo, broker.clock)
    handler = Blockwise(oscore, broker.clock, config.blocks, jitter, outside=True)
    return Chain(handler, site, observing.attach)
