"""The policy as people write it: its text, what follows from it, how two of them differ, how one comes into force."""
