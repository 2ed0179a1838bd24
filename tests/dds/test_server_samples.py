"""Raw samples through Cyclone DDS, and what tells of them: batches, states of instances, refusals, bounds."""

from __future__ import annotations

import pytest

from bridgehead.core.errors import PAYLOAD_FORMAT_INVALID, Refusal
from bridgehead.protocols.dds.batch import Batch, helper
from bridgehead.protocols.dds.config import DdsConfig
from bridgehead.protocols.dds.cyclone import DdsError
from bridgehead.protocols.dds.events import SAMPLES_LOST
from bridgehead.protocols.dds.idl import compile_idl
from bridgehead.protocols.dds.mapping.settings import EXCLUSIVE, RouteConfig, RouteQos
from bridgehead.protocols.dds.reader import RawReader
from bridgehead.protocols.dds.route_types import type_of
from bridgehead.protocols.dds.session.ports import ALIVE, DISPOSED, NO_WRITERS, Sample
from tests.dds.keyed import IDL, KEYED, key_of, sample
from tests.dds.rim import OCTETS, Other, hub, joined, route, until

TIME = 1_700_000_000_123_456_789


async def test_samples_come_as_they_were_written(domain: int) -> None:
    config = route(domain, qos=RouteQos(depth=0))
    with joined(domain) as opened:
        async with hub(opened, config) as at:
            other = Other(opened, config)
            writer = other.writer()
            await until(lambda: at.route.writers, "the writer is matched")
            sent = [sample(number, number % 3, bytes(range(number))) for number in range(60)]
            for data in sent:
                assert writer.write(data, TIME)
            await until(lambda: len(at.route.samples) == 60, "all samples are taken")
            by_key = {key: [each.data for each in at.route.samples if each.data[8] == key] for key in range(3)}
            assert by_key == {key: sent[key::3] for key in range(3)}
            assert {each.timestamp for each in at.route.samples} == {TIME}
            assert {each.state for each in at.route.samples} == {ALIVE}
            assert {each.publication for each in at.route.samples} == set(at.route.writers)
            assert len({each.instance for each in at.route.samples}) == 3
            other.close()


@pytest.mark.clause("DDS-2.2.2.5.1.3")
@pytest.mark.clause("DDS-2.2.2.4.2.7")
async def test_dispose_and_unregister_meet_their_instance(domain: int) -> None:
    config = route(domain)
    with joined(domain) as opened:
        async with hub(opened, config) as at:
            writer = Other(opened, config).writer()
            await until(lambda: at.route.writers, "the writer is matched")
            for key in (7, 8):
                writer.write(sample(1, key), TIME)
            await until(lambda: len(at.route.samples) == 2, "both instances are known")
            instances = {each.data[8]: each.instance for each in at.route.samples}
            writer.dispose(key_of(7))
            writer.unregister(key_of(8))
            await until(lambda: len(at.route.samples) == 4, "both ends are told")
            ends = {each.instance: each for each in at.route.samples[2:]}
            assert (ends[instances[7]].state, ends[instances[7]].valid) == (DISPOSED, False)
            assert (ends[instances[8]].state, ends[instances[8]].valid) == (NO_WRITERS, False)
            assert ends[instances[7]].data == key_of(7)


async def test_unions_that_are_chosen_by_enumerations_of_two_sizes_are_refused(domain: int) -> None:
    config = RouteConfig(domain, "Mixed")
    described = type_of(config, compile_idl(IDL.with_name("shapes.idl"), "shapes::Mixed"))
    with joined(domain) as opened, pytest.raises(DdsError, match="the same @bit_bound"):
        Other(opened, config, described)


async def test_the_hub_writes_and_its_own_reader_hears_nothing(domain: int) -> None:
    config = route(domain)
    with joined(domain) as opened:
        async with hub(opened, config) as at:
            reader = Other(opened, config).reader()
            await until(lambda: at.route.readers, "the reader is matched")
            assert at.route.writer is not None
            assert at.route.writer.write(sample(5, 6, b"seven"), TIME)
            assert [(each.data, each.valid) for each in reader.take()] == [(sample(5, 6, b"seven"), True)]
            at.route.writer.dispose(key_of(6))
            assert [(each.data, each.valid) for each in reader.take()] == [(key_of(6), False)]
            assert at.route.samples == []


