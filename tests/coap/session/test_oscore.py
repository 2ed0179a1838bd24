"""The OSCORE layer between a message layer that only notes, and resources that answer at once. The device's side is
aiocoap's."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.core.clock import Clock
from bridgehead.protocols.coap.codec import codes, oscore
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.message import Message, uint_value
from bridgehead.protocols.coap.session.contract import Exchange, Handler, Peer, Watcher
from bridgehead.protocols.coap.session.echo import Echo
from bridgehead.protocols.coap.session.oscore import OscoreLayer
from bridgehead.protocols.coap.session.oscore_context import (
    NEW,
    REPLAYED,
    UNSURE,
    ReplayWindow,
)
from bridgehead.security.oscore.keys import Secret
from tests.coap.oscore_contexts import Contexts
from tests.coap.oscore_device import ID_CONTEXT, SALT, SECRET, Device, NotVerified

GET = Message(codes.GET, ((option.URI_PATH, b"t"),), b"", b"tk", 0, 7)
PUT = Message(codes.PUT, ((option.URI_PATH, b"t"),), b"22.5", b"tk", 0, 7)
OBSERVE = Message(codes.GET, ((option.OBSERVE, b""), (option.URI_PATH, b"t")), b"", b"tk", 0, 7)


class Sent(Exchange):
    """The message layer's: notes what goes out."""

    def __init__(self, peer: Peer, request: Message, multicast: bool = False) -> None:
        super().__init__(peer, None, request, True, multicast)
        self.responses: list[Message] = []
        self.notified: list[tuple[Message, bool, Watcher | None, int]] = []
        self.over = False

    def respond(self, response: Message) -> None:
        self.responses.append(response)

    def notify(self, response: Message, confirmable: bool, watcher: Watcher | None, number: int) -> bool:
        self.notified.append((response, confirmable, watcher, number))
        return True

    def ended(self) -> None:
        self.over = True

    @property
    def response(self) -> Message:
        [found] = self.responses
        return found


class Resource(Handler):
    """Answers with its text."""

    def __init__(self) -> None:
        self.seen: list[Exchange] = []
        self.forgotten: list[Peer] = []
        self.text = b"22.5"

    def handle(self, exchange: Exchange) -> None:
        self.seen.append(exchange)
        options = ((option.OBSERVE, b"\5"),) if exchange.request.first(option.OBSERVE) == b"" else ()
        exchange.respond(Message(codes.CONTENT, options, self.text))

    def forget(self, peer: Peer) -> None:
        self.forgotten.append(peer)


class World:
    """One device `sensor-7`; `peer` is its address, which has not been proven."""

    def __init__(self) -> None:
        self.clock = Clock(1_800_000_000.0)
        self.contexts = Contexts()
        self.contexts.add("sensor-7")
        self.resource = Resource()
        self.layer = self.restarted(b"k" * 16)
        self.peer = Peer(None, "192.0.2.7:5683", False, False, False)
        self.device = Device()

    def restarted(self, key: bytes) -> OscoreLayer:
        self.layer = OscoreLayer(self.resource, self.contexts, Echo(key, 600.0), self.clock)
        return self.layer

    def send(self, request: Message, peer: Peer | None = None) -> Sent:
        sent = Sent(self.peer if peer is None else peer, request)
        self.layer.handle(sent)
        return sent

    def ask(self, message: Message, peer: Peer | None = None) -> Message:
        """As aiocoap does it: once more if the hub asks for Echo."""
        protected, request = self.device.protect(message)
        answer = self.device.unprotect(self.send(protected, peer).response, request)
        echo = answer.first(option.ECHO)
        if answer.code == codes.UNAUTHORIZED and echo is not None:
            protected, request = self.device.protect(with_echo(message, echo))
            answer = self.device.unprotect(self.send(protected, peer).response, request)
        return answer


def with_echo(message: Message, echo: bytes) -> Message:
    return message.with_options((*message.options, (option.ECHO, echo)))


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def known(world: World) -> World:
    """The device has been asked for Echo, and has answered."""
    world.ask(GET)
    world.resource.seen.clear()
    world.contexts.told.clear()
    return world


def plain_error(sent: Sent, code: int, text: str) -> None:
    """Section 8.2: a simple response, which no proxy is to keep."""
    assert sent.response.code == code
    assert sent.response.options == ((option.MAX_AGE, b""),)
    assert sent.response.payload.decode() == text


# Requests and responses. ----------------------------------------------------------------------------


