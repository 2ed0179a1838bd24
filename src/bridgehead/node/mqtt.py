"""MQTT as the node serves it: one server, and older ones beside it for clients that were told other sizes."""

from __future__ import annotations

import asyncio
from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.node.configuration import Config
from bridgehead.node.identities import Identities
from bridgehead.node.settings import apply_mqtt
from bridgehead.protocols.mqtt.config import MqttConfig
from bridgehead.protocols.mqtt.server import MqttServer
from bridgehead.security.login.chain import DEFAULT, Chain
from bridgehead.transport.stream import Stream


class MqttServers:
    """Hands each new stream to the server with today's settings.

    CONNACK tells a client the Receive Maximum, Maximum Packet Size and Topic Alias Maximum for the life of its
    connection (MQTT 5.0 section 3.2.2.3). After a reload that changes one of them, connections that were told the
    old ones stay with a server that keeps them; everything else changes for all.
    """

    def __init__(self, config: Config, broker: Broker, identities: Identities, offset: float) -> None:
        self._broker: Final = broker
        self._identities: Final = identities
        self._offset: Final = offset
        self._current = self._serve(config)
        self._older: list[MqttServer] = []

    def __len__(self) -> int:
        """Open connections."""
        return sum(len(server) for server in self._all())

    def accept(self, stream: Stream, chain: Chain = DEFAULT) -> None:
        """`chain` is what the stream's listener lets in by."""
        self._current.accept(stream, chain)

    async def apply(self, config: Config) -> None:
        """Put a reloaded configuration in force."""
        for server in [server for server in self._older if not len(server)]:
            self._older.remove(server)
            await server.stop(0.0)
        told = _told(self._current.config)
        for server in self._all():
            _apply_all_but_told(config, server.config)
        wanted = self._serve(config)
        if _told(wanted.config) == told:
            await wanted.stop(0.0)
        else:
            self._older.append(self._current)
            self._current = wanted

    async def stop(self, seconds: float) -> None:
        """Tell every client that the hub stops, and wait at most so long."""
        await asyncio.gather(*(server.stop(seconds) for server in self._all()))

    def _all(self) -> list[MqttServer]:
        return [*self._older, self._current]

    def _serve(self, config: Config) -> MqttServer:
        settings = MqttConfig()
        apply_mqtt(config, settings)
        return MqttServer(self._broker, settings, self._identities, self._offset)


def _told(settings: MqttConfig) -> tuple[int, int, int]:
    return settings.receive_maximum, settings.maximum_packet_size, settings.topic_alias_maximum


def _apply_all_but_told(config: Config, settings: MqttConfig) -> None:
    told = _told(settings)
    apply_mqtt(config, settings)
    settings.receive_maximum, settings.maximum_packet_size, settings.topic_alias_maximum = told
