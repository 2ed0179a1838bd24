"""AMQP 0-9-1: connection, channels, exchanges, consumers."""
