"""OSCORE contexts from device records: whose, how long, and what the audit log hears."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace

from bridgehead.core.clock import Clock
from bridgehead.core.errors import UNAVAILABLE, Refusal
from bridgehead.node.oscore import HubContexts
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.message import Message
from bridgehead.protocols.coap.session.contract import Exchange, Handler, Peer
from bridgehead.protocols.coap.session.echo import Echo
from bridgehead.protocols.coap.session.oscore import OscoreLayer
from bridgehead.protocols.coap.session.oscore_context import OscoreContext
from bridgehead.security import events
from bridgehead.security import files as private_files
from bridgehead.security.errors import SecurityError
from bridgehead.security.identity.identity import Identity
from bridgehead.security.identity.wanted import Enrolled, Fresh, NewOscore, Wanted
from bridgehead.security.oscore.sequences import COUNT_BITS, Sequences
from bridgehead.security.rights.directory import Directory
from bridgehead.security.rights.principals import Principals
from tests.coap.oscore_device import Device
from tests.secrets.plugin import register
from tests.security.support import Time, enrol, publish

PEER = Peer(None, "192.0.2.7:5683", False, False, True)


class Hub:
    """The records, and the contexts that a hub has of them in one run."""

    def __init__(self, data: Path) -> None:
        self.clock = Time()
        self.identity = Identity(data, self.clock)
        self.heard: list[tuple[str, dict[str, object]]] = []
        self.data = data
        self.start()

    def start(self) -> None:
        registry = self.identity.registry
        self.principals = Principals(Directory(registry), self._hear, self.clock)
        self.sequences = Sequences(self.data, self.clock())
        vault = self.identity.vault
        self.contexts = HubContexts(
            registry, self.principals, vault, self.sequences, self._hear, self.clock, self._admit
        )
        self.admits = True

    def _admit(self) -> None:
        if not self.admits:
            raise Refusal(UNAVAILABLE, "the audit log cannot be written")

    def _hear(self, event: str, fields: Mapping[str, object]) -> None:
        self.heard.append((event, dict(fields)))

    def add(self, name: str) -> NewOscore:
        wanted = Wanted(name, [publish("Office/${device}")], fresh=Fresh(oscore=True))
        return made(enrol(self.identity, wanted))

    def find(self, new: NewOscore, kid_context: bool = True) -> list[OscoreContext]:
        return self.contexts.find(new.sender_id, new.id_context if kid_context else None)

    def rotate(self, name: str, overlap: float) -> NewOscore:
        with self.identity.rotating(name, overlap, ["oscore"], None) as enrolled:
            return made(enrolled)


def made(enrolled: Enrolled) -> NewOscore:
    assert enrolled.oscore is not None
    register(enrolled.oscore.secret)
    return enrolled.oscore


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    found = Hub(tmp_path / "data")
    yield found
    found.identity.close()


@pytest.mark.clause("RFC8613-3.1")
def test_the_context_is_that_of_the_device(hub: Hub) -> None:
    new, other = hub.add("sensor-7"), hub.add("sensor-8")
    [context] = hub.find(new)
    assert context.principal.name == "sensor-7"
    assert context.principal.context is not None
    assert (context.principal.context.protocol, context.principal.context.mechanisms) == ("coap", ("oscore",))
    assert context.marks == (f"oscore {new.sender_id.hex()} {hub.clock.now}",)
    assert hub.find(new, kid_context=False) == [context]
    assert [each.principal.name for each in hub.find(other)] == ["sensor-8"]
    assert hub.contexts.find(new.sender_id, other.id_context) == []
    assert hub.contexts.find(b"\xff\xff\xff\xff", None) == []


def test_a_device_asks_and_is_answered(hub: Hub) -> None:
    """aiocoap with what `device add --oscore` hands out, against keys from the sealed record."""
    new = hub.add("sensor-7")
    device = Device(new.sender_id, new.recipient_id, new.id_context, new.secret, new.salt)
    served: list[Exchange] = []

    class Resource(Handler):
        def handle(self, exchange: Exchange) -> None:
            served.append(exchange)
            exchange.respond(Message(codes.CHANGED))

    class Sent(Exchange):
        def respond(self, response: Message) -> None:
            self.response = response

    layer = OscoreLayer(Resource(), hub.contexts, Echo(b"k" * 16, 600.0), Clock(hub.clock.now))
    options: tuple[tuple[int, bytes], ...] = ((option.URI_PATH, b"t"),)
    answers: list[int] = []
    for _ in range(2):
        protected, request = device.protect(Message(codes.PUT, options, b"22.5", b"tk"))
        sent = Sent(PEER, None, protected, True, False)
        layer.handle(sent)
        answer = device.unprotect(sent.response, request)
        answers.append(answer.code)
        options = ((option.URI_PATH, b"t"), (option.ECHO, answer.first(option.ECHO) or b""))
    assert answers == [codes.UNAUTHORIZED, codes.CHANGED]
    [exchange] = served
    assert exchange.party is not None
    assert exchange.party.principal.name == "sensor-7"
    assert [(event, fields["by"], fields["principal"]) for event, fields in hub.heard] == [
        (events.AUTHENTICATED, "oscore", "sensor-7")
    ]


def test_the_replay_window_outlives_changes_of_the_record(hub: Hub) -> None:
    new = hub.add("sensor-7")
    [context] = hub.find(new)
    device = hub.identity.registry.existing_device("sensor-7")
    hub.identity.registry.update_device(replace(device, attributes={"floor": "3"}), hub.clock.now)
    assert hub.find(new) == [context]


def test_a_rotation_leaves_the_old_context_until_its_end(hub: Hub) -> None:
    old = hub.add("sensor-7")
    [context] = hub.find(old)
    hub.clock.now += 10.0
    new = hub.rotate("sensor-7", 60.0)
    [fresh] = hub.find(new)
    assert hub.find(old) == [context]
    assert fresh.marks != context.marks
    hub.clock.now += 61.0
    assert hub.find(old) == []
    assert hub.find(new) == [fresh]


@pytest.mark.parametrize("act", ["revoke", "disable", "remove_device"])
def test_who_may_no_more_has_no_context(hub: Hub, act: str) -> None:
    new = hub.add("sensor-7")
    assert len(hub.find(new)) == 1
    getattr(hub.identity, act)("sensor-7")
    assert hub.find(new) == []


def test_who_must_show_password_and_certificate_does_not_get_in_by_oscore(hub: Hub) -> None:
    new = hub.add("sensor-7")
    device = hub.identity.registry.existing_device("sensor-7")
    hub.identity.registry.update_device(replace(device, require="password+certificate"), hub.clock.now, False)
    assert hub.find(new) == []


def test_a_box_that_does_not_open_is_told(hub: Hub) -> None:
    new = hub.add("sensor-7")
    device = hub.identity.registry.existing_device("sensor-7")
    [record] = device.oscore
    damaged = replace(record, secret=replace(record.secret, box=record.secret.box[:-1] + b"\0"))
    hub.identity.registry.update_device(replace(device, oscore=(damaged,)), hub.clock.now)
    assert hub.find(new) == []
    assert [event for event, _ in hub.heard] == [events.RECORD_UNREADABLE]
    assert new.secret.hex() not in str(hub.heard)


@pytest.mark.clause("RFC8613-7.2")
def test_sequence_numbers_are_the_contexts_own_and_grow_over_restarts(hub: Hub) -> None:
    seven, eight = hub.add("sensor-7"), hub.add("sensor-8")
    [context], [other] = hub.find(seven), hub.find(eight)
    first = hub.contexts.next_sequence(context)
    assert hub.contexts.next_sequence(context) == first + 1
    assert hub.contexts.next_sequence(other) == first
    hub.start()
    [again] = hub.find(seven)
    assert again is not context
    assert hub.contexts.next_sequence(again) > first + 1


def test_numbers_that_cannot_be_reserved_are_told_once(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    [context] = hub.find(hub.add("sensor-7"))
    for _ in range(1 << COUNT_BITS):
        assert hub.contexts.next_sequence(context) >= 0

    def full(path: Path, data: bytes) -> None:
        raise SecurityError(f"cannot write {path.name}: the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(private_files, "write_whole", full)
        assert [hub.contexts.next_sequence(context) for _ in range(3)] == [-1, -1, -1]
    told = {"principal": "sensor-7", "because": "cannot write oscore.epoch: the disk is full"}
    assert hub.heard == [(events.SEQUENCE_NOT_KEPT, told)]
    assert hub.contexts.next_sequence(context) >= 0


def test_while_the_audit_log_fails_nobody_new_is_let_in(hub: Hub) -> None:
    [context] = hub.find(hub.add("sensor-7"))
    hub.admits = False
    assert not hub.contexts.opened(context, PEER)
    assert hub.heard == []
    hub.admits = True
    assert hub.contexts.opened(context, PEER)


def test_a_refusal_names_whose_identifier_it_was(hub: Hub) -> None:
    new = hub.add("sensor-7")
    hub.contexts.refused(PEER, new.sender_id, "not made with the device's key")
    hub.contexts.refused(PEER, b"\0", "no device has this context")
    (first, named), (second, unnamed) = hub.heard
    assert (first, second) == (events.AUTHENTICATION_REFUSED, events.AUTHENTICATION_REFUSED)
    assert (named["claimed"], unnamed["claimed"]) == ("sensor-7", "")
    assert named["because"] == "OSCORE: not made with the device's key"
    assert named["mechanism"] == "oscore"
