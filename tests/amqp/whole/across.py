"""A hub with MQTT, both versions of AMQP and CoAP, and one client of each that is told what to do."""

from __future__ import annotations

import json
import queue
import subprocess
from types import TracebackType
from typing import Any, Final, Self

import paho.mqtt.client as mqtt
from paho.mqtt.client import MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from tests.amqp.whole.office import LISTENERS, OFFICE, SECRET, WATCHER, Office, Script
from tests.cli.hub import PATIENCE

COAP: Final = "coap-client-gnutls"
EVERY_DOOR: Final = f"""{LISTENERS}
[[listener]]
bind = "127.0.0.1:0"
protocol = "coap"
plaintext = true
guest = "{OFFICE}"
"""


class Hands:
    """A client as a program: Proton (1.0) or pika (0-9-1)."""

    def __init__(self, script: Script) -> None:
        self._script: Final = script

    def do(self, **order: Any) -> Any:
        self._script.say(json.dumps(order))
        return self._script.line()

    def take(self) -> Any:
        """The next message that it gets."""
        [found] = self.do(take=1)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._script:
            if kind is None:  # it says goodbye, so that what it settled is settled
                pipe = self._script.process.stdin
                assert pipe is not None
                pipe.close()
                assert self._script.process.wait(PATIENCE) == 0


def proton(office: Office, name: str = OFFICE) -> Hands:
    return Hands(office.python("across_proton.py", name=name))


def pika(office: Office, name: str = OFFICE) -> Hands:
    return Hands(office.python("across_pika.py", name=name))


def coap(office: Office, method: str, path: str, *words: str) -> str:
    """libcoap's client, over plain UDP as the guest; what it printed."""
    uri = f"coap://127.0.0.1:{office.port('coap')}/t/{path}"
    done = subprocess.run(
        [COAP, "-m", method, *words, uri], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    return (done.stdout + done.stderr).rstrip("\n")


class Paho:
    """Eclipse Paho over TLS with MQTT 5.0, as the device `name`."""

    def __init__(self, office: Office, name: str = WATCHER) -> None:
        self.messages: Final[queue.Queue[MQTTMessage]] = queue.Queue()
        self._reasons: Final[queue.Queue[list[ReasonCode]]] = queue.Queue()
        self._ready: Final[queue.Queue[ReasonCode]] = queue.Queue()
        self.client: Final = mqtt.Client(
            CallbackAPIVersion.VERSION2, f"{name}-paho", protocol=MQTTProtocolVersion.MQTTv5
        )
        self.client.username_pw_set(name, SECRET)
        self.client.tls_set(str(office.authority))
        self.client.on_connect = lambda client, data, flags, reason, properties: self._ready.put(reason)
        self.client.on_message = lambda client, data, message: self.messages.put(message)
        self.client.on_subscribe = lambda client, data, identifier, reasons, properties: self._reasons.put(reasons)
        self.client.connect("localhost", office.port("mqtts"))
        self.client.loop_start()
        assert not self._ready.get(timeout=PATIENCE).is_failure

    def subscribe(self, topic_filter: str) -> int:
        """The reason code."""
        self.client.subscribe(topic_filter, 1)
        [reason] = self._reasons.get(timeout=PATIENCE)
        return int(reason.value)

    def publish(self, topic: str, payload: str, retain: bool = False, **fields: Any) -> None:
        """`fields`: the properties of a PUBLISH by paho's names."""
        properties = Properties(PacketTypes.PUBLISH)
        for name, value in fields.items():
            setattr(properties, name, value)
        self.client.publish(topic, payload, 1, retain, properties).wait_for_publish(PATIENCE)

    def message(self) -> MQTTMessage:
        return self.messages.get(timeout=PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def properties_of(message: MQTTMessage) -> Any:
    """By paho's names, which are attributes."""
    assert message.properties is not None
    return message.properties
