"""Entries and consumers by their former address."""

from bridgehead.core.entry import Consumer, Death, Entry

__all__ = ["Consumer", "Death", "Entry"]
