"""The one canonical message that every protocol converts to and from."""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

NEVER: Final = float("inf")
NORMAL_PRIORITY: Final = 4
_PAIR: Final = 200  # octets that a user property takes beside its text


@mypyc_attr(acyclic=True)
class Origin:
    """Who sent a message, over which protocol, whether that was proven, and from which address ("": not known). `tags`
    are its data tags ("NAME=VALUE"): only who has clearance for each of them may receive it.

    One object per connection of a session: a subscription asks by identity whether a message is its own (No Local).
    """

    def __init__(
        self,
        principal: str,
        protocol: str,
        verified: bool,
        client_id: str = "",
        address: str = "",
        tags: tuple[str, ...] = (),
    ) -> None:
        self.principal: Final = principal
        self.protocol: Final = protocol
        self.verified: Final = verified
        self.client_id: Final = client_id
        self.address: Final = address
        self.tags: Final = tags

    def is_from(self, other: Origin) -> bool:
        """Whether it is the same client's, also of an earlier connection or run."""
        return self is other or (self.principal == other.principal and self.client_id == other.client_id)


@mypyc_attr(acyclic=True)
class Native:
    """A message as the protocol of its sender had it, for receivers that speak the same: what MessageProperties have no
    place for. `form` says which ("amqp-1.0", "amqp-0-9-1") and what `octets` are is that protocol's own affair."""

    def __init__(self, form: str, octets: bytes) -> None:
        self.form: Final = form
        self.octets: Final = octets


@mypyc_attr(acyclic=True)
class MessageProperties:
    """What may travel with a payload. `user_properties` keep their order and duplicates. `priority` is that of AMQP 1.0
    (part 3, section 3.2.1), 0 to 255: queues with priorities look at it. `transient`: the sender says that it need not
    outlive a crash (the same section: not durable). Receivers are told; what is acknowledged is kept all the same."""

    def __init__(
        self,
        content_type: str | None = None,
        is_text: bool = False,
        response_topic: str | None = None,
        correlation_data: bytes | None = None,
        user_properties: tuple[tuple[str, str], ...] = (),
        priority: int = NORMAL_PRIORITY,
        native: Native | None = None,
        transient: bool = False,
    ) -> None:
        self.content_type: Final = content_type
        self.is_text: Final = is_text
        self.response_topic: Final = response_topic
        self.correlation_data: Final = correlation_data
        self.user_properties: Final = user_properties
        self.priority: Final = priority
        self.native: Final = native
        self.transient: Final = transient

    def weight(self) -> int:
        """As Message.weight."""
        octets = 0
        for text in (self.content_type, self.response_topic):
            if text is not None:
                octets += len(text)
        if self.correlation_data is not None:
            octets += len(self.correlation_data)
        for name, value in self.user_properties:
            octets += len(name) + len(value) + _PAIR
        if self.native is not None:
            octets += len(self.native.octets)
        return octets


NO_PROPERTIES: Final = MessageProperties()
NOT_DURABLE: Final = MessageProperties(transient=True)  # and nothing else


@mypyc_attr(acyclic=True)
class Message:
    """An Application Message. `expires_at` is in seconds since the epoch. A value, but for two memos: a
    protocol's encoder keeps in `encoded` the form that it made, so that it is made once for many receivers,
    and the journal keeps its own in `record`. A protocol may derive from it to keep the octets that came in.
    """

    def __init__(
        self,
        topic: str,
        payload: bytes,
        qos: int,
        retain: bool,
        origin: Origin,
        properties: MessageProperties = NO_PROPERTIES,
        expires_at: float = NEVER,
    ) -> None:
        self.topic: Final = topic
        self._payload: Final = payload
        self.qos: Final = qos
        self.retain: Final = retain
        self.origin: Final = origin
        self.properties: Final = properties
        self.expires_at: Final = expires_at
        self.encoded: object | None = None
        self.record: bytes | None = None

    @property
    def payload(self) -> bytes:
        return self._payload

    @property
    def payload_length(self) -> int:
        """In octets."""
        return len(self._payload)

    @property
    def weight(self) -> int:
        """About what it takes in memory, in octets: the ceilings of queues and retained messages count this."""
        return len(self._payload) + len(self.topic) + self.properties.weight()
