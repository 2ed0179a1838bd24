"""The same hub as that of tests/amqp/whole."""

from __future__ import annotations

from tests.amqp.whole.conftest import office

__all__ = ["office"]