@pytest.mark.clause("RFC8613-8.2")
@pytest.mark.clause("RFC8613-8.3")
@pytest.mark.clause("RFC8613-4.2")
def test_a_request_is_verified_and_its_answer_protected(known: World) -> None:
    protected, request = known.device.protect(PUT)
    sent = known.send(protected)
    [inner] = known.resource.seen
    assert (inner.request.code, inner.request.options, inner.request.payload) == (codes.PUT, PUT.options, b"22.5")
    assert inner.request.token == b"tk"
    assert sent.response.code == codes.CHANGED
    assert sent.response.options == ((option.OSCORE, b""),)  # section 5.2: the nonce of the request
    answer = known.device.unprotect(sent.response, request)
    assert (answer.code, answer.payload) == (codes.CONTENT, b"22.5")


def test_who_asks_is_who_the_context_belongs_to(known: World) -> None:
    known.ask(GET)
    [inner] = known.resource.seen
    assert inner.party is not None
    assert inner.party.principal.name == "sensor-7"
    assert (inner.party.origin.protocol, inner.party.origin.verified) == ("coap", True)
    assert inner.party.origin.address == known.peer.address
    assert inner.party.marks == ("oscore sensor-7",)


def test_one_party_for_a_context_and_a_peer_until_it_is_gone(known: World) -> None:
    known.ask(GET)
    known.ask(PUT)
    first, second = known.resource.seen
    assert first.party is second.party
    assert known.contexts.told == []  # it was told at the first request
    known.layer.forget(known.peer)
    assert known.resource.forgotten == [known.peer]
    known.ask(GET)
    assert known.resource.seen[-1].party is not first.party
    assert known.contexts.told == ["sensor-7 at 192.0.2.7:5683"]


def test_while_nobody_new_is_let_in_a_new_peer_is_told_so(known: World) -> None:
    known.contexts.closed = True
    assert known.ask(GET).code == codes.CONTENT  # it is in
    known.layer.forget(known.peer)
    assert known.ask(GET).code == codes.SERVICE_UNAVAILABLE
    assert len(known.resource.seen) == 1


def test_a_request_without_the_option_passes_unchanged(world: World) -> None:
    sent = world.send(GET)
    assert world.resource.seen == [sent]


@pytest.mark.clause("RFC8613-5.1")
def test_the_kid_context_may_be_left_out(known: World) -> None:
    known.contexts.add("another", id_context=b"other", salt=b"other")
    protected, request = known.device.protect(GET, kid_context=False)
    assert known.device.unprotect(known.send(protected).response, request).payload == b"22.5"
    [inner] = known.resource.seen
    assert inner.party is not None
    assert inner.party.principal.name == "sensor-7"


@pytest.mark.clause("RFC8613-5.1")
def test_a_kid_context_that_is_there_counts(world: World) -> None:
    world.contexts.known.clear()
    world.contexts.add("another", id_context=b"other")
    plain_error(world.send(world.device.protect(GET)[0]), codes.UNAUTHORIZED, "Security context not found")


def test_errors_of_resources_are_protected_too(known: World) -> None:
    class Forbids(Handler):
        def handle(self, exchange: Exchange) -> None:
            exchange.respond(Message(codes.FORBIDDEN, (), b"no permission"))

    known.layer = OscoreLayer(Forbids(), known.contexts, Echo(b"k" * 16, 600.0), known.clock)
    protected, request = known.device.protect(GET)
    sent = known.send(protected)
    assert sent.response.code == codes.CHANGED
    answer = known.device.unprotect(sent.response, request)
    assert (answer.code, answer.payload) == (codes.FORBIDDEN, b"no permission")


# What cannot be verified. ---------------------------------------------------------------------------


def with_option(message: Message, value: bytes) -> Message:
    return message.with_options(tuple((n, value if n == option.OSCORE else v) for n, v in message.options))


@pytest.mark.clause("RFC8613-8.2")
@pytest.mark.parametrize("value", ["00", "290525", "0e0102030405060708", "0b0102", "01" + "05", "08" + "0a", ""])
def test_what_does_not_decode_is_a_bad_option(known: World, value: str) -> None:
    sent = known.send(with_option(known.device.protect(GET)[0], bytes.fromhex(value)))
    plain_error(sent, codes.BAD_OPTION, "Failed to decode COSE")
    assert known.resource.seen == []


@pytest.mark.clause("RFC8613-2")
def test_a_message_with_the_option_and_without_payload_is_malformed(known: World) -> None:
    protected, _ = known.device.protect(GET)
    plain_error(known.send(Message(codes.POST, protected.options)), codes.BAD_OPTION, "Failed to decode COSE")


