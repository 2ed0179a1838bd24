"""The chain of handlers between a message layer and the hub's resources, put together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.protocols.coap.config import CoapConfig
from bridgehead.protocols.coap.mapping import TOPICS
from bridgehead.protocols.coap.session.contract import Handler, Peer
from bridgehead.protocols.coap.session.directory.directory import ResourceDirectory
from bridgehead.protocols.coap.session.directory.settings import DirectorySettings
from bridgehead.protocols.coap.session.echo import Echo
from bridgehead.protocols.coap.session.observing import Observing
from bridgehead.protocols.coap.session.oscore import OscoreLayer
from bridgehead.protocols.coap.session.oscore_context import OscoreContexts
from bridgehead.protocols.coap.session.pubsub.pubsub import PubSub
from bridgehead.protocols.coap.session.pubsub.settings import PubSubSettings
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


def make_chain(broker: Broker, config: CoapConfig, contexts: OscoreContexts, echo: Echo) -> Chain:
    """Block-wise transfer, OSCORE, block-wise transfer inside it, the site."""
    site = Site()
    site.add(WELL_KNOWN, WellKnown(site))
    observing = Observing(broker, config)
    topics = Topics(broker, observing, config)
    site.add(TOPICS, topics)
    site.add(b"ps", PubSub(broker, topics, PubSubSettings()))
    directory = ResourceDirectory(broker, DirectorySettings())
    for segment in (b"rd", b"rd-lookup"):
        site.add(segment, directory)
    handler = OscoreLayer(site, contexts, echo, broker.clock)
    return Chain(handler, site, observing.attach)
