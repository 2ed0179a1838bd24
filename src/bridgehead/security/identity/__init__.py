"""Whole acts on identities."""
