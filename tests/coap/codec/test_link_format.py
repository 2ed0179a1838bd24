"""Link format, content formats: RFC 6690, RFC 7252 section 12.3."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.protocols.coap.codec.content_formats import MEDIA_TYPES, content_format, media_type
from bridgehead.protocols.coap.codec.link_format import (
    MOST_LINKS,
    Link,
    filtered,
    matches,
    parse_links,
    write_links,
)
from bridgehead.wire.errors import Malformed, PeerError

# RFC 6690 section 5, with a line break after each comma as the text has it.
EXAMPLE = (
    b'</sensors>;ct=40;title="Sensor Index",\r\n'
    b'</sensors/temp>;rt="temperature-c";if="sensor",\r\n'
    b'</sensors/light>;rt="light-lux core.sen-light";if="sensor",\r\n'
    b'<http://www.example.com/sensors/t123>;anchor="/sensors/temp";rel="describedby",\r\n'
    b'</t>;anchor="/sensors/temp";rel="alternate";obs'
)


@pytest.mark.clause("RFC6690-2")
def test_the_example_of_the_standard() -> None:
    links = parse_links(EXAMPLE)
    assert [link.target for link in links] == [
        "/sensors",
        "/sensors/temp",
        "/sensors/light",
        "http://www.example.com/sensors/t123",
        "/t",
    ]
    assert links[0].attributes == (("ct", "40"), ("title", "Sensor Index"))
    assert (links[4].first("obs"), links[4].first("ct")) == ("", None)
    assert write_links(links) == EXAMPLE.decode().replace("\r\n", "")


@pytest.mark.clause("RFC6690-4.1")
@pytest.mark.parametrize(
    ("query", "targets"),
    [
        ("rt=temperature-c", ["/sensors/temp"]),
        ("rt=light-lux", ["/sensors/light"]),
        ("rt=core.sen*", ["/sensors/light"]),
        ("rt=light-lux core.sen-light", ["/sensors/light"]),
        ("rt=*", ["/sensors/temp", "/sensors/light"]),
        ("rt", ["/sensors/temp", "/sensors/light"]),
        ("if=sensor", ["/sensors/temp", "/sensors/light"]),
        ("href=/sensors", ["/sensors"]),
        ("href=/sensors*", ["/sensors", "/sensors/temp", "/sensors/light"]),
        ("title=Sensor", []),
        ("title=Sensor*", ["/sensors"]),
        ("ct=40", ["/sensors"]),
        ("obs", ["/t"]),
        ("anchor=/sensors/temp", ["http://www.example.com/sensors/t123", "/t"]),
        ("nothing=1", []),
    ],
)
def test_a_filter_chooses_links(query: str, targets: list[str]) -> None:
    links = parse_links(EXAMPLE)
    assert [link.target for link in filtered(links, [query])] == targets


def test_several_filters_must_all_be_passed() -> None:
    links = parse_links(EXAMPLE)
    assert [link.target for link in filtered(links, ["if=sensor", "rt=light*"])] == ["/sensors/light"]
    assert filtered(links, []) is links


def test_numbers_in_quotes_are_numbers() -> None:
    [link] = parse_links(b'</a>;ct="0 41";sz="5"')
    assert matches(link, "ct=41")
    assert matches(link, "ct=0")
    assert write_links([link]) == '</a>;ct="0 41";sz=5'


@pytest.mark.clause("RFC6690-2")
@given(
    st.lists(
        st.tuples(
            st.text(max_size=20).filter(lambda text: ">" not in text),
            st.lists(
                st.tuples(st.text("abcxyz-*", min_size=1, max_size=5), st.one_of(st.none(), st.text(max_size=20))),
                max_size=4,
            ),
        ),
        max_size=5,
    )
)
def test_what_is_written_is_read_again(parts: list[tuple[str, list[tuple[str, str | None]]]]) -> None:
    links = [Link(target, tuple(attributes)) for target, attributes in parts]
    back = parse_links(write_links(links).encode())
    assert [(link.target, link.attributes) for link in back] == [(link.target, link.attributes) for link in links]


@pytest.mark.clause("RFC6690-2")
@given(st.one_of(st.binary(max_size=40), st.text('<>;,="\\a /', max_size=40).map(str.encode)))
def test_any_octets_are_links_or_a_peer_error(document: bytes) -> None:
    try:
        links = parse_links(document)
    except PeerError:
        return
    assert parse_links(write_links(links).encode()) is not None


@pytest.mark.parametrize(
    ("document", "text"),
    [
        (b"</a", "has no end"),
        (b"a", "'<' is missing"),
        (b"</a>,", "no link follows"),
        (b"</a></b>", "',' is missing"),
        (b"</a>;", "has no name"),
        (b"</a>;rt=", "has no value"),
        (b'</a>;rt="x', "a quoted value has no end"),
        (b'</a>;rt="x\\', "a quoted value has no end"),
        (b"\xff", "not UTF-8"),
        (b",".join([b"<>"] * (MOST_LINKS + 1)), "more than 10000 links"),
        (b"<>" + b";a" * 101, "more than 100 attributes"),
    ],
)
@pytest.mark.clause("RFC6690-2")
def test_what_is_no_link_format(document: bytes, text: str) -> None:
    with pytest.raises(Malformed, match=text):
        parse_links(document)


@pytest.mark.clause("RFC7252-5.10.3")
@pytest.mark.parametrize("number", sorted(MEDIA_TYPES))
def test_a_content_format_is_one_media_type_and_back(number: int) -> None:
    text = media_type(number)
    assert text is not None
    assert content_format(text) == number


@pytest.mark.clause("RFC7252-5.10.3")
@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("text/plain", 0),
        ("Text/Plain;Charset=UTF-8", 0),
        ('text/plain; charset="utf-8"', 0),
        ("text/plain; charset=iso-8859-1", -1),
        ("application/cose; cose-type=cose-sign1", 18),
        ("application/nothing", -1),
        ("", -1),
    ],
)
def test_media_types_as_people_write_them(text: str, number: int) -> None:
    assert content_format(text) == number
    assert media_type(64_999) is None
