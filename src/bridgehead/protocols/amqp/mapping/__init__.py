"""Addresses, messages and errors of AMQP beside those of the hub. Pure."""
