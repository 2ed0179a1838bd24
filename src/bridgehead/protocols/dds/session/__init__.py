"""Routes: what of a DDS topic enters the hub, and what leaves it there."""
