"""Days and hours, as bridgehead.security.hours has them."""

from bridgehead.security.hours import Hours

__all__ = ["Hours"]
