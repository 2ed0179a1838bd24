"""The demo: an office with sensors, a control, a display, and an intruder. `make demo` runs it; DEMO_SECONDS bounds it.

Everything is real: the hub is a process of its own with a data folder that is empty at the start. Two clients speak
MQTT (Eclipse Paho, over TLS with certificates), two speak CoAP over DTLS: a node with a pre-shared key, and a display
with a raw public key. The office control speaks AMQP over TLS: it takes readings from a queue, and proves itself by
tokens of the company's login service. Two redundant controllers are participants of a secured DDS domain, and the one
that is heard is killed on stage. All other credentials come from `bridgehead device add`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import signal
import sys
import tempfile
from pathlib import Path

import issuer
import plant
import stage
from rich.console import Console

HERE = Path(__file__).resolve().parent
BRIDGEHEAD = [sys.executable, "-m", "bridgehead"]
MQTT, COAP, AMQP = "mqtts", "coaps", "amqps"  # as the ready line names the listeners
CONTROL = "office-control"
QUEUE = ("readings", "--from", "Office/+/Temperature")
# name, program, listener, what `device add` is told
CAST = [
    (
        "sensor",
        "sensor.py",
        MQTT,
        ["--certificate", "--publish", "Office/Meetingroom/Temperature", "--max-qos", "1"],
    ),
    (
        CONTROL,
        "office_control.py",
        AMQP,
        [
            "--token-subject",
            f"{issuer.ISSUER} {CONTROL}",
            "--subscribe",
            "$QUEUE/readings",
            "--publish",
            "Office/+/Notice",
            "--no-retain",
        ],
    ),
    ("lobby-node", "coap_node.py", COAP, ["--psk", "--publish", "Office/Lobby/Temperature"]),
    ("corridor-display", "coap_display.py", COAP, ["--raw-key", "--subscribe", "+/+/Temperature"]),
    ("intruder", "intruder.py", MQTT, ["--certificate", "--publish", "Lobby/#", "--subscribe", "Lobby/#"]),
]
CONFIGURATION = f"""\
[[listener]]
protocol = "mqtt"
bind = "127.0.0.1:0"

[[listener]]
protocol = "coap"
bind = "127.0.0.1:0"

[[listener]]
protocol = "amqp"
bind = "127.0.0.1:0"

[[token_issuer]]
issuer = "{issuer.ISSUER}"
keys = "{issuer.KEYS}"
audience = ["{issuer.AUDIENCE}"]

