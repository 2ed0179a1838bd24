"""Stores behind the port of broker/ports.py."""
