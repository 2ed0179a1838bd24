"""Small parts of a connection by themselves: the outbox, acknowledgements that wait, the pace."""

from __future__ import annotations

import pytest

from bridgehead.core.errors import FILTER_INVALID, Refusal
from bridgehead.protocols.mqtt.config import MqttConfig
from bridgehead.protocols.mqtt.session.acknowledgements import Acknowledgements, Held
from bridgehead.protocols.mqtt.session.pace import Pace
from bridgehead.protocols.mqtt.session.sender import packet_identifier
from bridgehead.protocols.mqtt.session.subscribing import share_of
from bridgehead.wire.outbox import Outbox, Turn


def names(held: list[Held]) -> list[bytes]:
    return [one.refused or b"" if one.failed else one.granted for one in held]


# Acknowledgements. ----------------------------------------------------------------------------------


def test_answers_go_out_in_their_order_once_their_batch_is_durable() -> None:
    line = Acknowledgements()
    for ticket, name in ((1, b"a"), (0, b"b"), (2, b"c"), (0, b"d"), (3, b"e")):
        line.hold(ticket, name, name.upper(), 0)
    assert len(line) == 5
    assert names(line.settle(0)) == []
    assert names(line.settle(1)) == [b"a", b"b"]
    assert names(line.settle(3)) == [b"c", b"d", b"e"]
    assert len(line) == 0
    assert not line.answers_wait()


def test_a_refused_batch_fails_its_answers_and_not_those_between() -> None:
    line = Acknowledgements()
    for ticket, name in ((1, b"a"), (0, b"b"), (1, b"c"), (2, b"d"), (0, b"e")):
        line.hold(ticket, name, name.upper(), 0)
    assert names(line.fail(1, 2)) == [b"A", b"b", b"C"]
    assert names(line.settle(2)) == [b"d", b"e"]


def test_steps_wait_for_the_next_attempt_and_hold_up_no_answer() -> None:
    line = Acknowledgements()
    line.hold(1, b"step", None, 0)
    line.hold(1, b"a", b"A", 0)
    line.hold(0, b"after", None, 0)
    assert line.steps_wait()
    assert names(line.fail(1, 2)) == [b"A"]
    assert not line.answers_wait()
    assert names(line.fail(2, 3)) == []
    assert names(line.settle(3)) == [b"step", b"after"]


def test_steps_of_a_refused_batch_of_which_nothing_is_left_go_out() -> None:
    line = Acknowledgements()
    line.hold(1, b"one", None, 0)
    line.hold(1, b"two", None, 0)
    assert names(line.fail(1, 0)) == [b"one", b"two"]


def test_nothing_waits_at_first() -> None:
    line = Acknowledgements()
    assert (len(line), line.answers_wait(), line.steps_wait()) == (0, False, False)
    assert line.settle(9) == []
    assert line.fail(9, 10) == []


# The outbox. ----------------------------------------------------------------------------------------


def outbox(limit: int = 100) -> tuple[Turn, Outbox, list[int]]:
    scheduled: list[int] = []
    turn = Turn(lambda: scheduled.append(1))
    return turn, Outbox(turn, limit), scheduled


def test_one_write_a_turn() -> None:
    turn, box, scheduled = outbox()
    for part in (b"a", b"b", b"c"):
        box.write(part)
    assert scheduled == [1]
    assert turn.take() == [box]
    assert box.take() == b"abc"
    assert box.take() == b""
    assert turn.take() == []
    box.write(b"d")
    assert scheduled == [1, 1]
    assert turn.take() == [box]


def test_the_parts_of_a_publish_count_as_one_packet() -> None:
    _, box, _ = outbox()
    box.write(b"puback")
    box.write_parts(b"head", b"id", b"tail")
    box.write_parts(b"head", b"id", b"tail")
    assert box.octets == 6 + 2 * 10
    assert box.take() == b"puback" + 2 * b"headidtail"
    assert box.packets == 3


def test_a_corked_outbox_gives_nothing_until_the_first_packet_is_known() -> None:
    turn, box, _ = outbox()
    box.cork()
    box.write(b"later")
    assert turn.take() == []
    assert box.take() == b""
    box.uncork(b"first,")
    assert turn.take() == [box]
    assert box.take() == b"first,later"


def test_what_is_discarded_is_not_sent() -> None:
    turn, box, _ = outbox()
    box.cork()
    box.write(b"never")
    box.discard()
    box.uncork(b"refused")
    assert turn.take() == [box]
    assert box.take() == b"refused"


@pytest.mark.parametrize(("written", "backlog", "full"), [(100, 0, False), (101, 0, True), (1, 100, True)])
def test_an_outbox_is_full_above_its_limit_with_what_the_kernel_has_not_taken(
    written: int, backlog: int, full: bool
) -> None:
    _, box, _ = outbox(100)
    box.write(b"x" * written)
    box.backlog = backlog
    assert box.is_full() is full


def test_touching_lets_the_rim_look_at_it() -> None:
    turn, box, scheduled = outbox()
    box.touch()
    assert scheduled == [1]
    assert turn.take() == [box]
    assert box.take() == b""


# Pace, identifiers, shares. -------------------------------------------------------------------------


def test_the_bucket_is_full_at_first_and_fills_at_its_rate() -> None:
    config = MqttConfig()
    config.publish_rate, config.publish_burst = 10.0, 20
    pace = Pace(config, 1000.0)
    assert pace.measure(20, 1000.0) <= 1000.0
    assert pace.measure(10, 1000.0) == 1001.0
    assert pace.measure(10, 1002.0) <= 1002.0
    assert pace.measure(20, 9999.0) <= 9999.0
    assert pace.measure(1, 9999.0) == pytest.approx(9999.1)
    config.publish_rate = 0.0
    assert pace.measure(1_000_000, 9999.0) == 0.0


@pytest.mark.clause("MQTT-2.2.1-4")
@pytest.mark.parametrize(
    ("sequence", "identifier"), [(1, 1), (2, 2), (65535, 65535), (65536, 1), (131070, 65535), (131071, 1)]
)
def test_packet_identifiers_follow_from_the_numbers_of_the_queue(sequence: int, identifier: int) -> None:
    assert packet_identifier(sequence) == identifier


@pytest.mark.clause("MQTT-4.8.2-1", "MQTT-4.8.2-2")
@pytest.mark.parametrize(
    ("topic_filter", "expected"),
    [
        ("a/b", ("", "a/b")),
        ("$share", ("", "$share")),
        ("$SHARE/g/a", ("", "$SHARE/g/a")),
        ("$shared/g/a", ("", "$shared/g/a")),
        ("$share/g/a", ("g", "a")),
        ("$share/g//", ("g", "/")),
        ("$share/g/#", ("g", "#")),
        ("$share/$share/a", ("$share", "a")),
    ],
)
def test_a_shared_filter_is_split(topic_filter: str, expected: tuple[str, str]) -> None:
    assert share_of(topic_filter) == expected


@pytest.mark.clause("MQTT-4.8.2-1", "MQTT-4.8.2-2")
@pytest.mark.parametrize(
    "bad", ["$share/", "$share/g", "$share/g/", "$share//a", "$share/+/a", "$share/#/a", "$share/a+/b"]
)
def test_what_begins_as_a_shared_filter_and_is_none(bad: str) -> None:
    with pytest.raises(Refusal) as refusal:
        share_of(bad)
    assert refusal.value.meaning == FILTER_INVALID
