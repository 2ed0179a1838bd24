"""Composition root: configuration, start, stop, reload."""
