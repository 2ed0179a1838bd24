"""AMQP 0-9-1: methods, content headers, frames."""
