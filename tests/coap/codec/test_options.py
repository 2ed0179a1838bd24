"""The registry of options, and what a message's options must be: RFC 7252 section 5.4."""

from __future__ import annotations

import pytest

from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.errors import BadOption
from bridgehead.protocols.coap.codec.message import Message
from bridgehead.protocols.coap.codec.options import OPTIONS, check, option_name

KNOWN = frozenset(OPTIONS)


def request(*options: tuple[int, bytes]) -> Message:
    return Message(codes.GET, options, b"", b"t", 1, 7)


@pytest.mark.clause("RFC7252-5.4.1")
def test_an_unrecognised_critical_option_is_a_bad_option() -> None:
    with pytest.raises(BadOption) as caught:
        check(request((65_001, b"")), KNOWN)
    assert (caught.value.number, caught.value.code, caught.value.clause) == (65_001, codes.BAD_OPTION, "RFC7252-5.4.1")
    with pytest.raises(BadOption, match="Q-Block2 is not understood here"):
        check(request((option.Q_BLOCK2, b"")), KNOWN - {option.Q_BLOCK2})


@pytest.mark.clause("RFC7252-5.4.1")
def test_an_unrecognised_elective_option_does_no_harm() -> None:
    message = request((option.URI_PATH, b"t"), (65_000, b"anything"))
    assert check(message, KNOWN) is message


@pytest.mark.clause("RFC7252-5.4.3")
@pytest.mark.parametrize("number", sorted(OPTIONS))
def test_a_length_out_of_range_is_unrecognised(number: int) -> None:
    row = OPTIONS[number]
    for length in (row.minimum, row.maximum):
        message = request((number, b"a" * length))
        assert check(message, KNOWN) is message
    for length in [row.maximum + 1, *([row.minimum - 1] if row.minimum else [])]:
        message = request((number, b"a" * length))
        if option.is_critical(number):
            with pytest.raises(BadOption) as caught:
                check(message, KNOWN)
            assert (caught.value.number, caught.value.clause) == (number, "RFC7252-5.4.3")
            assert caught.value.text.startswith(f"{row.name} has {length} octets")
        else:
            checked = check(message, KNOWN)
            assert checked.options == ()
            assert (checked.code, checked.token, checked.type, checked.message_id) == (codes.GET, b"t", 1, 7)


@pytest.mark.clause("RFC7252-5.4.5")
@pytest.mark.parametrize("number", sorted(OPTIONS))
def test_a_second_instance_is_unrecognised(number: int) -> None:
    row = OPTIONS[number]
    value = b"a" * row.minimum
    message = request((number, value), (number, value))
    if row.repeatable:
        assert check(message, KNOWN) is message
    elif option.is_critical(number):
        with pytest.raises(BadOption, match="more than once") as caught:
            check(message, KNOWN)
        assert caught.value.clause == "RFC7252-5.4.5"
    else:
        assert check(message, KNOWN).options == ((number, value),)


@pytest.mark.clause("RFC7252-3.2")
def test_a_string_is_utf8() -> None:
    message = request((option.URI_PATH, "Büro".encode()))
    assert check(message, KNOWN) is message
    with pytest.raises(BadOption, match="Uri-Path is not UTF-8"):
        check(request((option.URI_PATH, b"\xff")), KNOWN)
    assert check(request((option.LOCATION_PATH, b"\xff"), (option.ACCEPT, b"")), KNOWN).options == (
        (option.ACCEPT, b""),
    )


@pytest.mark.clause("RFC7252-5.4.2")
@pytest.mark.parametrize(
    ("number", "critical", "unsafe", "no_cache_key"),
    [
        # RFC 7252 table 4; Size1 is the one that is no part of the cache key.
        (option.IF_MATCH, True, False, False),
        (option.URI_HOST, True, True, False),
        (option.ETAG, False, False, False),
        (option.IF_NONE_MATCH, True, False, False),
        (option.URI_PORT, True, True, False),
        (option.LOCATION_PATH, False, False, False),
        (option.URI_PATH, True, True, False),
        (option.CONTENT_FORMAT, False, False, False),
        (option.MAX_AGE, False, True, False),
        (option.URI_QUERY, True, True, False),
        (option.ACCEPT, True, False, False),
        (option.LOCATION_QUERY, False, False, False),
        (option.PROXY_URI, True, True, False),
        (option.PROXY_SCHEME, True, True, False),
        (option.SIZE1, False, False, True),
    ],
)
def test_the_class_is_read_from_the_number(number: int, critical: bool, unsafe: bool, no_cache_key: bool) -> None:
    assert option.is_critical(number) is critical
    assert option.is_unsafe(number) is unsafe
    assert option.is_no_cache_key(number) is no_cache_key


def test_every_number_has_a_row_and_every_row_its_number() -> None:
    named = {value for name, value in vars(option).items() if name.isupper() and isinstance(value, int)}
    assert named == set(OPTIONS)
    assert (option_name(11), option_name(65_000)) == ("Uri-Path", "Option 65000")
