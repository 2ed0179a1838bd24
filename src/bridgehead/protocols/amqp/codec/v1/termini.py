"""The ends of a link: Source, Target (3.5) and the Coordinator of transactions (4.5.1)."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.amqp.codec.v1.composites import COORDINATOR, NONE, SOURCE, TARGET, Composite
from bridgehead.protocols.amqp.codec.v1.types import Symbol


class Source(Composite):
    """3.5.3. `timeout` is in seconds."""

    def __init__(
        self,
        address: object = None,
        durable: int = NONE,
        expiry_policy: str = "session-end",
        timeout: int = 0,
        dynamic: bool = False,
        dynamic_node_properties: dict[object, object] | None = None,
        distribution_mode: str | None = None,
        filter: dict[object, object] | None = None,  # noqa: A002, the standard's name
        default_outcome: object = None,
        outcomes: list[Symbol] | None = None,
        capabilities: list[Symbol] | None = None,
    ) -> None:
        super().__init__(SOURCE)
        self.address: Final = address
        self.durable: Final = durable
        self.expiry_policy: Final = expiry_policy
        self.timeout: Final = timeout
        self.dynamic: Final = dynamic
        self.dynamic_node_properties: Final = dynamic_node_properties
        self.distribution_mode: Final = distribution_mode
        self.filter: Final = filter
        self.default_outcome: Final = default_outcome
        self.outcomes: Final[list[Symbol]] = outcomes or []
        self.capabilities: Final[list[Symbol]] = capabilities or []

    def content(self) -> dict[str, object]:
        return {
            "address": self.address,
            "durable": self.durable,
            "expiry_policy": self.expiry_policy,
            "timeout": self.timeout,
            "dynamic": self.dynamic,
            "dynamic_node_properties": self.dynamic_node_properties,
            "distribution_mode": self.distribution_mode,
            "filter": self.filter,
            "default_outcome": self.default_outcome,
            "outcomes": self.outcomes,
            "capabilities": self.capabilities,
        }


class Target(Composite):
    """3.5.4. `timeout` is in seconds."""

    def __init__(
        self,
        address: object = None,
        durable: int = NONE,
        expiry_policy: str = "session-end",
        timeout: int = 0,
        dynamic: bool = False,
        dynamic_node_properties: dict[object, object] | None = None,
        capabilities: list[Symbol] | None = None,
    ) -> None:
        super().__init__(TARGET)
        self.address: Final = address
        self.durable: Final = durable
        self.expiry_policy: Final = expiry_policy
        self.timeout: Final = timeout
        self.dynamic: Final = dynamic
        self.dynamic_node_properties: Final = dynamic_node_properties
        self.capabilities: Final[list[Symbol]] = capabilities or []

    def content(self) -> dict[str, object]:
        return {
            "address": self.address,
            "durable": self.durable,
            "expiry_policy": self.expiry_policy,
            "timeout": self.timeout,
            "dynamic": self.dynamic,
            "dynamic_node_properties": self.dynamic_node_properties,
            "capabilities": self.capabilities,
        }


class Coordinator(Composite):
    """4.5.1: the target of the link that controls transactions."""

    def __init__(self, capabilities: list[Symbol] | None = None) -> None:
        super().__init__(COORDINATOR)
        self.capabilities: Final[list[Symbol]] = capabilities or []

    def content(self) -> dict[str, object]:
        return {"capabilities": self.capabilities}
