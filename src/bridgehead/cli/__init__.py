"""What people touch: the `bridgehead` command."""
