"""Tests of the MQTT floor."""
