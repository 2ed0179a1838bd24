"""A hub with records, two devices with all that CoAP knows, and no socket: what attacks between identities need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from bridgehead.core.policy import Context
from bridgehead.node.identities import Identities
from bridgehead.node.oscore import HubContexts
from bridgehead.protocols.coap.chain import make_chain
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.message import CON, Message, Option
from bridgehead.protocols.coap.config import CoapConfig
from bridgehead.protocols.coap.session.contract import Handler, Peer
from bridgehead.protocols.coap.session.echo import Echo
from bridgehead.security.identity.identity import Identity
from bridgehead.security.identity.wanted import Fresh, NewOscore, Wanted
from bridgehead.security.login.authenticate import Authenticator
from bridgehead.security.oscore.sequences import Sequences
from bridgehead.security.records import PermissionRecord
from tests.coap.dialogue import Client, Hub, SecuredClient
from tests.coap.oscore_device import Device
from tests.secrets.plugin import register

NOW = 1_800_000_000.0


class World:
    """`alice` owns "a/#" and `bob` "b/#"; both read "both/#". Plain UDP has no guest."""

    def __init__(self, folder: Path) -> None:
        self.hub: Hub | None = None
        self.identity = Identity(folder / "data", lambda: NOW if self.hub is None else self.hub.clock.now)
        self.events: list[tuple[str, dict[str, object]]] = []
        self.config = CoapConfig()
        self.new: dict[str, NewOscore] = {}
        self.devices: dict[str, Device] = {}
        self.add("alice", "a/#")
        self.add("bob", "b/#")
        self.attach: Callable[[Peer], None] = _nothing
        self.hub = Hub(self._make, guest=None, now=NOW)
        self.identities = Identities(self.authenticator, self.hub.broker)

    @property
    def house(self) -> Hub:
        assert self.hub is not None
        return self.hub

    def _hear(self, event: str, fields: Mapping[str, object]) -> None:
        self.events.append((event, dict(fields)))

    def add(self, name: str, *filters: str) -> None:
        permissions = [PermissionRecord(each, publish=True, subscribe=True) for each in filters]
        permissions.append(PermissionRecord("both/#", publish=False, subscribe=True))
        fresh = Fresh(psk="", oscore=True)
        with self.identity.enrolling(Wanted(name, permissions, fresh=fresh)) as enrolled:
            assert enrolled.oscore is not None
            register(enrolled.oscore.secret)
            self.new[name] = enrolled.oscore
            self.devices[name] = device_of(enrolled.oscore)

    def permit(self, name: str, *both: str, publish: str = "") -> None:
        """More than it has."""
        device = self.identity.registry.existing_device(name)
        more = [PermissionRecord(each, publish=True, subscribe=True) for each in both]
        if publish:
            more.append(PermissionRecord(publish, publish=True, subscribe=False))
        changed = replace(device, permissions=(*device.permissions, *more))
        self.identity.registry.update_device(changed, self.house.clock.now)
        self.follow()

    def _make(self, hub: Hub) -> Handler:
        self.hub = hub
        clock = lambda: hub.clock.now  # noqa: E731 - the hub's own
        self.authenticator = Authenticator(self.identity.registry, self._hear, clock=clock, vault=self.identity.vault)
        self.contexts = HubContexts(
            self.identity.registry,
            self.authenticator.principals,
            self.identity.vault,
            Sequences(self.identity.data, NOW),
            self._hear,
            clock,
        )
        chain = make_chain(hub.broker, self.config, self.contexts, Echo(b"a key by chance.", 600.0), hub.chance.random)
        self.attach = chain.attach
        return chain.handler

    def follow(self) -> None:
        """What the hub does fifty times a second."""
        self.identities.follow()
        self.house.settle()

    def close(self) -> None:
        self.authenticator.close()
        self.identity.close()

    # Who asks. --------------------------------------------------------------------------------------

    def secured(self, name: str, address: str) -> SecuredClient:
        """Over DTLS, by the device's pre-shared key."""
        hub = self.house
        device = self.identity.registry.existing_device(name)
        hub.principals[name] = self.authenticator.principals.of(device)
        client = hub.secured(name, "psk", address)
        party = client.peer.party
        assert party is not None
        assert party.principal.context is not None
        assert party.principal.context.key() == Context("coap", ("psk",)).key()
        [key] = device.pre_shared_keys
        party.marks = (f"psk {key.identity} {key.set_at}",)
        self.attach(client.peer)
        return client

    def plain(self, address: str) -> Client:
        return self.house.client(address)

    def protect(
        self,
        name: str,
        client: Client,
        code: int,
        path: str,
        payload: bytes = b"",
        options: Iterable[Option] = (),
        token: bytes | None = None,
    ) -> tuple[Message, Any]:
        return self.devices[name].protect(client.message(code, path, payload, options, CON, token))

    def ask(
        self,
        name: str,
        client: Client,
        code: int,
        path: str,
        payload: bytes = b"",
        options: tuple[Option, ...] = (),
        token: bytes | None = None,
    ) -> Message:
        """By the device's OSCORE context, once more if the hub asks for Echo."""
        protected, request = self.protect(name, client, code, path, payload, options, token)
        client.send(protected)
        answer = self.devices[name].unprotect(client.response(protected.token), request)
        echo = answer.first(option.ECHO)
        if answer.code != codes.UNAUTHORIZED or echo is None:
            self.bound = request
            return answer
        return self.ask(name, client, code, path, payload, (*options, (option.ECHO, echo)), token)


def _nothing(peer: Peer) -> None:
    """Until there is a chain."""


def device_of(new: NewOscore) -> Device:
    return Device(new.sender_id, new.recipient_id, new.id_context, new.secret, new.salt)
