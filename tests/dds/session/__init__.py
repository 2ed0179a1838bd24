"""Routes between DDS and the hub, by dialogue on a virtual clock."""
