"""What `bridgehead pub` does in a DDS domain: one sample, or a sample per line of standard input, given as JSON."""

from __future__ import annotations

import asyncio
import sys
from typing import Final

from bridgehead.cli.client_options import warn
from bridgehead.cli.dds_options import DdsTarget
from bridgehead.cli.main import CommandError
from bridgehead.cli.publishing import SHOWN, standard_input_lines
from bridgehead.core.errors import Refusal
from bridgehead.protocols.dds.client import Client
from bridgehead.protocols.dds.codec.errors import Unencodable
from bridgehead.protocols.dds.cyclone import DdsError
from bridgehead.protocols.dds.idl import Compiled
from bridgehead.protocols.dds.mapping.json_form import JsonForm
from bridgehead.protocols.dds.mapping.settings import RouteConfig
from bridgehead.protocols.dds.route_types import described

OTHERS = 0.25  # seconds in which other readers are found, once the first is: nobody gets what was written before
_LOOK: Final = 0.2  # seconds between two looks at who asks for too much

# What offers a policy that a reader asks for.
_OFFERED: Final = {
    "Durability": "give --retain (TRANSIENT_LOCAL), or change the reader",
    "Liveliness": "give a shorter --lease, or change the reader",
    "Ownership": "give --strength where the reader wants exclusive ownership, and leave it out where it doesn't",
}


class _Samples:
    """Payloads to octets of a type."""

    def __init__(self, compiled: Compiled) -> None:
        self._codec = compiled.codec
        self._form = JsonForm(compiled.type)

    def octets(self, payload: bytes) -> bytes:
        """Raises CommandError, which names the field."""
        try:
            return self._codec.encode(self._form.from_json(payload))
        except Unencodable as fault:
            raise CommandError(str(fault)) from None
        except Refusal as fault:
            raise CommandError(fault.because) from None


async def publish_dds(target: DdsTarget, route: RouteConfig, qos: int, payload: bytes | None, patience: float) -> int:
    """Write `payload`, or each line of standard input when it is None; `patience` in seconds is for readers to be
    found, for each sample to find room, and for the last acknowledgements. The exit code; raises DdsError."""
    known = await asyncio.to_thread(described, route)
    samples = None if known is None else _Samples(known)
    octets = None if samples is None or payload is None else samples.octets(payload)
    client = Client(target.config, target.files)
    await client.open()
    try:
        compiled = known or await client.learn(route.dds_topic, patience)
        samples = samples or _Samples(compiled)
        if octets is None and payload is not None:
            octets = samples.octets(payload)
        client.use(route, compiled)
        await _found(client, route, patience)
        await asyncio.sleep(OTHERS)
        bad = 0
        if octets is not None:
            await _publish(client, octets, patience)
        else:
            bad = await _lines(client, samples, patience)
        if qos and not await client.acknowledged(patience):
            raise DdsError(f"not every reader acknowledged within {patience:g} s: look at them, or give more --timeout")
    finally:
        await client.close()
    return 1 if bad else 0


async def _found(client: Client, route: RouteConfig, patience: float) -> None:
    """Until somebody reads. Who asks for more than is offered is told of at once, as others may yet come. Raises
    DdsError."""
    unfit = ""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    while not await client.matched(min(_LOOK, max(0.0, deadline - loop.time()))):
        policy = client.incompatible()
        if policy and not unfit:
            warn(f"{_unfit(route, policy)}; waiting for another one")
        unfit = policy or unfit
        if loop.time() >= deadline:
            raise DdsError(_unfit(route, unfit) if unfit else _nobody(route, patience))


def _unfit(route: RouteConfig, policy: str) -> str:
    remedy = _OFFERED.get(policy, "change the reader")
    return f"a reader of {_where(route)} asks for more than is offered ({policy}): {remedy}"


def _where(route: RouteConfig) -> str:
    return f"topic {route.dds_topic} of domain {route.domain}"


def _nobody(route: RouteConfig, patience: float) -> str:
    where = _where(route)
    return (
        f"nobody read {where} within {patience:g} s: `bridgehead dds discover {route.domain}` shows who is there; "
        "check the topic's name, its type, --partition, --interface, --peer and --credentials"
    )


async def _publish(client: Client, octets: bytes, patience: float) -> None:
    try:
        async with asyncio.timeout(patience):
            await client.publish(octets)
    except TimeoutError:
        raise DdsError(f"readers took nothing within {patience:g} s: look at them, or give more --timeout") from None
    except Refusal as fault:
        raise CommandError(fault.because) from None


async def _lines(client: Client, samples: _Samples, patience: float) -> int:
    """Every line of standard input; how many were no samples."""
    number = bad = 0
    never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    async for line in standard_input_lines(never):
        number += 1
        try:
            await _publish(client, samples.octets(line), patience)
        except CommandError as fault:
            bad += 1
            if bad <= SHOWN:
                print(f"bridgehead pub: line {number}: {fault}", file=sys.stderr)
    if bad:
        print(f"bridgehead pub: {bad} of {number} lines were no samples of the type", file=sys.stderr)
    return bad
