"""An MQTT client on the project's own codec: a pure machine, and the thin asynchronous part around it."""
