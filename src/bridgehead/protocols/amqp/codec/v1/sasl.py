"""The frames of the SASL layer (5.3.3). Their octets are secrets: no repr shows them."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.amqp.codec.v1.composites import (
    SASL_CHALLENGE,
    SASL_INIT,
    SASL_MECHANISMS,
    SASL_OUTCOME,
    SASL_RESPONSE,
    Performative,
)
from bridgehead.protocols.amqp.codec.v1.types import Symbol


class SaslMechanisms(Performative):
    """5.3.3.1"""

    def __init__(self, sasl_server_mechanisms: list[Symbol]) -> None:
        super().__init__(SASL_MECHANISMS)
        self.sasl_server_mechanisms: Final = sasl_server_mechanisms

    def content(self) -> dict[str, object]:
        return {"sasl_server_mechanisms": self.sasl_server_mechanisms}


class SaslInit(Performative):
    """5.3.3.2"""

    def __init__(self, mechanism: str, initial_response: bytes | None = None, hostname: str | None = None) -> None:
        super().__init__(SASL_INIT)
        self.mechanism: Final = mechanism
        self.initial_response: Final = initial_response
        self.hostname: Final = hostname

    def content(self) -> dict[str, object]:
        return {
            "mechanism": self.mechanism,
            "initial_response": self.initial_response,
            "hostname": self.hostname,
        }


class SaslChallenge(Performative):
    """5.3.3.3"""

    def __init__(self, challenge: bytes) -> None:
        super().__init__(SASL_CHALLENGE)
        self.challenge: Final = challenge

    def content(self) -> dict[str, object]:
        return {"challenge": self.challenge}


class SaslResponse(Performative):
    """5.3.3.4"""

    def __init__(self, response: bytes) -> None:
        super().__init__(SASL_RESPONSE)
        self.response: Final = response

    def content(self) -> dict[str, object]:
        return {"response": self.response}


class SaslOutcome(Performative):
    """5.3.3.5. `outcome` is a code of 5.3.3.6: SASL_OK, SASL_AUTH, ... (the standard's field `code`)."""

    def __init__(self, outcome: int, additional_data: bytes | None = None) -> None:
        super().__init__(SASL_OUTCOME)
        self.outcome: Final = outcome
        self.additional_data: Final = additional_data

    def content(self) -> dict[str, object]:
        return {"outcome": self.outcome, "additional_data": self.additional_data}
