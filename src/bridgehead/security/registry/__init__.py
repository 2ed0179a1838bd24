"""The identity database: records and what they are found by."""
