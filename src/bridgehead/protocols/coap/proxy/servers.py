"""Asks other CoAP servers, each time over a connection of its own: nothing of one identity is left for another."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from typing import Final

from bridgehead.protocols.coap.client.client import Client, Security
from bridgehead.protocols.coap.client.errors import ConnectionFailed
from bridgehead.protocols.coap.codec import numbers
from bridgehead.protocols.coap.codec.message import Message, in_order
from bridgehead.protocols.coap.codec.uri import Uri, is_address
from bridgehead.transport.dtls.contract import DtlsIdentity


class OtherServers:
    """`trust`: the authorities of servers over TLS and DTLS, in PEM."""

    def __init__(self, trust: str, patience: float) -> None:
        self._trust: Final = trust
        self._patience: Final = patience

    async def ask(self, target: Uri, address: str, request: Message) -> Message:
        """Errors: OSError."""
        try:
            async with self._client(target, address) as client:
                return await client.request(_to(target, request))
        except ConnectionFailed as fault:
            raise OSError(str(fault)) from None

    async def observe(self, target: Uri, address: str, request: Message) -> AsyncIterator[Message]:
        """The representations, up to the answer that ends them. Errors: OSError."""
        try:
            async with self._client(target, address) as client:
                observation = client.observe(_to(target, request))
                while (found := await observation.next()) is not None:
                    yield found
                if observation.ended is not None:
                    yield observation.ended
        except ConnectionFailed as fault:
            raise OSError(str(fault)) from None

    def _client(self, target: Uri, address: str) -> Client:
        if target.secured:
            # By its name, which its certificate has to bear: whoever else the name leads to cannot show that.
            security = Security(
                tls=ssl.create_default_context(cadata=self._trust), dtls=DtlsIdentity(trust=self._trust)
            )
            return Client(target, security, self._patience)
        return Client(Uri(target.scheme, address, target.port, (), ()), None, self._patience)


def _to(target: Uri, request: Message) -> Message:
    """With the host's name, which the address that is asked does not tell."""
    if is_address(target.host):
        return request
    return request.with_options(in_order([*request.options, (numbers.URI_HOST, target.host.encode())]))
