"""Other DDS implementations as processes, and the hub as another."""
