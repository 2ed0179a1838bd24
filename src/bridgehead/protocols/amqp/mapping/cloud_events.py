"""CloudEvents in binary mode: attributes of an event are application properties with a prefix in AMQP (CloudEvents AMQP
binding 1.0.2, section 3.1.3), User Properties without one in MQTT 5.0 (MQTT binding 1.0.2, section 3.1.3).

Both call the event's `datacontenttype` by their own content type, so that needs nothing. Events in structured mode are
payloads with the content type `application/cloudevents+json` and pass everywhere as they are.
"""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.amqp.codec.v1.types import Timestamp
from bridgehead.protocols.amqp.mapping.texts import can_tell, moment_of, text_of

# Either may be read; the first one is written: selectors can name it.
PREFIX: Final = "cloudEvents_"
OTHER_PREFIX: Final = "cloudEvents:"
_LENGTH: Final = 12
_REQUIRED: Final = frozenset(["specversion", "id", "source", "type"])  # CloudEvents 1.0.2, section 3.1

Pairs = tuple[tuple[str, str], ...]


def user_properties_of(values: dict[str, object]) -> Pairs:
    """Application properties or headers as User Properties. What MQTT cannot carry is left out."""
    prefix = ""
    for each in (PREFIX, OTHER_PREFIX):
        if each + "specversion" in values:
            prefix = each
            break
    pairs: list[tuple[str, str]] = []
    for name, value in values.items():
        if prefix and name.startswith(prefix) and len(name) > _LENGTH:
            name = name[_LENGTH:]
            text = moment_of(value) if isinstance(value, Timestamp) else text_of(value)
        else:
            text = text_of(value)
        if can_tell(name) and can_tell(text):
            pairs.append((name, text))
    return tuple(pairs)


def application_properties_of(pairs: Pairs) -> dict[str, str]:
    """User Properties as application properties or headers: of several with one name the last counts, as a map has
    each key once. Where they are an event, names that could be an attribute's get the prefix."""
    names: set[str] = set()
    for name, _ in pairs:
        names.add(name)
    is_event = names >= _REQUIRED
    made: dict[str, str] = {}
    for name, value in pairs:
        if is_event and _is_attribute(name):
            name = PREFIX + name
        made[name] = value
    return made


def _is_attribute(name: str) -> bool:
    """Lower-case ASCII letters and digits (CloudEvents 1.0.2, section 3, naming conventions)."""
    return name.isascii() and name.isalnum() and name == name.lower()
