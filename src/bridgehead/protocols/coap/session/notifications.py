"""Notifications: a message is made into one once, for all observers that see it alike."""

from __future__ import annotations

from typing import Final

from bridgehead.broker.counters import Counters
from bridgehead.core.message import NEVER, Message
from bridgehead.protocols.coap import mapping
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import message as coap
from bridgehead.protocols.coap.session.observation import NUMBERS, Observation, is_newer
from bridgehead.protocols.coap.session.representation import NOT_ACCEPTABLE, entity_tag, offered, options_of

SEND: Final = 0
SKIP: Final = 1  # this client cannot be told of it
END: Final = 2  # nor of what follows


class Notifications:
    """The numbers of Observe grow from message to message, whoever gets it, so that one notification serves all; an
    observation for which that number would not be newer gets one of its own."""

    def __init__(self, counters: Counters) -> None:
        self._counters: Final = counters
        self._number = 0
        self._message: Message | None = None  # the one that was sent last: others follow with the same
        self._content_format = mapping.NO_FORMAT
        self._tag = b""
        self._at = 0.0
        self._plain: coap.Message | None = None
        self._stream: coap.Message | None = None

    def first_number(self, before: int) -> int:
        """Of the answer to a registration, newer than `before`, the number that the client had last; -1: none."""
        if before < 0 or is_newer(self._number, before):
            return self._number
        return (before + 1) & NUMBERS

    def nothing(self, observation: Observation) -> coap.Message:
        """A notification that there is no value."""
        observation.number = (observation.number + 1) & NUMBERS
        return coap.Message(codes.CONTENT, options_of(b"", observation.number, (), -1, -1))

    def verdict(self, observation: Observation, message: Message) -> int:
        """Whether the message can be told to the observer."""
        self._turn_to(message)
        content_format = self._content_format
        if observation.accept >= 0:
            content_format = offered(content_format, observation.accept, message.payload)
        if observation.is_stream:
            if content_format == NOT_ACCEPTABLE:
                return SKIP
            if not mapping.has_path(message.topic):
                self._counters.dropped_too_large += 1
                return SKIP
        elif not message.payload_length:
            return SEND  # it was cleared
        elif content_format == NOT_ACCEPTABLE:
            return END
        elif content_format >= 0:
            # RFC 7641 section 4.2: all notifications have the Content-Format of the first, else it is 4.06 and over.
            if observation.content_format < 0:
                observation.content_format = content_format
            elif observation.content_format != content_format:
                return END
        return SEND

    def make(self, observation: Observation, message: Message, now: float) -> coap.Message:
        """The notification, after `verdict` said SEND."""
        self._turn_to(message)
        content_format = self._content_format
        if observation.accept >= 0:
            content_format = offered(content_format, observation.accept, message.payload)
        if message.expires_at != NEVER and now != self._at:
            self._at = now  # less is left of it than when it was made
            self._plain = None
            self._stream = None
        if content_format != self._content_format or not is_newer(self._number, observation.number):
            observation.number = (observation.number + 1) & NUMBERS
            return self._made(message, observation.is_stream, content_format, observation.number, now)
        observation.number = self._number
        if observation.is_stream:
            made = self._stream
            if made is None:
                made = self._made(message, True, content_format, self._number, now)
                self._stream = made
        else:
            made = self._plain
            if made is None:
                made = self._made(message, False, content_format, self._number, now)
                self._plain = made
        return made

    def _turn_to(self, message: Message) -> None:
        if message is self._message:
            return
        self._message = message
        self._content_format = mapping.content_format_of(message.properties)
        self._tag = entity_tag(self._content_format, message.payload) if message.payload_length else b""
        self._number = (self._number + 1) & NUMBERS
        self._plain = None
        self._stream = None

    def _made(self, message: Message, is_stream: bool, content_format: int, number: int, now: float) -> coap.Message:
        location = tuple(mapping.path_of_topic(message.topic)) if is_stream else ()
        if not message.payload_length:
            content_format = mapping.NO_FORMAT
        options = options_of(self._tag, number, location, content_format, mapping.max_age_of(message, now))
        return coap.Message(codes.CONTENT, options, message.payload)
