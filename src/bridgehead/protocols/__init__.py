"""Equal floors, one per protocol, that do not know each other."""
