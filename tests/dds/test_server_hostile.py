"""What is no sample, over the network: Cyclone's checks and the hub's decoder stop it, and the domain goes on.

(How much of the hostile writer's own stream comes is up to Cyclone.)
"""

from __future__ import annotations

import asyncio
import sys

import pytest

from bridgehead.protocols.dds.codec.errors import CdrError
from bridgehead.protocols.dds.mapping.settings import RouteQos
from tests.dds.keyed import KEYED, sample
from tests.dds.rim import Other, hub, joined, route, until

TIME = 1_700_000_000_000_000_000


@pytest.mark.parametrize("seed", range(2))
async def test_mutated_samples_do_no_harm(domain: int, seed: int) -> None:
    config = route(domain, qos=RouteQos(depth=0))
    with joined(domain) as opened:
        async with hub(opened, config) as at:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "tests.dds.hostile_peer", str(domain), str(seed)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            try:
                assert process.stdin is not None
                assert process.stdout is not None
                await until(lambda: at.route.writers, "it is matched")
                process.stdin.write(b"begin\n")
                assert await process.stdout.readline() == b"written\n"
                last = sample(7, 7, b"the end")
                other = Other(opened, config)
                writer = other.writer()
                await until(lambda: len(at.route.writers) == 2, "another writer is matched")
                writer.write(last, TIME)
                await until(lambda: last in [each.data for each in at.route.samples], "its sample came")
                await until(lambda: len(at.route.samples) > 200, "the hostile one's came")
                decoded = refused = 0
                for each in at.route.samples:
                    try:
                        decoded += bool((KEYED.codec.decode if each.valid else KEYED.codec.decode_keys)(each.data))
                    except CdrError:
                        refused += 1
                assert decoded > 100
                assert len(at.route.samples) == decoded + refused
                assert at.route.strangers == 0
            finally:
                process.kill()
                await process.wait()
