"""Which statement of MQTT 3.1.1 says what a statement of MQTT 5.0 does, where its number is another."""

from __future__ import annotations

from typing import Final

_IN_MQTT_3: Final[dict[str, str]] = {
    "MQTT-1.5.4-1": "MQTT3-1.5.3-1",
    "MQTT-1.5.4-2": "MQTT3-1.5.3-2",
    "MQTT-1.5.5-1": "MQTT 3.1.1 2.2.3",
    "MQTT-2.1.3-1": "MQTT3-2.2.2-1",
    "MQTT-2.2.1-3": "MQTT3-2.3.1-1",
    "MQTT-2.2.1-4": "MQTT3-2.3.1-1",
    "MQTT-2.2.1-5": "MQTT3-2.3.1-6",
    "MQTT-2.2.1-6": "MQTT3-2.3.1-7",
    "MQTT-3.1.2-11": "MQTT3-3.1.2-13",
    "MQTT-3.1.2-12": "MQTT3-3.1.2-14",
    "MQTT-3.1.2-13": "MQTT3-3.1.2-15",
    "MQTT-3.2.2-1": "MQTT 3.1.1 3.2.2.1",
    "MQTT-3.2.2-6": "MQTT3-3.2.2-4",
    "MQTT-3.2.2-15": "",  # MQTT 3 knows no Maximum Packet Size
    "MQTT-3.1.2-24": "",
    "MQTT-3.8.3-2": "MQTT3-3.8.3-3",
    "MQTT-3.8.3-5": "MQTT3-3.8.3-4",
    "MQTT-3.15.1-1": "MQTT 3.1.1 2.2.1",
    "MQTT 5.0 1.5.5": "MQTT 3.1.1 2.2.3",
    "MQTT 5.0 2.1.2": "MQTT 3.1.1 2.2.1",
    "MQTT 5.0 2.1.4": "MQTT 3.1.1 2.2.3",
    "MQTT-4.7.0-1": "MQTT3-4.7.1-1",
    "MQTT 5.0 3.9.3": "MQTT 3.1.1 3.9.3",
}


def clause_in(clause: str, version: int) -> str:
    """`clause`, which is one of MQTT 5.0, as `version` (3, 4 or 5) numbers it. MQTT 3.1 is judged by 3.1.1."""
    if version == 0 or version == 5:
        return clause
    known = _IN_MQTT_3.get(clause)
    return clause.replace("MQTT-", "MQTT3-", 1) if known is None else known
