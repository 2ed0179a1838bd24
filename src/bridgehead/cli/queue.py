"""`bridgehead queue`: queues of the hub's owner, fed by topics, for AMQP's workers to share."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Final

import typer
from typer.core import TyperGroup

from bridgehead.cli.device_options import Data, Json, Name
from bridgehead.cli.identity_at import open_identity, sentences
from bridgehead.cli.main import USAGE, CommandError
from bridgehead.cli.policy_files import registry_of
from bridgehead.cli.publish_subscribe import subscribe
from bridgehead.security.policy import events

if TYPE_CHECKING:
    from typer._click.core import Context

    from bridgehead.security.records import QueueRecord

_OVERFLOWS: Final = ("reject", "drop-head")

From = Annotated[
    list[str] | None,
    typer.Option("--from", metavar="FILTER", help="What is published to these topics comes into it; repeatable."),
]
TimeToLive = Annotated[
    str | None,
    typer.Option("--ttl", metavar="TIME", help="How long a message waits at most: 30s, 15m, 1h, 7d; 0: ever."),
]
Messages = Annotated[
    int | None, typer.Option("--max-messages", metavar="N", min=0, help="How many may wait; 0: as [queues] says.")
]
Size = Annotated[
    str | None,
    typer.Option("--max-bytes", metavar="SIZE", help="As many octets as may wait: 64MiB; 0: as [queues] says."),
]
Overflow = Annotated[
    str | None,
    typer.Option("--overflow", metavar="WORD", help="When it is full: reject (the publisher is told) or drop-head."),
]
DeadLetter = Annotated[
    str | None,
    typer.Option("--dead-letter", metavar="QUEUE", help="Who gets what nobody could process; '' for nobody."),
]
Priorities = Annotated[
    int | None, typer.Option("--priorities", metavar="N", min=0, max=255, help="Messages of higher priority go first.")
]
Deliveries = Annotated[
    int | None,
    typer.Option("--max-deliveries", metavar="N", min=0, help="A message that failed so often is dead; 0: never."),
]
Single = Annotated[
    bool | None, typer.Option("--single-active/--competing", help="Whether one consumer gets all, or they compete.")
]
Transient = Annotated[
    bool, typer.Option("--not-durable", help="Keep its messages in memory only: they go with the hub's process.")
]


class _Commands(TyperGroup):
    """The commands; an address in the place of one means to take from the queue there."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        if args and "://" in args[0]:
            if "/queues/" not in args[0]:
                raise CommandError(f"{args[0]} names no queue: write amqps://HOST/queues/NAME", USAGE)
            args = ["take", *args]
        return super().parse_args(ctx, args)


def register(app: typer.Typer) -> None:
    commands = typer.Typer(
        cls=_Commands,
        help="Queues: messages that one of several consumers takes. Take from one: `queue amqps://HOST/queues/NAME`.",
        no_args_is_help=True,
    )
    commands.command("add")(add)
    commands.command("list")(list_queues)
    commands.command("show")(show)
    commands.command("set")(change)
    commands.command("remove")(remove)
    commands.command("take", help="Take from the queue at amqps://HOST/queues/NAME, as `sub` does.")(subscribe)
    app.add_typer(commands, name="queue")


def add(
    name: Name,
    data: Data,
    feeds: From = None,
    ttl: TimeToLive = None,
    max_messages: Messages = None,
    max_bytes: Size = None,
    overflow: Overflow = None,
    dead_letter: DeadLetter = None,
    priorities: Priorities = None,
    max_deliveries: Deliveries = None,
    single_active: Single = None,
    not_durable: Transient = False,
    as_json: Json = False,
) -> None:
    """Make a queue. A running hub has it within a second; who may send and take says the policy ($QUEUE/NAME)."""
    from msgspec.structs import replace

    from bridgehead.security.identity.audit import refusals
    from bridgehead.security.records import QueueRecord

    changes = _given(
        feeds, ttl, max_messages, max_bytes, overflow, dead_letter, priorities, max_deliveries, single_active
    )
    made = replace(QueueRecord(name, time.time(), durable=not not_durable), **changes)
    with open_identity(data, make=True) as identity:
        registry = identity.registry
        with refusals(identity.audit, "queue add", name), registry.transaction():
            registry.add_queue(made)
            identity.audit(events.QUEUE_ADDED, {"name": name, "feeds": len(made.feeds)})
    _print(made, as_json)


