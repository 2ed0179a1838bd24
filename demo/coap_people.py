"""What the demo's CoAP clients share: a bundle's credentials for DTLS, and where the hub is."""

from __future__ import annotations

from pathlib import Path

from bridgehead.cli.coap_identity import CoapIdentity, coap_identity
from bridgehead.cli.coap_options import Given

LOBBY = "Office/Lobby/Temperature"


def identity(bundle: Path, port: int) -> CoapIdentity:
    """By what `bridgehead device add` put into the bundle: a pre-shared key, or a raw public key."""
    given = Given(None, None, None, bundle, None, None, None, None, None, None)
    return coap_identity(f"coaps://localhost:{port}", given)
