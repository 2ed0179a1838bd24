"""An Eclipse Paho client whose callbacks' news comes out of queues, for tests that wait for events."""

from __future__ import annotations

import os
import queue
import socket
from types import TracebackType
from typing import Final, Literal

import paho.mqtt.client as mqtt
from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from tests.clients.office import CERTIFICATE, SECRET, TLS, UNIX, WEBSOCKET, Office, Way

PATIENCE: Final = 30.0
_TRANSPORTS: Final[dict[str, Literal["tcp", "websockets", "unix"]]] = {
    TLS: "tcp",
    WEBSOCKET: "websockets",
    UNIX: "unix",
}


class Paho:
    """`keep`: the session outlives the connection, and one that is there is resumed. The loop runs in a thread of its
    own from `connect()` until `close()`; when the connection is lost, it connects again by itself."""

    def __init__(self, office: Office, way: Way, name: str, client_id: str, keep: bool = False) -> None:
        self._office = office
        self._way = way
        self._keep = keep
        self.connects: queue.Queue[tuple[bool, ReasonCode]] = queue.Queue()  # (Session Present, reason)
        self.messages: queue.Queue[MQTTMessage] = queue.Queue()
        self.subscribed: queue.Queue[list[ReasonCode]] = queue.Queue()
        self.published: queue.Queue[tuple[int, ReasonCode]] = queue.Queue()  # (Packet Identifier, reason)
        self.client = client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=None if way.is_v5 else not keep,
            protocol=MQTTProtocolVersion(way.version),
            transport=_TRANSPORTS[way.door],
        )
        client.reconnect_delay_set(1, 1)
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        if way.door == WEBSOCKET:
            client.ws_set_options("/mqtt")
        if way.door != UNIX:
            client.tls_set_context(office.context(name if way.credential == CERTIFICATE else ""))
        if way.credential != CERTIFICATE:
            client.username_pw_set(name, SECRET)

    def __enter__(self) -> Paho:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def connect(self) -> bool:
        """Whether the session was there. AssertionError when the hub refuses."""
        properties = None
        if self._way.is_v5 and self._keep:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = 3600
        host = str(self._office.socket) if self._way.door == UNIX else "localhost"
        port = 1 if self._way.door == UNIX else self._office.port(self._way.door)
        clean = not self._keep if self._way.is_v5 else MQTT_CLEAN_START_FIRST_ONLY
        self.client.connect(host, port, clean_start=clean, properties=properties)
        self.client.loop_start()
        present, reason = self.connects.get(timeout=PATIENCE)
        assert not reason.is_failure, reason
        return present

    def subscribe(self, topic_filter: str, qos: int) -> None:
        """Returns when the hub has granted it."""
        self.client.subscribe(topic_filter, qos)
        [reason] = self.subscribed.get(timeout=PATIENCE)
        assert reason.value == qos

    def publish(self, topic: str, payload: str, qos: int, retain: bool = False) -> None:
        """Returns when the hub has taken charge of it (QoS 0: when it is sent)."""
        self.client.publish(topic, payload, qos, retain).wait_for_publish(PATIENCE)
        _, reason = self.published.get(timeout=PATIENCE)
        assert not reason.is_failure, reason

    def message(self) -> tuple[str, int, bool]:
        """(payload, QoS, RETAIN) of the next one."""
        message = self.messages.get(timeout=PATIENCE)
        return message.payload.decode(), message.qos, message.retain

    def break_connection(self) -> None:
        """The network fails: no DISCONNECT is sent, what is on its way is lost."""
        sock = self.client.socket()
        assert sock is not None
        with socket.socket(fileno=os.dup(sock.fileno())) as below:  # paho's WebSocket and TLS have no such call
            below.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    # Called by paho's thread. -----------------------------------------------------------------------

    def _on_connect(
        self, client: mqtt.Client, data: object, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        self.connects.put((flags.session_present, reason))

    def _on_message(self, client: mqtt.Client, data: object, message: MQTTMessage) -> None:
        self.messages.put(message)

    def _on_subscribe(
        self,
        client: mqtt.Client,
        data: object,
        packet_id: int,
        reasons: list[ReasonCode],
        properties: Properties | None,
    ) -> None:
        self.subscribed.put(reasons)

    def _on_publish(
        self,
        client: mqtt.Client,
        data: object,
        packet_id: int,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self.published.put((packet_id, reason))