@pytest.mark.clause("RFC8613-8.2")
def test_an_unknown_context_is_told(known: World) -> None:
    stranger = Device(sender_id=b"\x0b")
    plain_error(known.send(stranger.protect(GET)[0]), codes.UNAUTHORIZED, "Security context not found")
    assert known.contexts.told == ["refused: no device has this context"]


@pytest.mark.clause("RFC8613-8.2")
@pytest.mark.parametrize("part", ["ciphertext", "tag", "short", "number"])
def test_what_was_changed_on_the_way_does_not_decrypt(known: World, part: str) -> None:
    protected, _ = known.device.protect(PUT)
    payload = protected.payload
    if part == "number":
        value = protected.first(option.OSCORE) or b""
        protected = with_option(protected, value[:1] + b"\x70" + value[2:])
    else:
        changed = {"ciphertext": b"\0" + payload[1:], "tag": payload[:-1] + b"\0", "short": payload[:3]}[part]
        protected = Message(protected.code, protected.options, changed, protected.token)
    plain_error(known.send(protected), codes.BAD_REQUEST, "Decryption failed")
    assert known.resource.seen == []


def test_what_does_not_decrypt_leaves_the_replay_window_alone(known: World) -> None:
    protected, request = known.device.protect(PUT)
    known.send(Message(protected.code, protected.options, b"forged" * 4, protected.token))
    assert known.device.unprotect(known.send(protected).response, request).code == codes.CONTENT


@pytest.mark.clause("RFC8613-7.4")
def test_a_replayed_request_is_not_executed(known: World) -> None:
    protected, _ = known.device.protect(PUT)
    known.send(protected)
    plain_error(known.send(protected), codes.UNAUTHORIZED, "Replay detected")
    elsewhere = Peer(None, "203.0.113.9:1", False, False, True)
    plain_error(known.send(protected, elsewhere), codes.UNAUTHORIZED, "Replay detected")
    assert len(known.resource.seen) == 1


@pytest.mark.clause("RFC8613-7.4")
def test_requests_may_come_out_of_order_within_the_window(known: World) -> None:
    made = [known.device.protect(PUT)[0] for _ in range(40)]
    for each in reversed(made[8:]):
        assert known.send(each).response.code == codes.CHANGED
    for each in made[:8]:
        plain_error(known.send(each), codes.UNAUTHORIZED, "Replay detected")
    assert len(known.resource.seen) == 32


@pytest.mark.parametrize(
    ("inside", "code"),
    [
        (b"\x01\xbd", codes.BAD_REQUEST),  # an option that is cut short
        (b"\x01\x90", codes.BAD_OPTION),  # OSCORE inside of OSCORE
        (b"\x45", codes.BAD_REQUEST),  # a response
        (b"\x00", codes.BAD_REQUEST),
    ],
)
def test_what_is_wrong_inside_is_answered_inside(known: World, inside: bytes, code: int) -> None:
    [(kid, _, context)] = known.contexts.known
    piv, secret = b"\x55", Secret(SECRET, SALT, ID_CONTEXT)
    additional = oscore.additional_data(10, kid, piv)
    sealed = secret.cipher(kid).encrypt(oscore.nonce(kid, piv, context.common_iv), inside, additional)
    value = oscore.compress(oscore.Compressed(piv, kid, ID_CONTEXT))
    response = known.send(Message(codes.POST, ((option.OSCORE, value),), sealed)).response
    assert response.options == ((option.OSCORE, b""),)
    nonce = oscore.nonce(kid, piv, context.common_iv)
    assert secret.cipher(b"B").decrypt(nonce, response.payload, additional)[0] == code
    assert known.resource.seen == []


def test_a_group_gets_no_answer(known: World) -> None:
    sent = Sent(known.peer, known.device.protect(GET)[0], multicast=True)
    known.layer.handle(sent)
    assert (sent.responses, known.resource.seen) == ([], [])


# After a start. -------------------------------------------------------------------------------------


