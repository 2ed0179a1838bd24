"""What a listener's owner can set about CoAP itself."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.coap.session.block_settings import BlockSettings
from bridgehead.protocols.coap.session.directory.settings import DirectorySettings
from bridgehead.protocols.coap.session.pubsub.settings import PubSubSettings
from bridgehead.protocols.coap.session.settings import CoapSettings

# RFC 7252 section 12.8: All CoAP Nodes; IPv6 of link-local, realm-local and site-local scope (RFC 7346).
ALL_COAP_NODES: Final = ("224.0.1.187", "ff02::fd", "ff03::fd", "ff05::fd")
ALPN: Final = "coap"  # RFC 8323 section 8.2
SUBPROTOCOL: Final = "coap"  # RFC 8323 section 4.1


class CoapConfig(CoapSettings):
    """The sessions' settings, and what the rim needs beside them. Times are in seconds, sizes in octets."""

    def __init__(self) -> None:
        super().__init__()
        # DTLS: transport/dtls/contract.py explains each.
        self.dtls_sessions = 20_000
        self.dtls_idle = 172_800.0
        self.dtls_half_open = 1_000
        self.dtls_half_open_per_address = 16
        self.dtls_ticket = 86_400.0
        self.dtls_connection_ids = True
        self.blocks: BlockSettings = BlockSettings()
        self.pubsub: PubSubSettings = PubSubSettings()
        self.directory: DirectorySettings = DirectorySettings()
