"""The one enforcement point: every publish, subscription, Will and delivery passes here.

Nothing else in the hub asks a principal's permissions, but for the routes that this door has made by the
router and the dispatcher below it; `Router.permissions_changed` makes every route be judged anew.
"""

from __future__ import annotations

from typing import Final, NoReturn

from bridgehead.broker.counters import Counters
from bridgehead.broker.dispatch import Dispatcher
from bridgehead.broker.events import (
    PUBLISH_DENIED,
    PUBLISH_REFUSED,
    SUBSCRIBE_DENIED,
    SUBSCRIPTION_WITHDRAWN,
    WILL_DENIED,
    WILL_PUBLISHED,
    EventSink,
    told,
)
from bridgehead.broker.journal import Journal
from bridgehead.broker.limits import Limits
from bridgehead.broker.reading import Reading
from bridgehead.broker.sessions import DueWill
from bridgehead.broker.undoing import ForgetReceived, RestoreRetained, RestoreSubscription
from bridgehead.core.clearance import because_of, explain_tagging, forbidden_tag
from bridgehead.core.clock import Clock
from bridgehead.core.errors import (
    FILTER_INVALID,
    NOT_AUTHORIZED,
    PAYLOAD_FORMAT_INVALID,
    QUOTA_EXCEEDED,
    Refusal,
)
from bridgehead.core.message import NEVER, Message, Origin
from bridgehead.core.permission import MAYBE
from bridgehead.core.policy import Decision, Principal
from bridgehead.core.retained import Retained
from bridgehead.core.router import Router
from bridgehead.core.session import Receiver, Replay, Session, Subscription, Will
from bridgehead.core.topic import check_topic_filter, has_more_levels, shown

# Retained messages below it speak of the running hub: they are not kept for the next one.
OF_THIS_RUN: Final = "$SYS/"
_RETAINED_FULL: Final = "the hub holds as many retained messages as it may"
NOBODY: Final = -1  # publish: no subscription matched


