"""Octets of AMQP to values and back. Pure."""
