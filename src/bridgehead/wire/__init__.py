"""Bytes without meaning. Pure."""
