"""What a client may say of a topic (draft-ietf-core-coap-pubsub-21 sections 2.2.1, 2.4.3, 2.5.3 and 2.5.4)."""

from __future__ import annotations

from typing import Final

from bridgehead.core.errors import Refusal
from bridgehead.core.topic import check_topic_name, has_more_levels, is_reserved
from bridgehead.protocols.coap.codec.codes import BAD_REQUEST
from bridgehead.protocols.coap.codec.topic_properties import (
    EXPIRATION_DATE,
    IMMUTABLE,
    INITIALIZE,
    NAMES,
    OBSERVER_CHECK,
    RESOURCE_TYPE,
    TOPIC_CONTENT_FORMAT,
    TOPIC_DATA,
    TOPIC_NAME,
    TOPIC_TYPE,
    Properties,
)
from bridgehead.protocols.coap.mapping import has_path
from bridgehead.protocols.coap.session.pubsub.catalogue import DATA_PATH
from bridgehead.wire.errors import Violation

_SEGMENT: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")
_LONGEST_SEGMENT: Final = 64
_LONGEST_TYPE: Final = 255
_LONGEST_URI: Final = 1024
_CONTENT_FORMATS: Final = 65536  # RFC 7252 section 12.3


def check_new(properties: Properties, levels: int, now: float) -> None:
    """The properties of a topic to be created. Raises Violation with the Response Code. `levels`: at most so many has
    a topic of the hub."""
    for which in (TOPIC_NAME, RESOURCE_TYPE):
        if which not in properties:
            raise bad(f"{NAMES[which]} is missing: a topic cannot be created without it")
    name = str(properties[TOPIC_NAME])
    if has_more_levels(name, levels):
        raise bad(f"the topic-name has more than {levels} levels")
    try:
        check_topic_name(name)
    except Refusal as refusal:
        raise bad(f"the topic-name is to be a topic of the hub: {refusal.because}") from None
    if not has_path(name):
        raise bad("a level of the topic-name is too long, or it is . or ..: no path in CoAP has such a segment")
    if is_reserved(name):
        raise bad("topic-names that begin with $ are the hub's own: choose another")
    data = properties.get(TOPIC_DATA)
    if data is not None:
        _check_data(str(data), INITIALIZE in properties)
    check_values(properties, now)


def _check_data(uri: str, initialize: bool) -> None:
    """The URI of the topic-data resource that the client has chosen: elsewhere, or a free one here."""
    if len(uri) > _LONGEST_URI:
        raise bad(f"topic-data has more than {_LONGEST_URI} characters")
    if uri.startswith(DATA_PATH):
        segment = uri[len(DATA_PATH) :]
        if not 0 < len(segment) <= _LONGEST_SEGMENT or not _SEGMENT.issuperset(segment) or set(segment) == {"."}:
            raise bad(f"after {DATA_PATH} one segment of letters, digits and -._~ follows")
        return
    scheme, separator, rest = uri.partition("://")
    if not separator or not rest or not scheme.isascii() or not scheme.replace("+", "").isalnum():
        raise bad(f"topic-data is to be a URI with its scheme, or {DATA_PATH} and one segment: or leave it out")
    if initialize:
        raise bad("initialize is for topic-data that this hub hosts: leave one of both out")


def check_values(properties: Properties, now: float) -> None:
    """Those that may change too."""
    if properties.get(OBSERVER_CHECK) == 0:
        raise bad("observer-check is to be greater than 0")
    content_format = properties.get(TOPIC_CONTENT_FORMAT)
    if isinstance(content_format, int) and content_format >= _CONTENT_FORMATS:
        raise bad("topic-content-format is to be a Content-Format: a number below 65536")
    for which in (RESOURCE_TYPE, TOPIC_TYPE):
        text = properties.get(which)
        if isinstance(text, str) and not 0 < len(text.encode()) <= _LONGEST_TYPE:
            raise bad(f"{NAMES[which]} is to have 1 to {_LONGEST_TYPE} octets")
    resource_type = str(properties.get(RESOURCE_TYPE, ""))
    if not resource_type.isprintable() or " " in resource_type or '"' in resource_type or "\\" in resource_type:
        raise bad("resource-type is to be one resource type, as it stands in a link")
    if INITIALIZE in properties and content_format is None:
        raise bad("initialize needs topic-content-format beside it")
    if properties.get(INITIALIZE) == b"":
        raise bad("initialize is to have one octet at least: the hub keeps no empty value")
    expires_at = properties.get(EXPIRATION_DATE)
    if isinstance(expires_at, (int, float)) and expires_at <= now:
        raise bad("the expiration-date has passed already: choose a later one")


def replaced(current: Properties, wanted: Properties) -> Properties:
    """POST: all that may change comes from the request, what is not there is as by default (section 2.5.3)."""
    result: Properties = {which: current[which] for which in IMMUTABLE if which in current}
    return _changed(result, current, wanted)


def amended(current: Properties, wanted: Properties) -> Properties:
    """iPATCH: what the request does not name stays as it is (section 2.5.4)."""
    return _changed(dict(current), current, wanted)


def _changed(result: Properties, current: Properties, wanted: Properties) -> Properties:
    for which, value in wanted.items():
        if which in IMMUTABLE and current.get(which) != value:
            raise bad(f"{NAMES[which]} cannot be changed: delete the topic and create another")
        result[which] = value
    return result


def bad(because: str) -> Violation:
    return Violation(because, BAD_REQUEST)
