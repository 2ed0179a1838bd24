"""What `bridgehead sub` does in a DDS domain: read a topic, print its samples as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Final

from bridgehead.cli.client_options import warn
from bridgehead.cli.dds_options import DdsTarget
from bridgehead.cli.subscribing import harmless
from bridgehead.protocols.dds.client import Client
from bridgehead.protocols.dds.codec.codec import Codec, key_holder
from bridgehead.protocols.dds.codec.errors import CdrError
from bridgehead.protocols.dds.idl import Compiled
from bridgehead.protocols.dds.mapping.json_form import JsonForm
from bridgehead.protocols.dds.mapping.settings import RouteConfig
from bridgehead.protocols.dds.route_types import described
from bridgehead.protocols.dds.session.ports import ALIVE, DISPOSED, NO_WRITERS, Sample

STATES: Final = {ALIVE: "alive", DISPOSED: "disposed", NO_WRITERS: "no writers"}
_PATIENCE: Final = 3600.0 * 24 * 365  # a subscriber waits for its topic as for its samples
_LOOK: Final = 0.5  # seconds between looks at writers that don't fit


class DdsReceiving:
    """How to print, when to end."""

    def __init__(self, verbose: bool, json_lines: bool, count: int | None, timeout: float | None) -> None:
        self.verbose: Final = verbose
        self.json_lines: Final = json_lines
        self.count: Final = count
        self.timeout: Final = timeout


async def subscribe_dds(target: DdsTarget, route: RouteConfig, receiving: DdsReceiving) -> int:
    """Print until the end; the exit code. Raises DdsError."""
    known = await asyncio.to_thread(described, route)
    client = Client(target.config, target.files)
    await client.open()
    printed = 0
    watching: asyncio.Task[None] | None = None
    try:
        async with asyncio.timeout(receiving.timeout):
            compiled = known or await client.learn(route.dds_topic, _PATIENCE)
            client.use(route, compiled)
            watching = asyncio.create_task(_watch(client, route))
            printer = _Printer(route, compiled, receiving)
            async for sample in client.samples():
                # What ends an instance is shown, and isn't counted: DDS gives no more than its key for it.
                printed += printer.show(sample)
                if receiving.count is not None and printed >= receiving.count:
                    break
    except TimeoutError:
        if receiving.count is not None:
            print(f"bridgehead sub: {printed} of {receiving.count} samples came in time", file=sys.stderr)
            return 1
    finally:
        if watching is not None:
            watching.cancel()
        await client.close()
    return 0


async def _watch(client: Client, route: RouteConfig) -> None:
    while True:
        policy = client.incompatible()
        if policy:
            warn(
                f"a writer of topic {route.dds_topic} isn't heard: it offers less than is asked for, or another kind "
                f"({policy})"
            )
        await asyncio.sleep(_LOOK)


class _Printer:
    def __init__(self, route: RouteConfig, compiled: Compiled, receiving: DdsReceiving) -> None:
        self._topic: Final = route.dds_topic
        self._codec: Final[Codec] = compiled.codec
        self._form: Final = JsonForm(compiled.type)
        self._keys: Final = JsonForm(key_holder(compiled.type))
        self._receiving: Final = receiving

    def show(self, sample: Sample) -> int:
        """One on standard output: 1, or 0 when it has no data."""
        try:
            if sample.valid:
                payload = self._form.to_json(self._codec.decode(sample.data))
            else:
                payload = self._keys.to_json(self._codec.decode_keys(sample.data)) if self._codec.has_keys else b"{}"
        except CdrError as fault:
            warn(f"a sample of topic {self._topic} is none of the type ({fault}): check --type")
            return 0
        self._print(sample, payload)
        return 1 if sample.valid else 0

    def _print(self, sample: Sample, payload: bytes) -> None:
        output = sys.stdout.buffer
        state = STATES.get(sample.state, str(sample.state))
        if self._receiving.json_lines:
            told = {
                "topic": self._topic,
                "state": state,
                "payload" if sample.valid else "key": json.loads(payload),
                "source_timestamp": sample.timestamp,
            }
            output.write(json.dumps(told, ensure_ascii=False).encode() + b"\n")
        elif self._receiving.verbose:
            words = [self._topic.encode()] if sample.valid else [self._topic.encode(), state.encode()]
            self._line(b" ".join([*words, payload]))
        elif sample.valid:
            self._line(payload)
        output.flush()

    @staticmethod
    def _line(line: bytes) -> None:
        # What a device sends must not steer the terminal of whoever looks at it.
        sys.stdout.buffer.write((harmless(line) if sys.stdout.isatty() else line) + b"\n")
