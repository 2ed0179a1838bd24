"""Addresses, routing keys, refusals: names that are injective and reversible, whatever the topic or queue."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bridgehead.core import errors as meanings
from bridgehead.core.errors import Refusal
from bridgehead.core.topic import check_topic_filter, check_topic_name, matches
from bridgehead.protocols.amqp.codec.v1.errors import AmqpError
from bridgehead.protocols.amqp.mapping.addresses import BARE, QUEUE, TOPIC, parse_address, queue_address, topic_address
from bridgehead.protocols.amqp.mapping.errors import CONDITIONS, REPLY_CODES, condition_of, reply_code_of
from bridgehead.protocols.amqp.mapping.routing_keys import binding_key_of, filter_of, routing_key_of, topic_of

# What makes trouble comes often.
tricky = st.text(st.sampled_from(list("ab/.%*25A+#$ é😀")), min_size=1, max_size=12)
anything = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40)
names = tricky | anything
topics = names.map(lambda name: name.replace("+", "p").replace("#", "h"))
level = st.sampled_from(["+", "*", "%2A", "%252A", "%25*", "a.b", "", "%25%2A", "..", "a", "%"]) | topics.map(
    lambda name: name.replace("/", "-")
)
filters = st.builds(
    lambda levels, rest: "/".join(levels + (["#"] if rest else [])),
    st.lists(level, min_size=1, max_size=5),
    st.booleans(),
).filter(bool)


# Addresses. ----------------------------------------------------------------------------------------


@pytest.mark.clause("AMQP-3.1")
@given(names)
def test_an_address_gives_its_name_again(name: str) -> None:
    for kind, written in ((TOPIC, topic_address(name)), (QUEUE, queue_address(name))):
        assert written.isascii()
        for for_receiver in (False, True):
            read = parse_address(written, for_receiver)
            assert (read.kind, read.name) == (kind, name)


@given(names, names)
def test_two_names_never_have_one_address(one: str, other: str) -> None:
    assert (topic_address(one) == topic_address(other)) is (one == other)
    assert topic_address(one) != queue_address(other)


@given(names.filter(lambda name: "%" not in name))
def test_what_is_not_encoded_stands_for_itself(name: str) -> None:
    assert parse_address("/topics/" + name, False).name == name
    assert parse_address("/queues/" + name, True).name == name


PREFIXES = ("/topics/", "/queues/", "topic://", "queue://", "amqp://", "amqps://")


@given(names.filter(lambda name: not name.startswith(PREFIXES)))
def test_a_bare_name_is_left_to_capabilities(name: str) -> None:
    read = parse_address(name, False)
    assert (read.kind, read.name) == (BARE, name)


@pytest.mark.parametrize("authority", ["hub", "hub:5671", "user:secret@hub", "[::1]:5671", ""])
@pytest.mark.parametrize("scheme", ["amqp", "amqps"])
def test_of_a_uri_the_path_counts(scheme: str, authority: str) -> None:
    for path, kind, name in (
        ("/topics/a%2Fb", TOPIC, "a/b"),
        ("/topics/a/b", TOPIC, "a/b"),
        ("/queues/work", QUEUE, "work"),
        ("/work", BARE, "work"),
        ("/a/b", BARE, "a/b"),
    ):
        read = parse_address(f"{scheme}://{authority}{path}", False)
        assert (read.kind, read.name) == (kind, name)


@given(names)
def test_a_topic_that_looks_like_a_uri_is_reached_by_its_address(name: str) -> None:
    assert parse_address(topic_address("amqps://hub/" + name), True).name == "amqps://hub/" + name


@pytest.mark.parametrize("digits", ["%c3%a9", "%C3%A9", "é"])
def test_any_spelling_of_an_address_is_read(digits: str) -> None:
    assert parse_address(f"/topics/caf{digits}", False).name == "café"


@pytest.mark.parametrize(
    ("address", "condition"),
    [
        ("/topics/%", "amqp:invalid-field"),
        ("/topics/%4", "amqp:invalid-field"),
        ("/topics/%zz", "amqp:invalid-field"),
        ("/queues/%FF", "amqp:invalid-field"),
        ("/topics/", "amqp:invalid-field"),
        ("/queues/", "amqp:invalid-field"),
        ("", "amqp:invalid-field"),
        ("amqps://hub", "amqp:invalid-field"),
        ("amqps://hub/", "amqp:invalid-field"),
        ("amqps://hub/topics/", "amqp:invalid-field"),
        ("topic://Office", "amqp:not-found"),
        ("queue://orders", "amqp:not-found"),
    ],
)
def test_an_address_that_names_nothing_says_how_to_write_it(address: str, condition: str) -> None:
    with pytest.raises(AmqpError) as raised:
        parse_address(address, True)
    assert raised.value.condition == condition
    assert any(word in str(raised.value) for word in ("write", "%", "UTF-8"))


# Routing keys. ----------------------------------------------------------------------------------------


@pytest.mark.clause("AMQP091-basic.publish")
@given(topics)
def test_a_topic_has_one_routing_key_and_it_names_the_topic(topic: str) -> None:
    check_topic_name(topic)
    assert topic_of(routing_key_of(topic)) == topic


@given(topics)
def test_every_routing_key_is_of_one_topic(key: str) -> None:
    assert routing_key_of(topic_of(key)) == key


@pytest.mark.clause("AMQP091-queue.bind")
@given(filters)
def test_a_topic_filter_has_one_binding_key_and_it_names_the_filter(topic_filter: str) -> None:
    check_topic_filter(topic_filter)
    assert filter_of(binding_key_of(topic_filter)) == topic_filter


@given(names)
def test_every_binding_key_that_is_taken_is_of_one_filter(key: str) -> None:
    try:
        found = filter_of(key)
        check_topic_filter(found)
    except Refusal:
        assume(False)
    assert binding_key_of(found) == key


@given(topics)
def test_a_binding_key_without_wildcards_is_fed_by_its_own_routing_key(topic: str) -> None:
    assume(not any(word in ("*", "#") or word.endswith("%2A") for word in routing_key_of(topic).split(".")))
    assert filter_of(routing_key_of(topic)) == topic


def test_wildcards_match_words_as_topic_filters_match_levels() -> None:
    assert filter_of("Office.*.Temperature") == "Office/+/Temperature"
    assert matches(filter_of("Office.#"), topic_of("Office.Room 2/5.Temperature"))
    assert topic_of("Office.Room 2/5.Temperature") == "Office/Room 2.5/Temperature"
    # A level that is a star is written so that it is no wildcard.
    assert binding_key_of("a/*/b") == "a.%2A.b"
    assert not matches(filter_of("a.%2A.b"), "a/x/b")
    assert matches(filter_of("a.%2A.b"), topic_of("a.*.b"))


@pytest.mark.parametrize("key", ["", "a.#.b", "#.a", "a.+.b", "a+"])
def test_a_binding_key_that_no_topic_filter_says_is_refused(key: str) -> None:
    with pytest.raises(Refusal) as raised:
        filter_of(key)
    assert raised.value.meaning == meanings.FILTER_INVALID


def test_an_empty_routing_key_is_no_topic() -> None:
    with pytest.raises(Refusal):
        topic_of("")


# Refusals. --------------------------------------------------------------------------------------------


def test_every_meaning_of_a_refusal_has_a_condition_and_a_reply_code() -> None:
    known = {value for name, value in vars(meanings).items() if name.isupper() and isinstance(value, str)}
    assert set(CONDITIONS) == set(REPLY_CODES) == known
    assert {condition_of(each) for each in known} == set(CONDITIONS.values())
    assert all(reply_code_of(each) in (311, 320, 403, 404, 405, 406, 506, 541) for each in known)
    assert condition_of("something new") == "amqp:internal-error"
    assert reply_code_of("something new") == 541
