"""What queues need of the rooms above them: exchanges, which choose queues and lose them."""

from __future__ import annotations

from mypy_extensions import mypyc_attr

from bridgehead.broker.queues.queue import Queue
from bridgehead.core.entry import Entry
from bridgehead.core.message import Message
from bridgehead.core.policy import Principal


@mypyc_attr(allow_interpreted_subclasses=True)
class DeadLetters:
    """The exchanges, as far as queues know of them. As it is here there are none."""

    def route(
        self, principal: Principal, exchange: str, routing_key: str, message: Message, entry: Entry
    ) -> list[Queue]:
        """The queues to which the exchange sends it, each once. Raises Refusal: `principal` may not publish there, or
        there is no such exchange. `entry` has died: its `deaths` are not yet those of today."""
        return []

    def queue_gone(self, queue: Queue) -> None:
        """It was deleted: what is bound to it goes too."""

    def identity_gone(self, name: str) -> None:
        """The identity does not exist any more."""

    def recovered(self) -> None:
        """The queues of the earlier run are back."""