class Door(Reading):
    """Decides, tells why not, and lets through."""

    def __init__(
        self,
        router: Router,
        retained: Retained,
        dispatcher: Dispatcher,
        journal: Journal,
        clock: Clock,
        limits: Limits,
        counters: Counters,
        event: EventSink,
    ) -> None:
        super().__init__(retained, clock, limits, event)
        self._router: Final = router
        self._dispatcher: Final = dispatcher
        self._journal: Final = journal
        self._counters: Final = counters
        self._principals: dict[str, Principal] = {}

    # Publish. ---------------------------------------------------------------------------------------

    def publish(self, principal: Principal, message: Message, receiver: Receiver | None) -> int:
        """Let the message in, or raise Refusal.

        Returns the ticket that `receiver` (the publisher) waits for before it acknowledges, 0 when there is
        nothing to wait for, NOBODY (-1) when nothing matched and nothing was kept. The publisher is told of
        the ticket by `receiver.committed`.
        """
        topic = message.topic
        bit = message.qos + 3 if message.retain else message.qos
        mask = principal.publish_mask(topic)
        if not (mask >> bit) & 1:
            self._look_closer(principal, topic, message, message.retain, mask >> MAYBE >> bit & 1 == 1)
        self._counters.messages_received += 1
        route = self._router.known_route(topic)
        if route is None:
            try:
                self._check_name(topic)
            except Refusal as refusal:
                self._refuse(principal, message, refusal.meaning, refusal.because)
            route = self._router.route(topic)
        if route.unverified is not None and not message.origin.verified:
            route = route.unverified
        if message.origin.tags:
            self._check_tags(principal, message)
            route = self._router.cleared(route, message.origin.tags)
        if message.properties.is_text:
            self._check_text(principal, message)
        journal = self._journal
        before = journal.writes
        if message.retain:
            self._retain(principal, message, receiver is None)
        reached = self._dispatcher.dispatch(message, route)
        if journal.writes != before:
            # It may be kept long: what can be made again is not kept with it.
            message.record = None
            message.encoded = None
            if receiver is not None and message.qos:
                return journal.wait(receiver)
            return 0
        return 0 if reached or message.retain else NOBODY

    def publish_once(self, session: Session, message: Message, identifier: int, receiver: Receiver) -> int:
        """As `publish`, exactly once: a message whose identifier the session already holds is not let in a
        second time (MQTT 5.0 section 4.3.3, method B)."""
        received = session.received
        if received is None:
            received = {}
            session.received = received
        kept = received.get(identifier)
        if kept is not None:
            # The batch of the first attempt and no later one: what has lasted already cannot be refused any more.
            return self._journal.wait_for(receiver, kept)
        if session.log:
            # A session that lasts may send it again when it is refused: until it lasts nobody gets it.
            self._journal.holding = True
            try:
                self.publish(session.principal, message, receiver)
            finally:
                self._journal.holding = False
            ticket = self._journal.put_received(session, identifier)
            self._journal.wait(receiver)
        else:
            ticket = self.publish(session.principal, message, receiver)
        received[identifier] = max(ticket, 0)
        if ticket > 0:
            self._journal.undo_with(ForgetReceived(session, identifier))
        return ticket

    def release(self, session: Session, identifier: int, receiver: Receiver) -> int:
        """The publisher knows that its message arrived: the identifier is free. Returns the ticket to wait
        for before it is told, -1 when the identifier is unknown."""
        if session.received is None or session.received.pop(identifier, -1) < 0:
            return -1
        if not session.log:
            return 0
        self._journal.delete_received(session, identifier)
        return self._journal.wait(receiver)

    def settled(self, session: Session, receiver: Receiver) -> int:
        """The ticket to wait for until everything that was done for the session up to now lasts."""
        return self._journal.wait(receiver) if session.log else 0

    def permit_message(self, principal: Principal, topic: str, message: Message) -> None:
        """As `publish`, but for the delivery, to what has this topic for the policy alone (a queue, an exchange): the
        caller has checked its name. Raises Refusal."""
        mask = principal.publish_mask(topic)
        if not (mask >> message.qos) & 1:
            self._look_closer(principal, topic, message, False, mask >> MAYBE >> message.qos & 1 == 1)
        self._counters.messages_received += 1
        if message.origin.tags:
            self._check_tags(principal, message)
        if message.properties.is_text:
            self._check_text(principal, message)

    # Publish in two steps: for messages that wait for their transaction. -----------------------------

    def judge(self, principal: Principal, message: Message) -> None:
        """As `publish`, but for the delivery: counted for rates and quotas. Raises Refusal."""
        topic = message.topic
        bit = message.qos + 3 if message.retain else message.qos
        mask = principal.publish_mask(topic)
        if not (mask >> bit) & 1:
            self._look_closer(principal, topic, message, message.retain, mask >> MAYBE >> bit & 1 == 1)
        self._counters.messages_received += 1
        self._check_name(topic)
        if message.origin.tags:
            self._check_tags(principal, message)
        if message.properties.is_text:
            self._check_text(principal, message)

    def still_permits(self, principal: Principal, message: Message, retain: bool) -> None:
        """Whether what was judged may be let in now. Raises Refusal: NOT_AUTHORIZED, QUOTA_EXCEEDED."""
        topic, origin = message.topic, message.origin
        decision = principal.explain_publish(topic, message.qos, retain, message.payload_length, origin.verified)
        if not decision.permit:
            self.deny(topic, origin, True, decision.because)
        if retain and self._is_full_of_retained(message):
            raise Refusal(QUOTA_EXCEEDED, _RETAINED_FULL)

    def let_in(self, message: Message) -> None:
        """Deliver what was judged. Nothing refuses it any more; the journal keeps what must last until it does."""
        route = self._router.known_route(message.topic) or self._router.route(message.topic)
        if route.unverified is not None and not message.origin.verified:
            route = route.unverified
        if message.origin.tags:
            route = self._router.cleared(route, message.origin.tags)
        before = self._journal.writes
        if message.retain:
            self._set_retained(message, True)
        self._dispatcher.dispatch(message, route)
        if self._journal.writes != before:
            message.record = None
            message.encoded = None

    def _check_tags(self, principal: Principal, message: Message) -> None:
        """To give a message a data tag is to publish the tag's topic."""
        origin = message.origin
        tag = forbidden_tag(principal, origin.tags, origin.verified)
        if tag:
            decision = explain_tagging(principal, tag, origin.verified)
            self.deny(message.topic, origin, True, because_of(tag, decision))

    def _look_closer(self, principal: Principal, topic: str, message: Message, retain: bool, perhaps: bool) -> None:
        """The topic alone does not permit it. `perhaps`: its payload, its origin, a rate or a quota decide."""
        decision: Decision | None
        if perhaps:
            decision = principal.take(
                topic,
                message.qos,
                retain,
                message.payload_length,
                message.weight,
                message.origin.verified,
                self._clock.now,
            )
            if decision is None:
                return
            if decision.meaning != NOT_AUTHORIZED:
                self._refuse(principal, message, decision.meaning, decision.because)
        else:
            decision = principal.explain_publish(topic, message.qos, retain)
        self._counters.messages_refused += 1
        self._event(
            PUBLISH_DENIED,
            {
                **told(message.origin),
                "topic": topic,
                "qos": message.qos,
                "retain": retain,
                "because": decision.because,
            },
        )
        raise Refusal(NOT_AUTHORIZED, decision.because)

    def _refuse(self, principal: Principal, message: Message, meaning: str, because: str) -> None:
        self._counters.messages_refused += 1
        self._event(PUBLISH_REFUSED, {**told(message.origin), "topic": message.topic, "because": because})
        # Made here and named nowhere: a frame that names what it raises is a cycle, and would keep message and packet.
        raise Refusal(meaning, because)

    def _check_text(self, principal: Principal, message: Message) -> None:
        try:
            message.payload.decode("utf-8", "strict")
        except UnicodeDecodeError:
            self._refuse(principal, message, PAYLOAD_FORMAT_INVALID, "the payload is said to be UTF-8 and is not")

    def _retain(self, principal: Principal, message: Message, keep: bool) -> None:
        """Set, replace or (empty payload) clear the topic's retained message ([MQTT-3.3.1-5] to -7). `keep`: there
        is nobody to tell when it cannot be made durable."""
        if message.payload_length and self._is_full_of_retained(message):
            self._refuse(principal, message, QUOTA_EXCEEDED, _RETAINED_FULL)
        self._set_retained(message, keep)

    def _is_full_of_retained(self, message: Message) -> bool:
        if message.payload_length == 0:
            return False
        retained = self._retained
        limits = self._limits
        before = retained.get(message.topic)
        if before is None:
            return (
                len(retained) >= limits.retained_messages or retained.octets + message.weight > limits.retained_octets
            )
        more = message.weight - before.weight
        return more > 0 and retained.octets + more > limits.retained_octets

    def _set_retained(self, message: Message, keep: bool) -> None:
        retained = self._retained
        lasts = not message.topic.startswith(OF_THIS_RUN)
        if message.payload_length == 0:
            before = retained.discard(message.topic)
            if before is not None and lasts:
                self._journal.delete_retained(message.topic)
            return
        if lasts and not keep:
            self._journal.undo_with(RestoreRetained(retained, self._journal, message))
        retained.put(message)
        if lasts:
            self._journal.put_retained(message, keep)

    # What is neither a message nor a subscription, and has a topic's name for the policy. -------------

    def permit(self, principal: Principal, topic: str, origin: Origin, publish: bool, retain: bool = False) -> Decision:
        """The decision that permits to write (`publish`; `retain`: to make and unmake) or to read what the topic stands
        for; raises Refusal."""
        self._check_name(topic)
        if publish:
            decision = principal.explain_publish(topic, 0, retain, -1, origin.verified)
        else:
            decision = principal.explain_receive(topic, origin.verified)
        if not decision.permit:
            self.deny(topic, origin, publish, decision.because)
        return decision

    def permit_writing(self, principal: Principal, topic: str, origin: Origin, octets: int) -> Decision:
        """As `permit` to write so many octets, which count like a message: for the largest payload, rate and quota."""
        decision = self.permit(principal, topic, origin, True)
        if not principal.publish_mask(topic) & 1:
            refused = principal.take(topic, 0, False, octets, octets, origin.verified, self._clock.now)
            if refused is not None:
                if refused.meaning == NOT_AUTHORIZED:
                    self.deny(topic, origin, True, refused.because)
                self._event(PUBLISH_REFUSED, {**told(origin), "topic": topic, "because": refused.because})
                raise Refusal(refused.meaning, refused.because)
        return decision

    def deny(self, topic: str, origin: Origin, publish: bool, because: str) -> NoReturn:
        """Tell it and raise Refusal: what the topic stands for is not for this one."""
        event = PUBLISH_DENIED if publish else SUBSCRIBE_DENIED
        name = "topic" if publish else "filter"
        self._event(event, {**told(origin), name: topic, "because": because})
        raise Refusal(NOT_AUTHORIZED, because)

    # Subscribe. -------------------------------------------------------------------------------------

    def subscribe(self, subscription: Subscription) -> int:
        """Add or replace a subscription; returns the granted QoS. Raises Refusal.

        Its retained messages come by `Dispatcher.next_replay`, what waits for other members of its group by
        `Dispatcher.reclaim_group`; what must last is awaited by the caller with `settled`.
        """
        session = subscription.session
        principal = session.principal
        topic_filter = subscription.topic_filter
        limits = self._limits
        if has_more_levels(topic_filter, limits.topic_levels):
            raise Refusal(FILTER_INVALID, f"the Topic Filter has more than {limits.topic_levels} levels")
        check_topic_filter(topic_filter)
        permitted = principal.subscribable_qos(topic_filter)
        if permitted < 0:
            because = principal.explain_subscribe(topic_filter).because
            self._event(
                SUBSCRIBE_DENIED,
                {**told(session.origin), "filter": subscription.key, "because": because},
            )
            raise Refusal(NOT_AUTHORIZED, because)
        known = session.subscriptions.get(subscription.key)
        if known is None:
            if len(session.subscriptions) >= limits.subscriptions_per_session:
                raise Refusal(QUOTA_EXCEEDED, f"the session has {limits.subscriptions_per_session} subscriptions")
            if self._router.subscriptions >= limits.subscriptions:
                raise Refusal(QUOTA_EXCEEDED, "the hub holds as many subscriptions as it may")
            held = principal.root.subscription_octets
            if held + subscription.weight > limits.subscription_octets_per_identity:
                raise Refusal(
                    QUOTA_EXCEEDED, f"the Topic Filters of {principal.name!r} take as much memory as they may"
                )
            if self._router.octets + subscription.weight > limits.subscription_octets:
                raise Refusal(QUOTA_EXCEEDED, "the hub's Topic Filters take as much memory as they may")
        granted = min(subscription.qos, permitted)
        if granted < subscription.qos:
            # [MQTT-3.8.4-8]: what is delivered keeps to what was granted, also where a topic would permit more.
            subscription = subscription.with_qos(granted)
        self._router.add(subscription)
        ticket = 0
        if session.log:
            ticket = self._journal.put_subscription(subscription)
            self._journal.undo_with(RestoreSubscription(self._router, subscription, known))
        replays = subscription.retain_handling == 0 or (subscription.retain_handling == 1 and known is None)
        if replays and not subscription.share:
            walk = self._retained.walk(topic_filter)
            self._dispatcher.replay(session, Replay(walk, subscription, self._retained.revision, ticket))
        return granted

    def unsubscribe(self, session: Session, key: str) -> bool:
        """Remove a subscription by its filter as it was subscribed. False when there was none."""
        if self._router.remove(session, key) is None:
            return False
        if session.log:
            self._journal.delete_subscription(session, key)
        return True

    # Wills. -----------------------------------------------------------------------------------------

    def check_will(self, principal: Principal, will: Will, origin: Origin) -> None:
        """Raise Refusal when the principal may not publish this Will over the connection of `origin`. It is asked again
        when it is due, and counted then."""
        self._check_name(will.topic)
        if will.properties.is_text:
            try:
                will.payload.decode("utf-8", "strict")
            except UnicodeDecodeError:
                raise Refusal(PAYLOAD_FORMAT_INVALID, "the Will Payload is said to be UTF-8 and is not") from None
        decision = principal.explain_publish(will.topic, will.qos, will.retain, len(will.payload), origin.verified)
        if not decision.permit:
            self._event(WILL_DENIED, {**told(origin), "topic": will.topic, "because": decision.because})
            raise Refusal(decision.meaning, decision.because)

    def publish_will(self, waiting: DueWill) -> None:
        """Publish a Will that is due, as its principal, with the permissions of today."""
        who = {**told(waiting.origin), "topic": waiting.will.topic}
        principal = self._principals.get(waiting.principal)
        if principal is None:
            self._event(WILL_DENIED, {**who, "because": "the identity does not exist any more"})
            return
        if waiting.context is not None:
            principal = principal.under(waiting.context)
        will = waiting.will
        expires_at = NEVER if will.expiry_interval is None else self._clock.now + will.expiry_interval
        message = Message(will.topic, will.payload, will.qos, will.retain, waiting.origin, will.properties, expires_at)
        self._journal.keeping = True
        try:
            self.publish(principal, message, None)
        except Refusal as refusal:
            self._event(WILL_DENIED, {**who, "because": refusal.because})
            return
        finally:
            self._journal.keeping = False
        self._event(WILL_PUBLISHED, who)

    # Identities. ------------------------------------------------------------------------------------

    def admit(self, principal: Principal) -> None:
        """The principal exists; the same root serves as long as it does."""
        self._principals[principal.name] = principal.root

    def principal(self, name: str) -> Principal | None:
        return self._principals.get(name)

    def expel(self, name: str) -> None:
        """The principal does not exist any more."""
        self._principals.pop(name, None)
        self._router.permissions_changed()

    def permissions_changed(self) -> None:
        """Some principal was amended: judge every route anew."""
        self._router.permissions_changed()

    def rejudge(self, session: Session) -> list[str]:
        """Remove the session's subscriptions that would not be granted today, and what is to be replayed of them;
        returns a sentence for each. What is delivered for the others is judged as it always is."""
        principal = session.principal
        sentences: list[str] = []
        for key, subscription in list(session.subscriptions.items()):
            if principal.subscribable_qos(subscription.topic_filter) >= 0:
                continue
            because = principal.explain_subscribe(subscription.topic_filter).because
            self.unsubscribe(session, key)
            self._event(SUBSCRIPTION_WITHDRAWN, {**told(session.origin), "filter": key, "because": because})
            sentences.append(f"the subscription to {shown(key)} was withdrawn: {because}")
        return sentences
