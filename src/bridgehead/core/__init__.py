"""Nouns and rules of publish/subscribe. Pure: no I/O, no clock, no random numbers, no logging."""
