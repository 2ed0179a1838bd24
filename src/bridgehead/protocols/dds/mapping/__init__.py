"""Samples <-> the canonical message: JSON, names, quality of service."""
