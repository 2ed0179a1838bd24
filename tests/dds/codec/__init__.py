"""CDR of DDS: against the binding's own serialiser, by hand, and with hostile octets."""
