"""AMQP 1.0: connection, sessions, links and their nodes."""
