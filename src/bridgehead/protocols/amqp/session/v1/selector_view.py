"""A message as selectors see it: its sections as they would go out, whichever protocol it came by."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.amqp.codec.v1 import sections as names
from bridgehead.protocols.amqp.codec.v1.composites import ABSENT
from bridgehead.protocols.amqp.codec.v1.errors import AmqpError
from bridgehead.protocols.amqp.codec.v1.sections import Header, Properties, Sections
from bridgehead.protocols.amqp.session.v1.selector import Selector
from bridgehead.protocols.amqp.session.v1.selector_fields import HEADER, MESSAGE_ANNOTATIONS, PROPERTIES, Fields


def selects(selector: Selector, payload: bytes, deliveries: int) -> bool:
    """Whether the selector is true for a message of these sections that failed to be delivered so often. A sender's
    sections that cannot be read select nothing."""
    if _last.payload is not payload or _last.deliveries != deliveries:
        _last.payload = payload
        _last.deliveries = deliveries
        _last.view = None
    try:
        if _last.view is None:
            _last.view = View(payload, deliveries)
        return selector.selects(_last.view)
    except AmqpError:
        return False


class View(Fields):
    """Each section is read when it is asked for first."""

    def __init__(self, payload: bytes, deliveries: int) -> None:
        self._sections: Final = Sections(payload)
        self._deliveries: Final = deliveries
        self._header: Header | None = None
        self._properties: Properties | None = None
        self._annotations: dict[object, object] | None = None
        self._application: dict[str, object] | None = None

    def field(self, section: int, name: str) -> object:
        if section == HEADER:
            return self._of_header(name)
        if section == PROPERTIES:
            return self._of_properties(name)
        if section == MESSAGE_ANNOTATIONS:
            annotations = self._annotations
            if annotations is None:
                annotations = self._sections.annotations(names.MESSAGE_ANNOTATIONS)
                self._annotations = annotations
            return annotations.get(name)
        application = self._application
        if application is None:
            application = self._sections.application_properties()
            self._application = application
        return application.get(name)

    def _of_header(self, name: str) -> object:
        header = self._header
        if header is None:
            header = self._sections.header()
            self._header = header
        if name == "durable":
            return header.durable
        if name == "priority":
            return header.priority
        if name == "ttl":
            return None if header.ttl == ABSENT else header.ttl
        if name == "first-acquirer":
            return self._deliveries == 0
        return self._deliveries

    def _of_properties(self, name: str) -> object:
        properties = self._properties
        if properties is None:
            properties = self._sections.properties()
            self._properties = properties
        if name == "message-id":
            return properties.message_id
        if name == "user-id":
            return _text(properties.user_id)
        if name == "to":
            return properties.to
        if name == "subject":
            return properties.subject
        if name == "reply-to":
            return properties.reply_to
        if name == "correlation-id":
            return properties.correlation_id
        if name == "content-type":
            return properties.content_type
        if name == "content-encoding":
            return properties.content_encoding
        if name == "absolute-expiry-time":
            return properties.absolute_expiry_time
        if name == "creation-time":
            return properties.creation_time
        if name == "group-id":
            return properties.group_id
        if name == "group-sequence":
            return None if properties.group_sequence == ABSENT else properties.group_sequence
        return properties.reply_to_group_id


class _Last:
    """The message that was looked at last: a thousand receivers with selectors read its sections once."""

    def __init__(self) -> None:
        self.payload = b""
        self.deliveries = -1
        self.view: View | None = None


_last: Final = _Last()


def _text(octets: bytes | None) -> str | None:
    """A user-id is the name of an identity, which is UTF-8."""
    if octets is None:
        return None
    try:
        return octets.decode("utf-8", "strict")
    except UnicodeDecodeError:
        return None
