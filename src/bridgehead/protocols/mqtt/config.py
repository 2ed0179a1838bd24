"""What a listener's owner can set about MQTT itself."""

from __future__ import annotations


class MqttConfig:
    """Intervals are in seconds, sizes in octets; docs/limits.md explains each."""

    def __init__(self) -> None:
        self.maximum_packet_size = 1024 * 1024
        # Messages with QoS above 0 that a client may send, and may be sent, before they are acknowledged.
        self.receive_maximum = 1000
        self.in_flight = 1000
        self.topic_alias_maximum = 64
        # A greater Keep Alive, or none, is answered with this one as Server Keep Alive (5.0). 0: no limit.
        self.keep_alive_maximum = 3600
        self.connect_timeout = 10.0
        # What a connection may have waiting to be sent before QoS 0 messages to it are dropped.
        self.outbox_octets = 4 * 1024 * 1024
        # MQTT 3 cannot tell a client that a publish was refused: "acknowledge" (and log) or "close".
        self.denied_publish_v3 = "acknowledge"
        # Messages per second that one connection may publish, and how many at once. 0: no limit.
        self.publish_rate = 0.0
        self.publish_burst = 1000
        # What Response Information tells who asks for it; ${device} is the device's name. "": nothing.
        self.response_information = ""
