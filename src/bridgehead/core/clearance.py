"""Data tags: who may receive what bears them, and who may send so. For the policy a tag is the topic `$TAG/NAME/VALUE`.

DDS Security 1.1 section 8.7 asks an implementation for a plug-in that tags what writers send. Clearance is asked here
for all protocols, wherever a message leaves.
"""

from __future__ import annotations

from typing import Final

from bridgehead.core.message import Origin
from bridgehead.core.permission import MAYBE
from bridgehead.core.policy import Decision, Principal

TAGS: Final = "$TAG/"


def tag_topic(tag: str) -> str:
    """Of "NAME=VALUE", the policy's name."""
    return TAGS + tag.replace("=", "/", 1)


def is_cleared(principal: Principal, tags: tuple[str, ...]) -> bool:
    """Whether the principal may receive what bears these tags: it needs a right to subscribe for each."""
    return missing_clearance(principal, tags) == ""


def missing_clearance(principal: Principal, tags: tuple[str, ...]) -> str:
    """The first tag whose topic the principal may not receive, "" when it may all."""
    for tag in tags:
        if principal.receivable_qos(tag_topic(tag), True) < 0:
            return tag
    return ""


def forbidden_tag(principal: Principal, tags: tuple[str, ...], verified: bool) -> str:
    """The first tag that the principal may not give its messages, "" when it may all. Rates and quotas count messages,
    not their tags."""
    for tag in tags:
        topic = tag_topic(tag)
        mask = principal.publish_mask(topic)
        if not mask & 1 and not (mask >> MAYBE & 1 and explain_tagging(principal, tag, verified).permit):
            return tag
    return ""


def explain_tagging(principal: Principal, tag: str, verified: bool, thorough: bool = False) -> Decision:
    """As `forbidden_tag`, of one."""
    return principal.explain_publish(tag_topic(tag), 0, False, verified=verified, thorough=thorough)


def explain_clearance(principal: Principal, tag: str, thorough: bool = False) -> Decision:
    """As `missing_clearance`, of one."""
    return principal.explain_receive(tag_topic(tag), True, thorough)


def because_of(tag: str, decision: Decision) -> str:
    """The sentence for a message that a tag decides."""
    return f"it bears the data tag {tag}: {decision.because}"


def may_see(principal: Principal, origin: Origin, verified_only: bool) -> bool:
    """Whether one that takes messages of a queue may take what came from there."""
    if verified_only and not origin.verified:
        return False
    return not origin.tags or is_cleared(principal, origin.tags)
