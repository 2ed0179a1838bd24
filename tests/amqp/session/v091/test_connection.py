"""From connection.start to close, and what ends a connection or a channel on the way."""

from __future__ import annotations

import pytest
from pamqp import commands, encode, frame, heartbeat
from pamqp.common import FieldTable

from bridgehead.core.errors import BAD_CREDENTIALS, NOT_AUTHORIZED, UNAVAILABLE, Refusal
from tests.amqp.dialogue import AmqpHub
from tests.amqp.session.v091.dialogue import CAPABLE, Client


@pytest.fixture
def hub() -> AmqpHub:
    return AmqpHub()


@pytest.mark.clause("AMQP091-2.2.4", "AMQP091-connection.start", "AMQP091-connection.start-ok")
def test_the_hub_begins_and_offers_the_mechanisms_of_its_listener(hub: AmqpHub) -> None:
    client = Client(hub, mechanisms=("SCRAM-SHA-256", "PLAIN"))
    start = client.get(commands.Connection.Start, 0)
    assert (start.version_major, start.version_minor) == (0, 9)
    assert start.mechanisms == "SCRAM-SHA-256 PLAIN AMQPLAIN"
    capabilities = start.server_properties["capabilities"]
    assert isinstance(capabilities, dict)
    assert capabilities["publisher_confirms"] is True
    assert capabilities["basic.nack"] is True
    client.send(commands.Connection.StartOk(CAPABLE, "PLAIN", "\0office\0secret", "en_US"), 0)
    asked = client.connection.sasl
    assert asked is not None
    assert (asked.mechanism, asked.data) == ("PLAIN", b"\0office\0secret")
    assert client.connection.is_asking()


@pytest.mark.clause("AMQP091-connection.start-ok")
def test_amqplain_is_judged_as_plain(hub: AmqpHub) -> None:
    client = Client(hub)
    client.get(commands.Connection.Start, 0)
    response = encode.field_table({"LOGIN": "office", "PASSWORD": "secret"})[4:].decode()
    client.send(commands.Connection.StartOk(CAPABLE, "AMQPLAIN", response, "en_US"), 0)
    asked = client.connection.sasl
    assert asked is not None
    assert (asked.mechanism, asked.data) == ("PLAIN", b"\0office\0secret")


@pytest.mark.clause("AMQP091-connection.start-ok")
def test_a_response_of_amqplain_without_a_password(hub: AmqpHub) -> None:
    client = Client(hub)
    client.get(commands.Connection.Start, 0)
    response = encode.field_table({"LOGIN": "office"})[4:].decode()
    client.send(commands.Connection.StartOk(CAPABLE, "AMQPLAIN", response, "en_US"), 0)
    assert client.silent()  # 2.2.4: before it is open, it is just closed
    assert client.connection.closed
    assert "PASSWORD" in str(hub.named("connection.peer-error")[0]["because"])


def test_a_mechanism_that_is_not_offered_is_refused(hub: AmqpHub) -> None:
    client = Client(hub, mechanisms=("SCRAM-SHA-256",))
    assert client.get(commands.Connection.Start, 0).mechanisms == "SCRAM-SHA-256"
    client.send(commands.Connection.StartOk(CAPABLE, "AMQPLAIN", "x", "en_US"), 0)
    assert "AMQPLAIN" in client.told_closed(403)
    assert client.connection.closed


def test_who_cannot_be_told_of_a_failed_log_in_is_just_closed(hub: AmqpHub) -> None:
    for properties, told in ((CAPABLE, True), ({}, False)):
        client = Client(hub)
        client.start(properties)
        client.connection.refuse(Refusal(BAD_CREDENTIALS, "the credentials are not accepted"))
        hub.settle()
        if told:
            assert client.told_closed(403).startswith("ACCESS_REFUSED - Login was refused")
        assert client.silent()
        assert client.connection.closed


@pytest.mark.clause("AMQP091-connection.secure", "AMQP091-connection.secure-ok")
def test_a_mechanism_of_several_steps_and_its_last_word(hub: AmqpHub) -> None:
    client = Client(hub, mechanisms=("SCRAM-SHA-256",))
    client.get(commands.Connection.Start, 0)
    client.send(commands.Connection.StartOk(CAPABLE, "SCRAM-SHA-256", "first", "en_US"), 0)
    client.connection.challenge(b"challenge")
    hub.settle()
    assert client.get(commands.Connection.Secure, 0).challenge == "challenge"
    client.send(commands.Connection.SecureOk("answer"), 0)
    asked = client.connection.sasl
    assert asked is not None
    assert asked.data == b"answer"
    client.proven(data=b"v=last word")
    assert client.get(commands.Connection.Secure, 0).challenge == "v=last word"
    assert client.silent()
    client.send(commands.Connection.SecureOk(""), 0)
    client.get(commands.Connection.Tune, 0)


