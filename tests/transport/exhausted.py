"""A child of test_listener.py: a hub with few file descriptors, more clients than those, then fewer again."""

from __future__ import annotations

import asyncio
import json
import resource
import sys

from bridgehead.transport.shared import Shared
from tests.transport.tools import Echo, Hall, connect, read_exactly, until


async def main() -> None:
    shared = Shared()
    clients = []
    async with Hall(shared, owner=Echo) as hall:
        first = await hall.connect()
        await hall.owner()
        # From here on: room for about 20 more descriptors, and each client takes two of them.
        highest = first.fileno() + 20
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest, highest))
        try:
            while True:
                clients.append(await connect(hall.listener.port))
        except OSError:
            pass  # the client's side is out of descriptors too
        event = await hall.event("listener.accepting-paused")
        accepted = len(hall.owners)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(first, b"served all the same")
        alive = await read_exactly(first, 19)
        turns = 0
        while turns < 50:
            turns += 1
            await asyncio.sleep(0.001)
        events = len(hall.events)
        for client in clients:
            client.close()
        await until(lambda: all(owner.ends for owner in hall.owners[1:]))
        late = await hall.connect()
        await loop.sock_sendall(late, b"welcome")
        again = await read_exactly(late, 7)
        late.close()
        first.close()
        result = {
            "because": event["because"],
            "alive": alive.decode(),
            "again": again.decode(),
            "accepted": accepted,
            "events": events,
        }
    print(json.dumps(result))


if __name__ == "__main__":
    asyncio.run(main(), debug=False) if len(sys.argv) < 2 else __import__("uvloop").run(main())
