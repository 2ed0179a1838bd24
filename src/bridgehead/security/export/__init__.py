"""Bundles for devices: everything that one kind of client needs, ready to use, in a folder."""
