"""How fast one connection may send messages: a bucket of `publish_burst` that fills at `publish_rate` a second."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.amqp.config import AmqpConfig


class Pace:
    """The configuration is asked each time, so that a change of it holds for those who are connected."""

    def __init__(self, config: AmqpConfig, now: float) -> None:
        self._config: Final = config
        self._allowance: float = float(config.publish_burst)
        self._measured_at: float = now

    def measure(self, messages: int, now: float) -> float:
        """So many came in. Until when the peer is to be read no more: `now` or earlier for not at all."""
        config = self._config
        rate: float = config.publish_rate
        if rate <= 0:
            return 0.0
        allowance = self._allowance + (now - self._measured_at) * rate
        self._measured_at = now
        self._allowance = min(allowance, float(config.publish_burst)) - messages
        return now - self._allowance / rate