SHAPES: dict[str, dict[str, object]] = {
    "Whole": {"name": "a", "inner": {"a": 1, "b": 2.5}, "more": [{"a": 3, "b": 4.0}]},
    "Appendable": {"name": "ab", "number": -(2**60), "words": ["x", "yz"]},
    "Mutable": {"name": "abc", "number": 7},
    "Sparse": {"number": -3, "word": "w"},
    "Keyless": {"number": 0.5},
    "Chosen": {
        "name": "abcd",
        "modes": ["AUTO", "OFF", "MANUAL"],
        "more_modes": ["AUTO"],
        "words": ["a", "bcd"],
        "reading": (2, "word", "hi"),
        "extra": {"a": 5, "b": 6.5},
        "aim": ("AUTO", "inner", {"a": 1, "b": 2.5}),
        "aims": [("OFF", "seconds", 5), ("MANUAL", "", None)],
        "more": [{"a": 3, "b": 4.0}],
    },
    "Aimed": {"small": 7, "aim": ("AUTO", "inner", {"a": 1, "b": 2.5})},
    "Levelled": {"small": 7, "level": ("HIGH", "high", "x")},
}
LONG = [(name, text) for name in ("Whole", "Appendable", "Mutable") for text in ("seventeen octets ", "x" * 10_000)]


@pytest.mark.clause("XTYPES-7.2.2.4.4")
@pytest.mark.parametrize(
    ("name", "key"),
    [*((name, "") for name in SHAPES), *LONG],
    ids=lambda text: f"{len(text)} octets" if "x" in text or " " in text else text,
)
@pytest.mark.clause("XTYPES-7.6.3.1.1")
async def test_types_of_every_extensibility(domain: int, name: str, key: str) -> None:
    """Keys of more than 16 octets among them, for which Cyclone keeps no room of its own."""
    value = {**SHAPES[name], "name": key} if key else SHAPES[name]
    compiled = compile_idl(IDL.with_name("shapes.idl"), f"shapes::{name}")
    config = RouteConfig(domain, name)
    described = type_of(config, compiled)
    with joined(domain) as opened:
        writer, reader = Other(opened, config, described).writer(), Other(opened, config, described).reader()
        data = compiled.codec.encode(value)
        assert writer.write(data, TIME)
        (taken,) = reader.take()
        assert compiled.codec.decode(taken.data) == value
        if compiled.codec.has_keys:
            writer.dispose(compiled.codec.encode_keys(value))
            (gone,) = reader.take()
            assert (gone.instance, gone.state, gone.valid) == (taken.instance, DISPOSED, False)
            keys = compiled.codec.decode_keys(gone.data)
            assert compiled.codec.encode_keys(keys) == compiled.codec.encode_keys(value)


@pytest.mark.parametrize(
    "octets",
    [b"", b"\0\1", sample(1, 2, b"abcd")[:-4], b"\0\1\0\0" + bytes(4), b"\0\x77\0\0" + bytes(12)],
    ids=["nothing", "half a header", "cut off", "without its key", "unknown encapsulation"],
)
@pytest.mark.clause("XTYPES-7.6.3.1.2")
async def test_octets_of_another_type_are_refused_and_not_written(domain: int, octets: bytes) -> None:
    config = route(domain)
    with joined(domain) as opened:
        other = Other(opened, config)
        writer, reader = other.writer(), Other(opened, config).reader()
        with pytest.raises(Refusal) as refused:
            writer.write(octets, TIME)
        assert refused.value.meaning == PAYLOAD_FORMAT_INVALID
        assert writer.write(sample(1, 2), TIME)
        assert [each.data for each in reader.take()] == [sample(1, 2)]


@pytest.mark.parametrize("by_hand", [False, True], ids=["with the helper", "one by one"])
async def test_both_ways_of_taking_give_the_same(domain: int, by_hand: bool) -> None:
    assert helper() is not None, "tools/cyclonedds.py builds the helper"
    config = route(domain, qos=RouteQos(depth=0))
    with joined(domain) as opened:
        other = Other(opened, config)
        writer, reader = other.writer(), Other(opened, config).reader()
        for number in range(10):
            writer.write(sample(number, number % 2, bytes(100 * number)), TIME + number)
        batch = Batch(4, 600, by_hand)
        samples: list[Sample] = []
        while some := batch.take(reader.entity):
            samples += some
        taken = sorted((each.timestamp, each.data) for each in samples)
        assert taken == [(TIME + number, sample(number, number % 2, bytes(100 * number))) for number in range(6)]
        assert batch.too_large == 4
        writer.dispose(key_of(1))
        assert [(each.data, each.valid) for each in batch.take(reader.entity)] == [(key_of(1), False)]


