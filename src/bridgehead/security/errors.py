"""What the security room says when it cannot do what it was asked: one sentence, with the remedy, never a secret."""

from __future__ import annotations


class SecurityError(Exception):
    """The folder, a file, the certificate authority or the identity database cannot be used as it is."""


class NotAcceptable(SecurityError):
    """What was asked for cannot be accepted (a name, a filter, a duplicate, something unknown). Nothing was changed."""