@pytest.mark.clause("RFC8613-B.1.2")
def test_after_a_start_the_first_request_is_asked_for_echo(world: World) -> None:
    protected, request = world.device.protect(PUT)
    sent = world.send(protected)
    [(number, value)] = sent.response.options
    assert (number, value[:1]) == (option.OSCORE, b"\x01")  # with a Partial IV of our own
    answer = world.device.unprotect(sent.response, request)
    [(echo_number, echo)] = answer.options
    assert (answer.code, echo_number, answer.payload) == (codes.UNAUTHORIZED, option.ECHO, b"")
    assert world.resource.seen == []
    assert world.contexts.told == []  # nobody has come in

    protected, request = world.device.protect(with_echo(PUT, echo))
    assert world.device.unprotect(world.send(protected).response, request).code == codes.CONTENT
    assert len(world.resource.seen) == 1
    protected, request = world.device.protect(PUT)  # from then on without
    assert world.device.unprotect(world.send(protected).response, request).code == codes.CONTENT


@pytest.mark.clause("RFC8613-7.5")
@pytest.mark.clause("RFC8613-B.1.2")
def test_what_was_recorded_before_a_start_is_never_executed(known: World) -> None:
    recorded, request = known.device.protect(PUT)
    known.send(recorded)
    known.resource.seen.clear()
    known.contexts.known.clear()
    known.contexts.add("sensor-7")
    known.restarted(b"n" * 16)
    for _ in range(3):  # from anywhere
        peer = Peer(None, "203.0.113.9:1", False, False, True)
        assert known.device.unprotect(known.send(recorded, peer).response, request).code == codes.UNAUTHORIZED
    assert known.ask(GET).code == codes.CONTENT  # the device itself gets in
    known.resource.seen.clear()
    answer = known.send(recorded).response
    assert answer.code in (codes.UNAUTHORIZED, codes.CHANGED)
    assert known.resource.seen == []


def test_an_echo_of_an_earlier_run_does_not_count(world: World) -> None:
    protected, request = world.device.protect(PUT)
    echo = world.device.unprotect(world.send(protected).response, request).first(option.ECHO)
    assert echo is not None
    world.restarted(b"n" * 16)
    protected, request = world.device.protect(with_echo(PUT, echo))
    assert world.device.unprotect(world.send(protected).response, request).code == codes.UNAUTHORIZED
    assert world.resource.seen == []


def test_requests_on_their_way_at_the_start_get_in_in_any_order(world: World) -> None:
    """Both were asked for Echo; the one that answers later has the lower number, and is no replay."""
    first, request = world.device.protect(PUT)
    echo = world.device.unprotect(world.send(first).response, request).first(option.ECHO)
    assert echo is not None
    slow, slow_request = world.device.protect(with_echo(PUT, echo))
    quick, _ = world.device.protect(with_echo(PUT, echo))
    world.send(quick)
    assert world.device.unprotect(world.send(slow).response, slow_request).code == codes.CONTENT
    plain_error(world.send(slow), codes.UNAUTHORIZED, "Replay detected")
    assert len(world.resource.seen) == 2


def test_whoever_replays_old_requests_uses_up_few_sequence_numbers(world: World) -> None:
    recorded, _ = world.device.protect(PUT)
    answers = [world.send(recorded).response for _ in range(1000)]
    assert world.contexts.sequence <= 10
    assert answers[-1].code == codes.UNAUTHORIZED
    assert answers[-1].payload == b"Replay detected"
    world.clock.now += 1.0
    assert world.send(recorded).response.first(option.OSCORE) is not None  # the device is not kept out


def test_without_sequence_numbers_the_hub_says_so(world: World) -> None:
    world.contexts.exhausted = True
    response = world.send(world.device.protect(PUT)[0]).response
    assert (response.code, response.has(option.OSCORE)) == (codes.SERVICE_UNAVAILABLE, False)
    assert world.resource.seen == []


# Addresses. -----------------------------------------------------------------------------------------


@pytest.mark.clause("RFC9175-2.4")
def test_from_a_new_address_what_may_be_large_is_asked_for_echo_first(known: World) -> None:
    known.resource.text = b"x" * 1000
    elsewhere = Peer(None, "203.0.113.9:1", False, False, False)
    protected, request = known.device.protect(GET)
    sent = known.send(protected, elsewhere)
    assert len(sent.response.payload) <= 3 * len(protected.payload)
    answer = known.device.unprotect(sent.response, request)
    echo = answer.first(option.ECHO)
    assert echo is not None
    assert not elsewhere.proven
    victim = Peer(None, "198.51.100.1:1", False, False, False)  # an Echo counts at its own address
    protected, request = known.device.protect(with_echo(GET, echo))
    assert known.device.unprotect(known.send(protected, victim).response, request).code == codes.UNAUTHORIZED
    assert known.resource.seen == []
    protected, request = known.device.protect(with_echo(GET, echo))
    assert known.device.unprotect(known.send(protected, elsewhere).response, request).payload == b"x" * 1000
    assert elsewhere.proven