def list_queues(data: Data, as_json: Json = False) -> None:
    """The queues that were added here, by name; not those that clients declare."""
    from bridgehead.cli.device_show import print_json, print_table

    with sentences(), registry_of(data) as registry:
        records = registry.queues()
    if as_json:
        print_json([_value(each) for each in records])
        return
    rows = [(each.name, ", ".join(each.feeds) or "-", "yes" if each.durable else "no") for each in records]
    print_table(f"{len(records)} queues", ("name", "fed by", "durable"), rows)


def show(name: Name, data: Data, as_json: Json = False) -> None:
    """One queue's settings. How much waits in it, the hub tells at $SYS/broker/queues/NAME/messages."""
    with sentences(), registry_of(data) as registry:
        record = registry.existing_queue(name)
    _print(record, as_json)


def change(
    name: Name,
    data: Data,
    feeds: From = None,
    ttl: TimeToLive = None,
    max_messages: Messages = None,
    max_bytes: Size = None,
    overflow: Overflow = None,
    dead_letter: DeadLetter = None,
    max_deliveries: Deliveries = None,
    single_active: Single = None,
    as_json: Json = False,
) -> None:
    """Change a queue while it is in use; what is not named stays. --from replaces all topics that feed it."""
    from msgspec.structs import replace

    from bridgehead.security.identity.audit import refusals

    changes = _given(feeds, ttl, max_messages, max_bytes, overflow, dead_letter, None, max_deliveries, single_active)
    if not changes:
        raise CommandError("say what shall change: --from, --ttl, --max-messages or another option", USAGE)
    with open_identity(data) as identity:
        registry = identity.registry
        with refusals(identity.audit, "queue set", name), registry.transaction():
            made = replace(registry.existing_queue(name), **changes)
            registry.update_queue(made)
            identity.audit(events.QUEUE_CHANGED, {"name": name, "feeds": len(made.feeds)})
    _print(made, as_json)


def remove(name: Name, data: Data, as_json: Json = False) -> None:
    """Remove a queue with all that waits in it. A running hub sends its consumers away."""
    from bridgehead.cli.device_show import print_json
    from bridgehead.security.identity.audit import refusals

    with open_identity(data) as identity:
        registry = identity.registry
        with refusals(identity.audit, "queue remove", name), registry.transaction():
            removed = registry.remove_queue(name)
            identity.audit(events.QUEUE_REMOVED, {"name": name, "feeds": len(removed.feeds)})
    if as_json:
        print_json({"removed": removed.name})
    else:
        print(f"removed {removed.name}")


def _given(
    feeds: list[str] | None,
    ttl: str | None,
    max_messages: int | None,
    max_bytes: str | None,
    overflow: str | None,
    dead_letter: str | None,
    priorities: int | None,
    max_deliveries: int | None,
    single_active: bool | None,
) -> dict[str, object]:
    """The fields of QueueRecord that the options name. Errors: CommandError."""
    from bridgehead.security.identity.texts import duration
    from bridgehead.security.policy.units import size

    if overflow is not None and overflow not in _OVERFLOWS:
        raise CommandError(f"--overflow {overflow[:40]} is not known: use {' or '.join(_OVERFLOWS)}", USAGE)
    with sentences():
        found: dict[str, object | None] = {
            "feeds": None if feeds is None else tuple(dict.fromkeys(feeds)),
            "message_ttl": None if ttl is None else duration(ttl),
            "max_messages": max_messages,
            "max_octets": None if max_bytes is None else size(max_bytes.replace(" ", "")),
            "overflow": overflow,
            "dead_letter": dead_letter,
            "max_priority": priorities,
            "max_deliveries": max_deliveries,
            "single_active": single_active,
        }
    return {name: value for name, value in found.items() if value is not None}


def _value(record: QueueRecord) -> dict[str, object]:
    from bridgehead.broker.queues.names import queue_topic
    from bridgehead.protocols.amqp.mapping.addresses import queue_address

    return {
        "name": record.name,
        "address": queue_address(record.name),
        "policy_name": queue_topic(record.name),
        "from": list(record.feeds),
        "durable": record.durable,
        "ttl_seconds": record.message_ttl or None,
        "max_messages": record.max_messages or None,
        "max_bytes": record.max_octets or None,
        "overflow": record.overflow,
        "dead_letter": record.dead_letter or None,
        "priorities": record.max_priority,
        "max_deliveries": record.max_deliveries or None,
        "single_active": record.single_active,
    }


def _print(record: QueueRecord, as_json: bool) -> None:
    from bridgehead.cli.device_show import print_json

    values = _value(record)
    if as_json:
        print_json(values)
        return
    for name, value in values.items():
        if value not in (None, False, 0, []):
            shown = ", ".join(value) if isinstance(value, list) else "yes" if value is True else value
            print(f"{name.replace('_', ' '):<14} {shown}")
