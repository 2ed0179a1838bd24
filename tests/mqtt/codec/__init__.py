"""Tests of the MQTT codec: tables of octets, properties of the round trip, faults by clause."""