def test_an_address_that_was_proven_stays_so_for_the_context_when_its_peer_was_forgotten(known: World) -> None:
    again = Peer(None, known.peer.address, False, False, False)
    protected, request = known.device.protect(GET)
    assert known.device.unprotect(known.send(protected, again).response, request).code == codes.CONTENT
    assert again.proven


# Observe. -------------------------------------------------------------------------------------------


def observed(world: World) -> tuple[Sent, Exchange, Any]:
    protected, request = world.device.protect(OBSERVE)
    assert protected.code == codes.FETCH
    sent = world.send(protected)
    return sent, world.resource.seen[-1], request


@pytest.mark.clause("RFC8613-4.1.3.5")
@pytest.mark.clause("RFC8613-8.3.1")
def test_notifications_have_partial_ivs_of_their_own(known: World) -> None:
    sent, inner, request = observed(known)
    assert sent.response.code == codes.CONTENT
    assert sent.response.first(option.OBSERVE) == b"\5"
    first = known.device.unprotect(sent.response, request)
    assert (first.payload, first.has(option.OBSERVE)) == (b"22.5", True)

    class Ears(Watcher):
        pass

    ears = Ears()
    for number, text in enumerate((b"22.6", b"22.7")):
        notification = Message(codes.CONTENT, ((option.OBSERVE, uint_value(6 + number)),), text)
        assert inner.notify(notification, number == 1, ears, number)
    values = [each.first(option.OSCORE) or b"" for each in (sent.response, *(each[0] for each in sent.notified))]
    assert [value[:1] for value in values] == [b"\1", b"\1", b"\1"]
    assert values == sorted(set(values))
    for number, (notification, confirmable, watcher, told) in enumerate(sent.notified):
        assert (notification.code, notification.first(option.OBSERVE)) == (codes.CONTENT, uint_value(6 + number))
        assert (confirmable, watcher, told) == (number == 1, ears, number)
        assert known.device.unprotect(notification, request).payload == (b"22.6", b"22.7")[number]
    inner.ended()
    assert sent.over


@pytest.mark.clause("RFC8613-4.1.3.5")
def test_a_second_answer_never_has_the_nonce_of_the_request(known: World) -> None:
    sent, inner, request = observed(known)
    inner.respond(Message(codes.NOT_FOUND))
    last = sent.responses[-1]
    assert (last.first(option.OSCORE) or b"")[:1] == b"\1"
    assert known.device.unprotect(last, request).code == codes.NOT_FOUND


def test_without_sequence_numbers_no_notification_goes_out(known: World) -> None:
    sent, inner, _ = observed(known)
    known.contexts.exhausted = True
    assert not inner.notify(Message(codes.CONTENT, ((option.OBSERVE, b"\6"),), b"x"), False, None, 1)
    assert sent.notified == []


@pytest.mark.clause("RFC8613-7.1")
def test_an_answer_belongs_to_its_request(known: World) -> None:
    protected, _ = known.device.protect(GET)
    _, other = known.device.protect(GET)
    response = known.send(protected).response
    with pytest.raises(NotVerified):
        known.device.unprotect(response, other)


# The replay window. ---------------------------------------------------------------------------------


@pytest.mark.clause("RFC8613-7.4")
@given(st.lists(st.integers(0, 100), max_size=60), st.integers(1, 40))
def test_the_window_accepts_each_number_once(numbers: list[int], size: int) -> None:
    """Against the plain rule: new if it was not seen, and less than `size` behind the highest."""
    window = ReplayWindow(size)
    seen: set[int] = set()
    for number in numbers:
        fits = not seen or number > max(seen) - size
        expected = NEW if number not in seen and fits else REPLAYED
        assert window.judge(number, True) == expected
        if expected == NEW:
            window.take(number)
            seen.add(number)


@pytest.mark.clause("RFC8613-B.1.2")
def test_numbers_below_the_first_fresh_one_need_to_be_fresh_too() -> None:
    window = ReplayWindow()
    assert window.judge(20, False) == UNSURE
    window.take(20)
    assert [window.judge(each, False) for each in (19, 20, 21)] == [UNSURE, REPLAYED, NEW]
    assert [window.judge(each, True) for each in (19, 20, 21)] == [NEW, REPLAYED, NEW]
    window.take(19)
    assert window.judge(19, True) == REPLAYED