@pytest.mark.clause("DDS-2.2.2.5.1.3")
async def test_a_dispose_behind_data_is_told_by_the_state_of_the_data(domain: int) -> None:
    config = route(domain)
    with joined(domain) as opened:
        writer, reader = Other(opened, config).writer(), Other(opened, config).reader()
        writer.write(sample(1, 1), TIME)
        writer.dispose(key_of(1))
        assert [(each.data, each.valid, each.state) for each in reader.take()] == [(sample(1, 1), True, DISPOSED)]
        assert reader.take() == []


async def test_a_sample_that_is_too_large_is_told_of(domain: int) -> None:
    config, limits = route(domain), DdsConfig()
    limits.sample_octets = 1000
    with joined(domain) as opened:
        async with hub(opened, config, limits) as at:
            writer = Other(opened, config).writer()
            await until(lambda: at.route.writers, "the writer is matched")
            writer.write(sample(1, 1, bytes(2000)), TIME)
            writer.write(sample(2, 1, bytes(20)), TIME)
            await until(lambda: at.route.samples, "the small one came")
            assert [each.data for each in at.route.samples] == [sample(2, 1, bytes(20))]
            assert [(name, fields["samples"]) for name, fields in at.events] == [(SAMPLES_LOST, 1)]
            assert str(at.events[0][1]["because"]).endswith("larger than 1000 octets (dds.sample_size)")


async def test_what_a_stand_by_writes_is_not_told_as_lost(domain: int) -> None:
    owner, stand_by = (
        route(domain, qos=RouteQos(depth=0, ownership=EXCLUSIVE, strength=strength)) for strength in (20, 10)
    )
    with joined(domain) as opened:
        async with hub(opened, owner) as at:
            stronger, weaker = Other(opened, owner).writer(), Other(opened, stand_by).writer()
            await until(lambda: len(at.route.writers) == 2, "both are matched")
            for number in range(5):
                stronger.write(sample(2 * number, 1), TIME)
                weaker.write(sample(2 * number + 1, 1), TIME)
            stronger.write(sample(99, 1), TIME)
            await until(lambda: len(at.route.samples) == 6, "all of the owner's are taken")
            assert {each.data[4] for each in at.route.samples} == {0, 2, 4, 6, 8, 99}
            assert at.events == []


async def test_what_a_writer_wrote_comes_before_it_is_gone(domain: int) -> None:
    config, limits = route(domain, qos=RouteQos(depth=0)), DdsConfig()
    limits.batch = 8
    with joined(domain) as opened:
        async with hub(opened, config, limits) as at:
            other = Other(opened, config)
            writer = other.writer()
            await until(lambda: at.route.writers, "the writer is matched")
            for number in range(100):
                writer.write(sample(number, 1), TIME)
            other.close()
            await until(lambda: not at.route.writers, "the writer is gone")
            assert sum(each.valid for each in at.route.samples) == 100
            assert at.route.strangers == 0
            (gone,) = [call for call in at.route.calls if call[0] == "writer_gone"]
            assert gone[1] >= 100  # type: ignore[operator]


async def test_the_number_of_threads_is_the_same_with_two_hundred_readers(domain: int) -> None:
    config = route(domain)
    with joined(domain) as opened:
        async with hub(opened, config) as at:
            before = threads()
            topic = at.participant.topic("Many", KEYED.python, 0)
            for number in range(200):
                many = route(domain, partition=f"p{number}")
                reader = RawReader(at.participant, topic, many, 256, 8192, OCTETS)
                at.waiting.attach(reader.condition, lambda: None)
                at.waiting.attach(reader.entity, lambda: None)
            assert threads() == before


def threads() -> int:
    with open("/proc/self/status", encoding="utf-8") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("Threads:"))
