"""What an identifier of a selector may name: the fields of a message by section (3.2), and JMS's names for them."""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

# The sections that an identifier can look into.
HEADER: Final = 0
PROPERTIES: Final = 1
MESSAGE_ANNOTATIONS: Final = 2
APPLICATION_PROPERTIES: Final = 3
DERIVED: Final = 4  # made of a field, as JMS shows it

_HEADER_FIELDS: Final = ("durable", "priority", "ttl", "first-acquirer", "delivery-count")
_PROPERTY_FIELDS: Final = (
    "message-id",
    "user-id",
    "to",
    "subject",
    "reply-to",
    "correlation-id",
    "content-type",
    "content-encoding",
    "absolute-expiry-time",
    "creation-time",
    "group-id",
    "group-sequence",
    "reply-to-group-id",
)

_SECTIONS: Final[dict[str, int]] = {
    "header": HEADER,
    "properties": PROPERTIES,
    "message_annotations": MESSAGE_ANNOTATIONS,
    "application_properties": APPLICATION_PROPERTIES,
}
# Both sections of fixed fields under one name, as other brokers of AMQP 1.0 let selectors write them.
_EITHER: Final = "amqp"

# JMS 2.0 section 3.4 and 3.5.9, as AMQP's binding of JMS maps them to fields.
_JMS: Final[dict[str, tuple[int, str]]] = {
    "JMSMessageID": (PROPERTIES, "message-id"),
    "JMSCorrelationID": (PROPERTIES, "correlation-id"),
    "JMSType": (PROPERTIES, "subject"),
    "JMSDestination": (PROPERTIES, "to"),
    "JMSReplyTo": (PROPERTIES, "reply-to"),
    "JMSTimestamp": (PROPERTIES, "creation-time"),
    "JMSExpiration": (PROPERTIES, "absolute-expiry-time"),
    "JMSPriority": (HEADER, "priority"),
    "JMSXUserID": (PROPERTIES, "user-id"),
    "JMSXGroupID": (PROPERTIES, "group-id"),
    "JMSXGroupSeq": (PROPERTIES, "group-sequence"),
    "JMSDeliveryMode": (DERIVED, "JMSDeliveryMode"),
    "JMSRedelivered": (DERIVED, "JMSRedelivered"),
    "JMSXDeliveryCount": (DERIVED, "JMSXDeliveryCount"),
}


@mypyc_attr(allow_interpreted_subclasses=True)
class Fields:
    """One message as a selector sees it."""

    def field(self, section: int, name: str) -> object:
        """The value, None when there is none; of AMQP's types, as the codec reads them."""
        raise NotImplementedError


class Place:
    """What an identifier names."""

    def __init__(self, section: int, name: str) -> None:
        self.section: Final = section
        self.name: Final = name


def place(parts: list[str], quoted: bool) -> Place | str:
    """The place that an identifier of these parts names; a sentence when its section has no such field. `quoted`: the
    first part was, and is an application property by its very name."""
    whole = ".".join(parts)
    if quoted:
        return Place(APPLICATION_PROPERTIES, whole)
    jms = _JMS.get(whole)
    if jms is not None:
        return Place(jms[0], jms[1])
    if len(parts) == 1:
        return Place(APPLICATION_PROPERTIES, whole)
    first = parts[0].lower()
    name = ".".join(parts[1:])
    section = _SECTIONS.get(first)
    if first != _EITHER and section is None:
        return Place(APPLICATION_PROPERTIES, whole)
    if section in (MESSAGE_ANNOTATIONS, APPLICATION_PROPERTIES):
        return Place(section, name)
    field = name.lower().replace("_", "-")
    if section != PROPERTIES and field in _HEADER_FIELDS:
        return Place(HEADER, field)
    if section != HEADER and field in _PROPERTY_FIELDS:
        return Place(PROPERTIES, field)
    known = _HEADER_FIELDS if section == HEADER else _PROPERTY_FIELDS
    return f"{parts[0]} has no field {name[:64]!r}; write one of {', '.join(known).replace('-', '_')}"


def derived(name: str, fields: Fields) -> object:
    """What JMS makes of a field of the header."""
    if name == "JMSDeliveryMode":
        return "PERSISTENT" if fields.field(HEADER, "durable") is True else "NON_PERSISTENT"
    count = fields.field(HEADER, "delivery-count")
    failed = count if isinstance(count, int) else 0
    if name == "JMSRedelivered":
        return failed > 0
    return failed + 1
