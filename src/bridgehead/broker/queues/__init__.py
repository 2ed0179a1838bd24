"""Queues: messages that one of several consumers takes."""
