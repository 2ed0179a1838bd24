"""From records to what the core enforces."""
