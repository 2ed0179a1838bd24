"""DDS Security 1.1 for devices: their identity, the governance of a domain, signed permissions."""