@pytest.mark.clause("AMQP091-connection.tune", "AMQP091-connection.tune-ok")
@pytest.mark.parametrize(
    ("channel_max", "frame_max", "says"),
    [(0, 100, "frame_max=100"), (0, 200_000, "frame_max"), (9999, 0, "channel_max")],
)
def test_a_tuning_beyond_what_was_offered_ends_it(hub: AmqpHub, channel_max: int, frame_max: int, says: str) -> None:
    client = Client(hub)
    client.start()
    client.proven()
    tune = client.get(commands.Connection.Tune, 0)
    assert (tune.channel_max, tune.frame_max, tune.heartbeat) == (2047, 131_072, 60)
    client.send(commands.Connection.TuneOk(channel_max, frame_max, 0), 0)
    assert says in client.told_closed(530)


@pytest.mark.clause("AMQP091-connection.open", "AMQP091-connection.open-ok")
def test_there_is_one_virtual_host(hub: AmqpHub) -> None:
    client = Client(hub)
    client.start()
    client.proven()
    client.get(commands.Connection.Tune, 0)
    client.send(commands.Connection.TuneOk(0, 0, 0), 0)
    client.send(commands.Connection.Open("elsewhere"), 0)
    assert "vhost 'elsewhere' not found" in client.told_closed(530)


def test_open_reports_the_connection_and_its_end(hub: AmqpHub) -> None:
    client = Client(hub).open()
    assert hub.named("connection.accepted")[0]["version"] == "0-9-1"
    assert hub.broker.counters.connections == 1
    client.connection.lost("gone")
    assert hub.broker.counters.connections == 0
    assert hub.named("connection.ended")


@pytest.mark.clause("AMQP091-connection.close", "AMQP091-connection.close-ok")
def test_the_peers_close_is_answered(hub: AmqpHub) -> None:
    client = Client(hub).open()
    client.ask(commands.Connection.Close(200, "bye", 0, 0), commands.Connection.CloseOk, 0)
    assert client.connection.closed


@pytest.mark.clause("AMQP091-connection.close")
def test_after_our_close_only_its_answer_counts(hub: AmqpHub) -> None:
    client = Client(hub).open()
    client.connection.dismiss(NOT_AUTHORIZED, "the device was revoked")
    hub.settle()
    assert "revoked" in client.told_closed(403)
    assert not client.connection.closed
    client.publish("q")
    assert client.silent()
    client.send(commands.Connection.CloseOk(), 0)
    assert client.connection.closed


def test_a_peer_that_does_not_answer_our_close_is_left(hub: AmqpHub) -> None:
    client = Client(hub).open()
    client.connection.dismiss(UNAVAILABLE, "the hub is stopping")
    hub.settle()
    client.told_closed(320)
    hub.pass_time(hub.config.connect_timeout + 1)
    assert client.connection.closed


def test_who_takes_too_long_before_open_is_closed(hub: AmqpHub) -> None:
    client = Client(hub)
    hub.pass_time(hub.config.connect_timeout + 1)
    assert client.connection.closed


def test_an_identity_that_expires_ends_the_connection(hub: AmqpHub) -> None:
    client = Client(hub).open(expires_at=hub.clock.now + 30)
    hub.pass_time(31)
    assert "expired" in client.told_closed(320)


@pytest.mark.clause("AMQP091-4.2.7")
def test_heartbeats_both_ways(hub: AmqpHub) -> None:
    client = Client(hub).open(heartbeat=10)
    hub.pass_time(6)
    assert isinstance(client.take()[1], heartbeat.Heartbeat)
    client.send_octets(frame.marshal(heartbeat.Heartbeat(), 0))
    hub.pass_time(19)
    assert not client.connection.closed
    hub.pass_time(2)
    assert client.connection.closed
    assert "missed heartbeats" in str(hub.named("connection.ended")[0]["because"])


