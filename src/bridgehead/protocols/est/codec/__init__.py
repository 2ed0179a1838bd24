"""EST's bodies, targets and credentials as octets."""
