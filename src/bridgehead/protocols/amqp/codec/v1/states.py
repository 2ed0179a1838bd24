"""Delivery states and outcomes (3.4), and what a transaction is declared and ended with (4.5)."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.amqp.codec.v1.composites import (
    ACCEPTED_CODE,
    DECLARE,
    DECLARED,
    DISCHARGE,
    MODIFIED,
    RECEIVED,
    REJECTED,
    RELEASED_CODE,
    TRANSACTIONAL_STATE,
    Composite,
    DeliveryState,
    Error,
    Outcome,
)


class Received(DeliveryState):
    """3.4.1: how much of a delivery has arrived."""

    def __init__(self, section_number: int, section_offset: int) -> None:
        super().__init__(RECEIVED)
        self.section_number: Final = section_number
        self.section_offset: Final = section_offset

    def content(self) -> dict[str, object]:
        return {"section_number": self.section_number, "section_offset": self.section_offset}


class Accepted(Outcome):
    """3.4.2. The decoder gives ACCEPTED, always."""

    def __init__(self) -> None:
        super().__init__(ACCEPTED_CODE)


class Rejected(Outcome):
    """3.4.3"""

    def __init__(self, error: Error | None = None) -> None:
        super().__init__(REJECTED)
        self.error: Final = error

    def content(self) -> dict[str, object]:
        return {"error": self.error}


class Released(Outcome):
    """3.4.4. The decoder gives RELEASED, always."""

    def __init__(self) -> None:
        super().__init__(RELEASED_CODE)


class Modified(Outcome):
    """3.4.5"""

    def __init__(
        self,
        delivery_failed: bool = False,
        undeliverable_here: bool = False,
        message_annotations: dict[object, object] | None = None,
    ) -> None:
        super().__init__(MODIFIED)
        self.delivery_failed: Final = delivery_failed
        self.undeliverable_here: Final = undeliverable_here
        self.message_annotations: Final = message_annotations

    def content(self) -> dict[str, object]:
        return {
            "delivery_failed": self.delivery_failed,
            "undeliverable_here": self.undeliverable_here,
            "message_annotations": self.message_annotations,
        }


class Declared(Outcome):
    """4.5.5: the outcome of a Declare."""

    def __init__(self, txn_id: bytes) -> None:
        super().__init__(DECLARED)
        self.txn_id: Final = txn_id

    def content(self) -> dict[str, object]:
        return {"txn_id": self.txn_id}


class TransactionalState(DeliveryState):
    """4.5.6: a transfer or an outcome that belongs to a transaction."""

    def __init__(self, txn_id: bytes, outcome: DeliveryState | None = None) -> None:
        super().__init__(TRANSACTIONAL_STATE)
        self.txn_id: Final = txn_id
        self.outcome: Final = outcome

    def content(self) -> dict[str, object]:
        return {"txn_id": self.txn_id, "outcome": self.outcome}


class Declare(Composite):
    """4.5.2: the body of a message to the coordinator that begins a transaction."""

    def __init__(self, global_id: object = None) -> None:
        super().__init__(DECLARE)
        self.global_id: Final = global_id

    def content(self) -> dict[str, object]:
        return {"global_id": self.global_id}


class Discharge(Composite):
    """4.5.3: the body of a message to the coordinator that ends a transaction."""

    def __init__(self, txn_id: bytes, fail: bool = False) -> None:
        super().__init__(DISCHARGE)
        self.txn_id: Final = txn_id
        self.fail: Final = fail

    def content(self) -> dict[str, object]:
        return {"txn_id": self.txn_id, "fail": self.fail}


ACCEPTED: Final = Accepted()
RELEASED: Final = Released()
