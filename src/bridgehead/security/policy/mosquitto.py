"""Mosquitto's access control list and password file, as its manual and mosquitto.conf(5) describe them.

In Mosquitto a user's own lines are looked at before the patterns, denials first among each. Here a denial overrides
all, so a pattern's denial also holds where a user's line allows.
"""

from __future__ import annotations

from typing import Final

from bridgehead.security.login import mosquitto_hash
from bridgehead.security.policy.moving import Moving, any_name, lines_of

PATTERNS: Final = "mosquitto-patterns"  # the role that has the patterns
_ACCESS: Final = {"read": (False, True), "write": (True, False), "readwrite": (True, True), "deny": (True, True)}
_DEVICE: Final = "${device}"


def read_acl(moving: Moving, text: str, file: str) -> None:
    """Takes the file over; all that it cannot is remarked. Errors: NotAcceptable."""
    user: str | None = None
    usable = False
    patterns_deny = False
    for number, line in enumerate(lines_of(text), 1):
        stripped = line.strip(" \t")
        if not stripped or stripped.startswith("#"):
            continue
        word, _, rest = stripped.partition(" ")
        rest = rest.strip(" ")
        if word == "user" and rest:
            user = rest
            usable = moving.is_usable(user, "device", file, number)
            if usable:
                moving.account(user)
        elif word in ("topic", "pattern") and rest:
            topic_filter, publish, subscribe, allow = _statement(moving, rest, file, number)
            if not topic_filter:
                continue
            if word == "pattern":
                _pattern(moving, topic_filter, publish, subscribe, allow, file, number)
                patterns_deny = patterns_deny or not allow
            elif user is None:
                moving.remark(
                    file, number, "left out", f"{topic_filter!r} is for clients without a name: nobody connects so here"
                )
            elif usable:
                found = moving.permission(topic_filter, publish, subscribe, allow, file, number)
                moving.account(user).permissions += found
        else:
            moving.remark(file, number, "left out", f"the line {stripped[:80]!r} is none that Mosquitto knows")
    if patterns_deny:
        moving.remark(file, 0, "narrower", "a denying pattern here overrides what a user's own lines allow too")


def _statement(moving: Moving, rest: str, file: str, number: int) -> tuple[str, bool, bool, bool]:
    """(filter, publish, subscribe, allow); an empty filter when it is none."""
    first, _, after = rest.partition(" ")
    after = after.strip(" ")
    if not after:
        return first, True, True, True
    if first not in _ACCESS:
        moving.remark(file, number, "left out", f"{first!r} is no access: read, write, readwrite or deny")
        return "", False, False, False
    publish, subscribe = _ACCESS[first]
    return after, publish, subscribe, first != "deny"


def _pattern(moving: Moving, pattern: str, publish: bool, subscribe: bool, allow: bool, file: str, number: int) -> None:
    if "${" in pattern:
        moving.permission(pattern, publish, subscribe, allow, file, number)
        return
    topic_filter = pattern.replace("%u", _DEVICE)
    if "%c" in topic_filter:
        if not allow:
            # Which client identifiers a device will use is not known: all of them.
            topic_filter = any_name(topic_filter, lambda level: "%c" in level, file, number)
            moving.remark(file, number, "narrower", f"%c in a denial stands for any: {topic_filter!r} is denied")
        else:
            topic_filter = topic_filter.replace("%c", _DEVICE)
            moving.remark(file, number, "narrower", "%c stands for the device's name, not for any client identifier")
    found = moving.permission(topic_filter, publish, subscribe, allow, file, number, placeholders=True)
    moving.role_permissions.setdefault(PATTERNS, []).extend(found)


def read_passwords(moving: Moving, text: str, file: str) -> None:
    """Takes the users over, with the hashes that they have."""
    for number, line in enumerate(lines_of(text), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, encoded = line.strip().partition(":")
        if not colon or not encoded:
            moving.remark(file, number, "left out", "the line is not NAME:HASH")
        elif not mosquitto_hash.is_mosquittos(encoded):
            # Perhaps the password itself: it is not repeated here.
            moving.remark(file, number, "left out", f"{name[:64]!r} has no hash: run `mosquitto_passwd -U` on the file")
        elif not mosquitto_hash.is_readable(encoded):
            moving.remark(file, number, "left out", f"the hash of {name[:64]!r} cannot be read")
        elif moving.is_usable(name, "device", file, number):
            moving.account(name).encoded = encoded


def give_patterns(moving: Moving) -> None:
    """Patterns hold for every user."""
    if PATTERNS in moving.role_permissions:
        for account in moving.accounts.values():
            account.roles.append(PATTERNS)
