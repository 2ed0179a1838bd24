"""Tests of the broker: its journal, sessions and deliveries, without any protocol's codec where that is possible."""
