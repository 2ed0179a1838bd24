"""DDS Security between real participants, each a process of its own."""