@pytest.mark.clause("AMQP091-4.2.3")
@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (b"\x01\x00\x01\x00\x10\x00\x00", 501),  # above frame-max
        (b"\x09\x00\x00\x00\x00\x00\x00\xce", 501),  # no such type
        (b"\x08\x00\x00\x00\x00\x00\x00\x00", 501),  # no frame-end
        (b"\x08\x00\x01\x00\x00\x00\x00\xce", 501),  # a heartbeat of a channel
        (b"\x02\x00\x00\x00\x00\x00\x00\xce", 504),  # content on channel 0
        (b"\x01\x00\x01\x00\x00\x00\x02\x00\x3c\xce", 502),  # no method
        (b"\x01\x00\x01\x00\x00\x00\x04\x00\x3c\x03\xe7\xce", 503),  # no such method
        (b"\x01\x00\x01\x00\x00\x00\x05\x00\x3c\x00\x14\x00\xce", 502),  # cut
        (b"\x03\x00\x01\x00\x00\x00\x00\xce", 505),  # a body that nothing announced
        (b"\x02\x00\x01\x00\x00\x00\x0e\x00\x3c" + bytes(12) + b"\xce", 505),  # a header likewise
        (b"\x01\x00\x02\x00\x00\x00\x05\x00\x3c\x00\x1e\x00\xce", 504),  # a channel that is not open
    ],
)
def test_what_breaks_the_framing_ends_the_connection(hub: AmqpHub, octets: bytes, code: int) -> None:
    client = Client(hub).open()
    client.send_octets(octets)
    client.told_closed(code)
    (told,) = hub.named("connection.peer-error")
    assert told["code"] == str(code)


@pytest.mark.clause("AMQP091-4.2.5.5")
def test_tables_within_tables_have_a_bound(hub: AmqpHub) -> None:
    deep: FieldTable = {}
    for _ in range(40):
        deep = {"t": deep}
    client = Client(hub).open()
    client.send(commands.Queue.Declare(queue="q", arguments=deep))
    assert "too deep" in client.told_closed(502)


@pytest.mark.clause("AMQP091-4.2.5.5")
def test_a_table_nested_35_kilobytes_deep_is_a_clean_error(hub: AmqpHub) -> None:
    value = b""
    while len(value) < 35_000:
        inner = b"\x01tF" + len(value).to_bytes(4, "big") + value
        value = inner
    table = len(value).to_bytes(4, "big") + value
    payload = b"\x00\x32\x00\x0a\x00\x00\x01q\x00" + table
    client = Client(hub).open()
    client.send_octets(b"\x01\x00\x01" + len(payload).to_bytes(4, "big") + payload + b"\xce")
    assert "too deep" in client.told_closed(502)


@pytest.mark.clause("AMQP091-channel.open", "AMQP091-channel.close", "AMQP091-channel.close-ok", "AMQP091-1.5")
def test_channels_open_close_and_open_again(hub: AmqpHub) -> None:
    client = Client(hub).open()
    client.ask(commands.Channel.Open(), commands.Channel.OpenOk, 7)
    client.ask(commands.Channel.Close(200, "", 0, 0), commands.Channel.CloseOk, 7)
    client.ask(commands.Channel.Open(), commands.Channel.OpenOk, 7)
    client.send(commands.Channel.Open(), 7)
    assert "second" in client.told_closed(504)


def test_a_channel_number_above_the_tuned_ones_ends_it(hub: AmqpHub) -> None:
    client = Client(hub).open()
    client.send(commands.Channel.Open(), 2048)
    assert "channel_max (2047)" in client.told_closed(530)


@pytest.mark.clause("AMQP091-1.5.2.5")
def test_a_channel_that_was_closed_passes_over_what_was_on_its_way(hub: AmqpHub) -> None:
    client = Client(hub).open()
    client.send(commands.Basic.Ack(5))
    assert client.closed_channel(406) == "PRECONDITION_FAILED - unknown delivery tag 5"
    client.publish("q")
    client.send(commands.Basic.Ack(6))
    assert client.silent()
    client.send(commands.Channel.CloseOk())
    client.ask(commands.Channel.Open(), commands.Channel.OpenOk)


def test_a_method_in_the_midst_of_content_ends_the_connection(hub: AmqpHub) -> None:
    client = Client(hub).open()
    client.send(commands.Basic.Publish(exchange="", routing_key="q"))
    client.send(commands.Basic.Qos())
    client.told_closed(505)


def test_a_method_that_is_the_servers_ends_the_connection(hub: AmqpHub) -> None:
    client = Client(hub).open()
    client.send(commands.Basic.QosOk())
    client.told_closed(503)
