"""What the one enforcement point lets be read: retained messages, and that something is there at all.

The door (door.py) is this and the other ways.
"""

from __future__ import annotations

from typing import Final

from bridgehead.broker.events import SUBSCRIBE_DENIED, EventSink, told
from bridgehead.broker.limits import Limits
from bridgehead.core.clearance import is_cleared
from bridgehead.core.clock import Clock
from bridgehead.core.errors import FILTER_INVALID, NAME_INVALID, NOT_AUTHORIZED, Refusal
from bridgehead.core.message import Message, Origin
from bridgehead.core.policy import Principal
from bridgehead.core.retained import Retained
from bridgehead.core.topic import check_topic_filter, check_topic_name, has_more_levels


class Reading:
    """The door's part for who reads."""

    def __init__(self, retained: Retained, clock: Clock, limits: Limits, event: EventSink) -> None:
        self._retained: Final = retained
        self._clock: Final = clock
        self._limits: Final = limits
        self._event: Final = event

    def may_know(self, principal: Principal, topic: str, retain: bool = False) -> bool:
        """Whether the principal may read or write (`retain`: and keep) what the topic stands for, so that it may be
        told that this is there. Asked, it is nobody's denial."""
        return self.may_read(principal, topic) or principal.may_publish(topic, 0, retain)

    def may_read(self, principal: Principal, topic: str) -> bool:
        """As `may_know`, for who wants to read."""
        return principal.receivable_qos(topic, True) >= 0

    # Read. ------------------------------------------------------------------------------------------

    def read(self, principal: Principal, topic: str, origin: Origin) -> Message | None:
        """The topic's retained message, for one who asks for it once; None: there is none that it may read. Raises
        Refusal when it may read nothing there."""
        message = self._retained.get(topic)
        if message is None:
            self._check_name(topic)
        if not self.may_read(principal, topic):
            because = principal.explain_receive(topic).because
            self._event(SUBSCRIBE_DENIED, {**told(origin), "filter": topic, "because": because})
            raise Refusal(NOT_AUTHORIZED, because)
        return message if message is not None and self.is_shown(principal, message) else None

    def browse(self, principal: Principal, topic_filter: str, most: int, steps: int) -> tuple[list[Message], bool]:
        """The retained messages that match and that the principal may read, and whether these are all: at most `most`,
        found by at most `steps` steps of a walk. Raises Refusal: FILTER_INVALID."""
        if has_more_levels(topic_filter, self._limits.topic_levels):
            raise Refusal(FILTER_INVALID, f"the Topic Filter has more than {self._limits.topic_levels} levels")
        check_topic_filter(topic_filter)
        found: list[Message] = []
        walk = self._retained.walk(topic_filter)
        while not walk.is_over():
            if steps <= 0:
                return found, False
            steps -= 1
            topic = walk.step()
            message = None if topic is None else self._retained.get(topic)
            if message is not None and self.is_shown(principal, message):
                if len(found) == most:
                    return found, False
                found.append(message)
        return found, True

    def is_shown(self, principal: Principal, message: Message) -> bool:
        """Whether a retained message is delivered to the principal: it holds still, is not hidden, and may be read."""
        if message.expires_at <= self._clock.now or self._retained.is_hidden(message):
            return False
        if message.origin.tags and not is_cleared(principal, message.origin.tags):
            return False
        return principal.receivable_qos(message.topic, message.origin.verified) >= 0

    def _check_name(self, topic: str) -> None:
        if has_more_levels(topic, self._limits.topic_levels):
            raise Refusal(NAME_INVALID, f"the Topic Name has more than {self._limits.topic_levels} levels")
        check_topic_name(topic)
        if topic.startswith("$share/"):
            raise Refusal(NAME_INVALID, "$share/ is for Topic Filters only")
