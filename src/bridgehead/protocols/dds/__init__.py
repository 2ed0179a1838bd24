"""DDS: a participant of the hub per domain; samples become messages, and messages samples."""
