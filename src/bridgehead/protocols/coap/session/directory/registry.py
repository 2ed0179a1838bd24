"""All registrations: a reading of retained messages, which are what counts."""

from __future__ import annotations

from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.core import message as core
from bridgehead.core.errors import QUOTA_EXCEEDED, Refusal
from bridgehead.core.message import NEVER
from bridgehead.core.retained import Retained
from bridgehead.protocols.coap.session.contract import Party
from bridgehead.protocols.coap.session.directory.registration import FILTER, Registration, from_message
from bridgehead.protocols.coap.session.directory.settings import DirectorySettings
from bridgehead.protocols.coap.session.records import Records


class Registry:
    """`version` grows with each change that was seen."""

    def __init__(self, broker: Broker, records: Records, settings: DirectorySettings) -> None:
        self._broker: Final = broker
        self._retained: Final[Retained] = broker.retained
        self._records: Final = records
        self._settings: Final = settings
        self._by_topic: dict[str, Registration] = {}
        self._by_id: dict[str, str] = {}
        self._others: dict[str, core.Message] = {}  # messages there that are no registrations
        self._hidden: list[str] = []
        self._seen = -1  # the revision of the retained messages that was read
        self.version = 0

    # Reading. ---------------------------------------------------------------------------------------

    def _shown(self, topic: str) -> core.Message | None:
        """The message that is there, now, and not of an identity whose credentials were taken back."""
        message = self._retained.get(topic)
        if message is None or message.expires_at <= self._broker.clock.now or self._retained.is_hidden(message):
            return None
        return message

    def refresh(self) -> None:
        """Read what others have changed: over other protocols, by expiry, or as a commit failed; and whose credentials
        were taken back, or given again."""
        hidden = list(self._retained.hidden)
        if hidden != self._hidden:
            self._hidden = hidden
            self.version += 1
        if self._retained.revision == self._seen:
            return
        self._seen = self._retained.revision
        topics = self._counted(self._retained.matching(FILTER))
        there = set(topics)
        for topic in [held for held in self._by_topic if held not in there]:
            self._drop(topic)
        for topic in [held for held in self._others if held not in there]:
            del self._others[topic]
        for topic in topics:
            self._read(topic)

    def _counted(self, topics: list[str]) -> list[str]:
        """As many as there may be, and of each writer: who publishes there by another way than /rd is asked for no
        quota, and is not to take the places of others."""
        settings = self._settings
        found: list[str] = []
        by_writer: dict[str, int] = {}
        for topic in topics:
            message = self._retained.get(topic)
            if message is None:
                continue
            writer = message.origin.principal
            held = by_writer.get(writer, 0)
            if held < settings.registrations_per_identity and len(found) < settings.registrations:
                by_writer[writer] = held + 1
                found.append(topic)
        return found

    def _read(self, topic: str) -> Registration | None:
        message = self._retained.get(topic)
        known = self._by_topic.get(topic)
        if message is None:
            if known is not None:
                self._drop(topic)
            return None
        if known is not None and known.message is message:
            return known
        if self._others.get(topic) is message:
            return None
        found = from_message(message, self._settings.links)
        if found is None:
            if known is not None:
                self._drop(topic)
            self._others[topic] = message
            return None
        self._others.pop(topic, None)
        self._put(found)
        return found

    def _put(self, registration: Registration) -> None:
        self.version += 1
        self._by_topic[registration.topic] = registration
        self._by_id[registration.identifier] = registration.topic

    def _drop(self, topic: str) -> None:
        self.version += 1
        registration = self._by_topic.pop(topic)
        self._by_id.pop(registration.identifier, None)

    def at(self, topic: str) -> Registration | None:
        """The registration of that topic, if it is active."""
        return None if self._shown(topic) is None else self._read(topic)

    def find(self, identifier: str) -> Registration | None:
        """By the last segment of its path."""
        if identifier not in self._by_id:
            self.refresh()
        topic = self._by_id.get(identifier)
        return None if topic is None else self.at(topic)

    def readable(self, party: Party) -> list[Registration]:
        """Those that are active and may be read by the party, in the order of their first coming."""
        self.refresh()
        found: list[Registration] = []
        for topic, registration in self._by_topic.items():
            message = self._shown(topic)
            if message is None or message is not registration.message:
                continue
            if self._broker.door.is_shown(party.principal, message):
                found.append(registration)
        return found

    def next_expiry(self) -> float:
        """When the next of those that are active ends, in seconds since the epoch."""
        now = self._broker.clock.now
        when = NEVER
        for registration in self._by_topic.values():
            message = registration.message
            if message is not None and now < message.expires_at < when:
                when = message.expires_at
        return when

    # Writing. Each returns the ticket to answer after, and raises Refusal. ----------------------------

    def put(self, party: Party, registration: Registration, qos: int) -> int:
        message = registration.to_message(party.origin, qos, self._broker.clock.now)
        before = self._retained.get(registration.topic)
        if before is None or before.expires_at <= self._broker.clock.now:
            self._check_quotas(party)
        ticket = self._records.publish(party.principal, message)
        self._put(registration)
        return ticket

    def _check_quotas(self, party: Party) -> None:
        settings = self._settings
        name = party.principal.name
        if len(self._by_topic) >= settings.registrations:
            self.refresh()
            if len(self._by_topic) >= settings.registrations:
                raise Refusal(QUOTA_EXCEEDED, f"the directory has {settings.registrations} registrations: its limit")
        own = 0
        for registration in self._by_topic.values():
            message = registration.message
            if message is not None and message.origin.principal == name:
                own += 1
        if own >= settings.registrations_per_identity:
            raise Refusal(QUOTA_EXCEEDED, f"{name!r} has {own} registrations: remove some first")

    def delete(self, party: Party, registration: Registration, qos: int) -> int:
        message = core.Message(registration.topic, b"", qos, True, party.origin)
        ticket = self._records.publish(party.principal, message)
        if registration.topic in self._by_topic:
            self._drop(registration.topic)
        return ticket
