"""One registration, and its form as a retained message of the hub: `$COAP/rd/<sector>/<endpoint name>`.

The message is a link-format document: the link of the registration with the endpoint's attributes, then the links that
were registered, as they were. It is published as whoever registers, so permissions of its topic decide, a revoked
identity's registrations go with its other retained messages, and its expiry is the registration's lifetime.
"""

from __future__ import annotations

import hashlib
from typing import Final

from bridgehead.core import message as core
from bridgehead.core.message import MessageProperties, Origin
from bridgehead.protocols.coap.codec.link_format import Attribute, Link, parse_links, write_links
from bridgehead.protocols.coap.session.directory.parameters import DEFAULT_LIFETIME, bad, check_name
from bridgehead.protocols.coap.session.directory.references import check_base, check_reference, resolve
from bridgehead.wire.errors import PeerError

ROOT: Final = "$COAP/rd/"
FILTER: Final = ROOT + "+/+"
MEDIA_TYPE: Final = "application/link-format"
RESOURCE_TYPE: Final = "core.rd-ep"

_BASE: Final = "base"
_IMPLICIT: Final = "implicit"
_IDENTIFIER: Final = 16  # characters
# Of a level: a slash would end it, and the others mean something in Topic Filters and policies.
_QUOTED: Final = "%/+#$\x00"
_OWN: Final = frozenset(["ep", "d", "base", "rt", "lt"])


def topic_of(d: str, ep: str) -> str:
    """The topic of a sector's endpoint; no two have the same. "" stands for no sector."""
    return f"{ROOT}{quoted(d)}/{quoted(ep)}"


def quoted(name: str) -> str:
    """As one level of a topic."""
    for character in _QUOTED:
        name = name.replace(character, f"%{ord(character):02X}")
    return name


def identifier_of(topic: str) -> str:
    """The last segment of the registration's path: the same whenever the endpoint registers (section 5)."""
    return hashlib.sha256(topic.encode("utf-8", "surrogatepass")).hexdigest()[:_IDENTIFIER]


class Registration:
    """`base` is implicit where the request's address gave it. `attributes` are the endpoint's own, `links` as they were
    registered. `message` is the record that says so: the registration is there as long as it is."""

    def __init__(
        self,
        ep: str,
        d: str,
        base: str,
        is_implicit: bool,
        lifetime: int,
        attributes: tuple[Attribute, ...],
        links: list[Link],
    ) -> None:
        self.ep: Final = ep
        self.d: Final = d
        self.base: Final = base
        self.is_implicit: Final = is_implicit
        self.lifetime: Final = lifetime
        self.attributes: Final = attributes
        self.links: Final = links
        self.topic: Final = topic_of(d, ep)
        self.identifier: Final = identifier_of(self.topic)
        self.message: core.Message | None = None
        self._link: Link | None = None
        self._resolved: list[Link] | None = None

    @property
    def path(self) -> str:
        return f"/rd/{self.identifier}"

    def link(self) -> Link:
        """As a look-up of endpoints shows it (section 6.4)."""
        if self._link is not None:
            return self._link
        attributes: list[Attribute] = [("ep", self.ep), ("base", self.base)]
        if self.d:
            attributes.append(("d", self.d))
        attributes.append(("rt", RESOURCE_TYPE))
        self._link = Link(self.path, (*attributes, *self.attributes))
        return self._link

    def resolved(self) -> list[Link]:
        """Its links as a look-up of resources shows them (section 6.1)."""
        if self._resolved is None:
            self._resolved = [_resolved(link, self.base) for link in self.links]
        return self._resolved

    def to_message(self, origin: Origin, qos: int, now: float) -> core.Message:
        """The record, of which this is the reading. `now` in seconds since the epoch."""
        own = self.link()
        document = [Link(own.target, (*own.attributes, ("lt", str(self.lifetime)))), *self.links]
        pairs = ((_BASE, _IMPLICIT),) if self.is_implicit else ()
        described = MessageProperties(content_type=MEDIA_TYPE, is_text=True, user_properties=pairs)
        payload = write_links(document).encode()
        message = core.Message(self.topic, payload, qos, True, origin, described, now + self.lifetime)
        self.message = message
        return message


def _resolved(link: Link, base: str) -> Link:
    attributes = tuple(
        [(name, resolve(base, value) if name == "anchor" and value else value) for name, value in link.attributes]
    )
    return Link(resolve(base, link.target), attributes)


def check_links(links: list[Link], most: int) -> None:
    """Limited Link Format (appendix C). Raises Violation."""
    if len(links) > most:
        raise bad(f"a registration has {most} links at most")
    for link in links:
        check_reference(link.target, "target")
        for name, value in link.attributes:
            if name == "anchor" and value:
                check_reference(value, "anchor")


def from_message(message: core.Message, most: int) -> Registration | None:
    """None: it is no registration. Whoever may publish there may register in this way too, over any protocol."""
    try:
        document = parse_links(message.payload)
        if not document or document[0].first("rt") != RESOURCE_TYPE:
            return None
        own = document[0]
        ep, d, base = own.first("ep") or "", own.first("d") or "", own.first("base") or ""
        check_name("ep", ep)
        if d:
            check_name("d", d)
        check_base(base)
        check_links(document[1:], most)
    except PeerError:
        return None
    lifetime = own.first("lt") or ""
    attributes = tuple([attribute for attribute in own.attributes if attribute[0] not in _OWN])
    registration = Registration(
        ep,
        d,
        base,
        (_BASE, _IMPLICIT) in message.properties.user_properties,
        int(lifetime) if lifetime.isascii() and lifetime.isdigit() and len(lifetime) <= 10 else DEFAULT_LIFETIME,
        attributes,
        document[1:],
    )
    if registration.topic != message.topic:
        return None  # nobody registers another than the topic says, of which the permissions decide
    registration.message = message
    return registration
