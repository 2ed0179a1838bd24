"""docs/events.md names every event, with its level and kind."""

from __future__ import annotations

from tests.audit.events_table import BEGIN, PAGE, table


def test_the_page_is_what_the_code_says() -> None:
    """Else: python -m tests.audit.events_table"""
    assert PAGE.read_text().partition(BEGIN)[2].strip() == table().strip()
