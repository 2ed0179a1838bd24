"""Bridgehead: a secure hub for MQTT, in a house that CoAP, AMQP and DDS will share."""

__version__ = "0.1.0"
