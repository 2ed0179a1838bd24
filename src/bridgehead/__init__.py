"""Bridgehead: one secure hub for MQTT, CoAP, AMQP and DDS."""

__version__ = "0.1.0"
