"""The state machines of AMQP connections. Pure."""