[log]
level = "info"
format = "json"
file = "hub.log"
"""


class Failed(Exception):
    """A part of the demo did not start; the text says which and what it said."""


async def start(*command: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, start_new_session=True
    )


async def run(*command: str) -> None:
    process = await start(*command)
    _, said = await process.communicate()
    if process.returncode:
        raise Failed(f"`{' '.join(command[2:])}` failed: {said.decode().strip()}")


async def start_hub(data: Path, configuration: Path, running: list[asyncio.subprocess.Process]) -> dict[str, int]:
    """The ports of its listeners, by their names."""
    hub = await start(*BRIDGEHEAD, "up", "--data", str(data), "--config", str(configuration))
    running.append(hub)
    assert hub.stdout is not None
    while line := (await hub.stdout.readline()).decode():
        if line.startswith("ready"):
            listeners = [word.partition("=") for word in line.split()[1:]]
            return {name: int(address.rpartition(":")[2]) for name, _, address in listeners}
    assert hub.stderr is not None
    raise Failed(f"the hub did not start: {(await hub.stderr.read()).decode().strip()}")


async def listen(name: str, process: asyncio.subprocess.Process, show: stage.Stage) -> None:
    """Bring what one client tells to the stage, until it ends."""
    assert process.stdout is not None
    while line := await process.stdout.readline():
        show.told(name, json.loads(line))
    assert process.stderr is not None
    said = (await process.stderr.read()).decode().strip()
    if await process.wait() != -signal.SIGKILL:  # nobody else is killed than who is to be
        raise Failed(f"{name} ended: {said or process.returncode}")


async def follow(log: Path, show: stage.Stage) -> None:
    """Bring what the hub logs to the stage."""
    while not log.exists():
        await asyncio.sleep(0.05)
    with log.open() as file:
        while True:
            line = file.readline()
            if line.endswith("\n"):
                show.logged(json.loads(line))
            else:
                await asyncio.sleep(0.02)


async def enrol_controller(name: str, console: Console, place: Path) -> None:
    where = ("--data", str(place / "data"))
    console.print(f"   bridgehead device add {name} --no-credential {shlex.join(plant.RIGHTS)}", soft_wrap=True)
    await run(*BRIDGEHEAD, "device", "add", name, "--no-credential", *plant.RIGHTS, *where)
    console.print(f"   bridgehead device export {name} --for dds --credential new", soft_wrap=True)
    out = ("--config", str(place / "hub.toml"), "--out", str(place / name))
    await run(*BRIDGEHEAD, "device", "export", name, "--for", "dds", "--credential", "new", *where, *out)


async def run_plant(
    place: Path, running: list[asyncio.subprocess.Process], group: asyncio.TaskGroup, show: stage.Stage
) -> None:
    """The stand-by first, which stays; then the one that is killed."""

    async def again(name: str) -> asyncio.subprocess.Process:
        controller = await plant.start(name, place / name)
        running.append(controller)
        group.create_task(listen(name, controller, show))
        return controller

    first, stand_by = plant.STRENGTHS
    await again(stand_by)
    await plant.kill_again_and_again(first, again, show.killed)


async def perform(seconds: float, console: Console) -> None:
    task = asyncio.current_task()
    assert task is not None
    for each in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C: nobody is left running
        asyncio.get_running_loop().add_signal_handler(each, task.cancel)
    with tempfile.TemporaryDirectory(prefix="bridgehead-demo-") as folder:
        place = Path(folder)
        data = place / "data"
        configuration = place / "hub.toml"
        configuration.write_text(CONFIGURATION if plant.missing() else CONFIGURATION + plant.CONFIGURATION)
        login = issuer.Issuer(place)
        token = login.write(CONTROL)
        running: list[asyncio.subprocess.Process] = []
        show: stage.Stage | None = None
        try:
            console.print(
                "1. The hub starts in an empty folder: it makes its CA, its certificate, its keys.", soft_wrap=True
            )
            ports = await start_hub(data, configuration, running)
            no_dds = plant.missing()
            takes_part = "" if no_dds else f", takes part in the secured DDS domain {plant.DOMAIN}"
            console.print(
                f"   It listens on 127.0.0.1:{ports[MQTT]} (MQTT over TLS), :{ports[COAP]} (CoAP over DTLS) and "
                f":{ports[AMQP]} (AMQP over TLS){takes_part}, and lets nobody in.",
                soft_wrap=True,
            )
            if no_dds:
                console.print(f"   [yellow]The plant's controllers are missing: {no_dds}[/yellow]", soft_wrap=True)
            console.print("2. Devices are enrolled, each with its credential and its permissions:", soft_wrap=True)
            for name, _, _, options in CAST:
                console.print(f"   bridgehead device add {name} {shlex.join(options)}", soft_wrap=True)
                bundle = str(place / name)
                where = ("--data", str(data), "--host", "localhost", "--out", bundle)
                await run(*BRIDGEHEAD, "device", "add", name, *where, *options)
            for name in () if no_dds else plant.STRENGTHS:
                await enrol_controller(name, console, place)
            console.print(f"   bridgehead queue add {shlex.join(QUEUE)}", soft_wrap=True)
            await run(*BRIDGEHEAD, "queue", "add", *QUEUE, "--data", str(data))
            show = stage.Stage(console, data, [name for name, _, _, _ in CAST], has_plant=not no_dds)
            console.print("3. They connect.", soft_wrap=True)
            async with asyncio.timeout(seconds or None), asyncio.TaskGroup() as group:
                group.create_task(follow(place / "hub.log", show))
                for name, program, listener, _ in CAST:
                    port = str(ports[listener])
                    given = [name, str(place / name), port, *([str(token)] if name == CONTROL else [])]
                    client = await start(sys.executable, str(HERE / program), *given)
                    running.append(client)
                    group.create_task(listen(name, client, show))
                if not no_dds:
                    group.create_task(run_plant(place, running, group, show))
                group.create_task(login.keep(CONTROL))
                group.create_task(show.run())
        except TimeoutError:
            if show is None or not show.close():
                raise Failed("no reading arrived, no stand-by was heard, or the intruder was not refused") from None
        finally:
            await end(running)


async def end(running: list[asyncio.subprocess.Process]) -> None:
    """The clients first, the hub last, all in order."""
    for process in reversed(running):
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
    for process in reversed(running):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 5)
        if process.returncode is None:
            process.kill()
            await process.wait()


def main() -> int:
    console = Console(highlight=False)
    seconds = float(os.environ.get("DEMO_SECONDS", "0"))
    code = 0
    try:
        asyncio.run(perform(seconds, console))
    except* (KeyboardInterrupt, asyncio.CancelledError):
        console.print("\nThe demo has ended.", soft_wrap=True)
    except* Failed as failed:
        for fault in failed.exceptions:
            console.print(f"[red]{fault}[/red]", soft_wrap=True)
        code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
