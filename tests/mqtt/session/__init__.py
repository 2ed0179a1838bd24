"""Dialogues with the whole hub, by subject: given this packet, expect that packet."""
