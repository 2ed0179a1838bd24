"""AMQP on the hub: 1.0 and 0-9-1 on one port."""
