"""The state machine of one MQTT Network Connection. Pure."""
