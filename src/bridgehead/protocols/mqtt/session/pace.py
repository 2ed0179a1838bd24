"""How fast a client may publish: a bucket of `publish_burst` messages that fills at `publish_rate` a second."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.mqtt.config import MqttConfig


class Pace:
    """The configuration is asked each time, so that a change of it holds for those who are connected."""

    def __init__(self, config: MqttConfig, now: float) -> None:
        self._config: Final = config
        self._allowance: float = float(config.publish_burst)
        self._measured_at: float = now

    def measure(self, publishes: int, now: float) -> float:
        """`publishes` came in. Until when the client is to be read no more: `now` or earlier for not at all."""
        config = self._config
        rate: float = config.publish_rate
        if rate <= 0:
            return 0.0
        allowance = self._allowance + (now - self._measured_at) * rate
        self._measured_at = now
        self._allowance = min(allowance, float(config.publish_burst)) - publishes
        return now - self._allowance / rate
