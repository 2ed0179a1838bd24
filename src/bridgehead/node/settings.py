"""From the configuration to the rooms that obey it. The same call applies a reloaded configuration live."""

from __future__ import annotations

from bridgehead.broker.limits import Limits
from bridgehead.node.configuration import Config
from bridgehead.protocols.amqp.config import AmqpConfig
from bridgehead.protocols.coap.codec.topic_properties import CodePoints
from bridgehead.protocols.coap.config import CoapConfig
from bridgehead.protocols.mqtt.config import MqttConfig
from bridgehead.security.login.authenticate import Authenticator
from bridgehead.security.login.brake import BrakeLimits
from bridgehead.security.login.guard import GuardLimits


def apply_limits(config: Config, limits: Limits) -> None:
    """Put the broker's ceilings in force. What already exceeds a lowered one stays; what is new is refused."""
    chosen = config.limits
    limits.queue_messages = chosen.queue_messages
    limits.queue_octets = chosen.queue_bytes
    limits.queue_octets_per_identity = chosen.queue_bytes_per_identity
    limits.sessions_per_principal = chosen.sessions_per_identity
    limits.subscriptions_per_session = chosen.subscriptions_per_session
    limits.subscriptions = chosen.subscriptions
    limits.subscription_octets_per_identity = chosen.subscription_bytes_per_identity
    limits.subscription_octets = chosen.subscription_bytes
    limits.topic_levels = chosen.topic_levels
    limits.retained_messages = chosen.retained_messages
    limits.retained_octets = chosen.retained_bytes
    limits.session_expiry_interval = chosen.session_expiry_maximum
    limits.will_delay_interval = chosen.will_delay_maximum
    queues = config.queues
    limits.named_queues = queues.count
    limits.named_queues_per_identity = queues.per_identity
    limits.named_queue_messages = queues.messages
    limits.named_queue_octets = queues.bytes
    limits.named_queue_octets_per_identity = queues.bytes_per_identity
    limits.all_named_queue_octets = queues.all_bytes
    limits.consumers_per_queue = queues.consumers
    limits.feeds_per_queue = queues.feeds


def apply_login(config: Config, authenticator: Authenticator) -> None:
    """Put the limits on logging in in force."""
    chosen = config.login

    def brake(free: int) -> BrakeLimits:
        return BrakeLimits(free, chosen.first_delay, chosen.longest_delay, chosen.forget, chosen.remembered_failures)

    authenticator.limit(
        GuardLimits(
            brake(chosen.tries_per_identity),
            brake(chosen.tries_per_address),
            chosen.tries_rate,
            float(chosen.tries_burst),
            chosen.lock_after,
            chosen.lock_seconds,
        ),
        chosen.waiting,
        chosen.waiting_per_address,
        chosen.remember,
    )


def apply_mqtt(config: Config, mqtt: MqttConfig) -> None:
    """Put MQTT's settings in force; sizes that were told in CONNACK stay as they are for those connections."""
    chosen = config.limits
    mqtt.maximum_packet_size = chosen.packet_size
    mqtt.receive_maximum = chosen.inflight
    mqtt.in_flight = chosen.inflight
    mqtt.topic_alias_maximum = chosen.topic_alias_maximum
    mqtt.keep_alive_maximum = chosen.keep_alive_maximum
    mqtt.connect_timeout = chosen.connect_timeout
    mqtt.outbox_octets = chosen.outbox_bytes
    mqtt.publish_rate = chosen.publish_rate
    mqtt.publish_burst = chosen.publish_burst
    mqtt.denied_publish_v3 = config.mqtt.denied_publish_v3
    mqtt.response_information = config.mqtt.response_information


def apply_coap(config: Config, coap: CoapConfig) -> None:
    """Put CoAP's settings in force. What was told to a client (Max-Message-Size) stays as it is."""
    chosen = config.coap
    coap.ack_timeout = chosen.ack_timeout
    coap.ack_random_factor = chosen.ack_random_factor
    coap.max_retransmit = chosen.max_retransmit
    coap.nstart = chosen.nstart
    coap.leisure = chosen.leisure
    coap.separate_after = chosen.separate_after
    coap.echo_required = chosen.echo_required
    coap.peers = chosen.clients
    coap.peer_idle = chosen.client_idle
    coap.remembered = chosen.remembered_bytes
    coap.max_message_size = chosen.message_size
    coap.pubsub.enabled = chosen.pubsub
    coap.pubsub.points = CodePoints(chosen.pubsub_content_format)
    coap.pubsub.topics = chosen.pubsub_topics
    coap.pubsub.topics_per_identity = chosen.pubsub_topics_per_identity
    coap.directory.enabled = chosen.directory
    coap.directory.registrations = chosen.directory_registrations
    coap.directory.registrations_per_identity = chosen.directory_registrations_per_identity
    coap.blocks.body = chosen.body_size
    coap.blocks.gathered = chosen.bodies_bytes
    coap.blocks.served = chosen.bodies_bytes
    coap.dtls_sessions = chosen.dtls_sessions
    coap.dtls_idle = chosen.dtls_idle
    coap.dtls_half_open = chosen.dtls_half_open
    coap.dtls_half_open_per_address = chosen.dtls_half_open_per_address
    coap.dtls_ticket = float(config.tls.ticket_lifetime)
    coap.dtls_connection_ids = chosen.dtls_connection_ids
    coap.stream_outbox = config.limits.outbox_bytes


def apply_amqp(config: Config, amqp: AmqpConfig) -> None:
    """Put AMQP's settings in force."""
    chosen = config.amqp
    amqp.connect_timeout = config.limits.connect_timeout
    amqp.outbox_octets = config.limits.outbox_bytes
    amqp.publish_rate = config.limits.publish_rate
    amqp.publish_burst = config.limits.publish_burst
    amqp.sasl_frame_octets = chosen.sasl_frame_size
    amqp.max_frame_size = chosen.max_frame_size
    amqp.channel_max = chosen.sessions - 1
    amqp.idle_timeout = chosen.idle_timeout
    amqp.frame_max = chosen.frame_max
    amqp.channels = chosen.channels
    amqp.heartbeat = float(chosen.heartbeat)
    amqp.nesting = chosen.nesting
    amqp.message_octets = chosen.message_size
    amqp.handle_max = chosen.handles - 1
    amqp.links = chosen.links
    amqp.credit = chosen.credit
    amqp.incoming_window = chosen.window
    amqp.outgoing_window = chosen.window
    amqp.unsettled = chosen.unsettled
    amqp.waiting_messages = chosen.waiting_messages
    amqp.waiting_octets = chosen.waiting_bytes
    amqp.selector_octets = chosen.selector_size
    amqp.dynamic_nodes = chosen.dynamic_nodes
    amqp.create_queues = chosen.create_queues
    amqp.prefetch = chosen.prefetch
    amqp.consumers = chosen.consumers
    amqp.exchanges = chosen.exchanges_per_identity
    amqp.bindings = chosen.bindings_per_identity
    amqp.transactions = chosen.transactions
    amqp.transaction_messages = chosen.transaction_messages
    amqp.transaction_octets = chosen.transaction_bytes


def waits_for_a_start(old: Config, new: Config) -> str:
    """The tables that differ and are not changed live, as they stand in the file; empty: none."""
    found = {
        "[store]": new.store != old.store,
        "[[token_issuer]]": new.token_issuers != old.token_issuers,
        "[kerberos]": new.kerberos != old.kerberos,
        "[proxy]": new.proxy != old.proxy,
    }
    return ", ".join(name for name, differs in found.items() if differs)
