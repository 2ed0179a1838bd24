"""CDR octets <-> values, by the description of a type (DDS-XTypes 1.3 section 7.4)."""
