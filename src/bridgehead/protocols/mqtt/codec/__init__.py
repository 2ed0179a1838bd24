"""Octets to packet values and back. Pure."""
