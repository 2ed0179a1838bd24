"""The verbs: the only owner of core state. Synchronous: time and completions come in as calls."""
