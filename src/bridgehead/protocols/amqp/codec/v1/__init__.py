"""AMQP 1.0: types, frames, performatives, sections."""
