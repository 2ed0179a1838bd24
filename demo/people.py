"""What the demo's clients share: a paho client with a bundle's certificate, and lines of JSON for the stage."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

TEMPERATURE = "Office/Meetingroom/Temperature"
NOTICE = "Office/Meetingroom/Notice"


def tell(event: str, **fields: object) -> None:
    """One line for the stage, which started this process."""
    print(json.dumps({"event": event, **fields}), flush=True)


def client(name: str, bundle: Path, port: int) -> mqtt.Client:
    """A client over TLS 1.2 or 1.3 that proves itself with the bundle's certificate."""
    made = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
    made.tls_set(
        ca_certs=str(bundle / "ca.pem"), certfile=str(bundle / "certificate.pem"), keyfile=str(bundle / "key.pem")
    )
    made.connect("localhost", port, keepalive=30)
    return made


def arguments() -> tuple[str, Path, int]:
    """Device name, bundle folder, port: what the stage gives each client."""
    name, bundle, port = sys.argv[1:4]
    return name, Path(bundle), int(port)
