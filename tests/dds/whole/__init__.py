"""Whole parts of DDS: the rim with real peers."""
