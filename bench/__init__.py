"""Measuring Bridgehead beside its peers."""
