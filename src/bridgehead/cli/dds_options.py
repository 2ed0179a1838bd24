"""The options of `pub`, `sub` and `dds discover` that DDS alone has, and where an URL of DDS leads to."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import unquote, urlsplit

import typer

from bridgehead.cli.client_options import usage
from bridgehead.cli.main import CommandError

if TYPE_CHECKING:
    from bridgehead.protocols.dds.config import DomainConfig
    from bridgehead.protocols.dds.mapping.settings import RouteConfig, RouteQos
    from bridgehead.security.dds.bundle import DomainFiles

FORMS: Final = "dds://DOMAIN/TOPIC"
PANEL: Final = "DDS"

Idl = Annotated[
    Path | None, typer.Option("--idl", metavar="FILE", help="IDL file with the type.", rich_help_panel=PANEL)
]
TypeName = Annotated[
    str | None,
    typer.Option(
        "--type",
        metavar="NAME",
        help="The topic's type, such as office::Temperature, or std_msgs/String with --ros2. Without it the type is "
        "asked, in clear, of who announces the topic.",
        rich_help_panel=PANEL,
    ),
]
Ros2 = Annotated[
    bool, typer.Option("--ros2", help="The topic and --type are ROS 2's (rt/TOPIC).", rich_help_panel=PANEL)
]
Credentials = Annotated[
    Path | None,
    typer.Option(
        "--credentials",
        metavar="FOLDER",
        help="For a secured domain: the folder that `device export --for dds` wrote.",
        rich_help_panel=PANEL,
    ),
]
Interface = Annotated[
    list[str] | None,
    typer.Option(
        "--interface",
        metavar="NAME|ADDRESS",
        help="Network interface to use, instead of the one that the system prefers; may be given again.",
        rich_help_panel=PANEL,
    ),
]
Peer = Annotated[
    list[str] | None,
    typer.Option(
        "--peer",
        metavar="ADDRESS",
        help="Look for others at this host, and not by multicast; may be given again.",
        rich_help_panel=PANEL,
    ),
]
Partition = Annotated[
    str | None, typer.Option("--partition", metavar="NAME", help="DDS partition.", rich_help_panel=PANEL)
]
Strength = Annotated[
    int | None,
    typer.Option(
        "--strength",
        metavar="N",
        min=0,
        help="Ownership is exclusive, and this writer's strength is N.",
        rich_help_panel=PANEL,
    ),
]
Lease = Annotated[
    float | None,
    typer.Option(
        "--lease",
        metavar="SECONDS",
        min=0.01,
        help="Liveliness: this long without a word, and the writer is held for gone.",
        rich_help_panel=PANEL,
    ),
]
Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="NAME=VALUE", help="Data tag; may be given again.", rich_help_panel=PANEL),
]
Exclusive = Annotated[
    bool, typer.Option("--exclusive", help="Only from the strongest writer that lives.", rich_help_panel=PANEL)
]
Durable = Annotated[
    bool,
    typer.Option("--durable", help="Also what writers keep for late readers (TRANSIENT_LOCAL).", rich_help_panel=PANEL),
]


def is_dds(url: str) -> bool:
    """Whether the URL is DDS', or is meant to be: what is wrong with it is then told in DDS' terms."""
    return url[:4].lower() == "dds:"


class DdsGiven:
    """The options as they were given."""

    def __init__(
        self,
        idl: Path | None,
        type_name: str | None,
        ros2: bool,
        credentials: Path | None,
        interface: list[str] | None,
        peer: list[str] | None,
        partition: str | None,
        strength: int | None = None,
        lease: float | None = None,
        tags: list[str] | None = None,
        exclusive: bool = False,
        durable: bool = False,
    ) -> None:
        self.idl: Final = idl
        self.type_name: Final = type_name
        self.ros2: Final = ros2
        self.credentials: Final = credentials
        self.interfaces: Final = tuple(interface or ())
        self.peers: Final = tuple(peer or ())
        self.partition: Final = partition
        self.strength: Final = strength
        self.lease: Final = lease
        self.tags: Final = tuple(tags or ())
        self.exclusive: Final = exclusive
        self.durable: Final = durable

    def any(self) -> str:
        """The first option that was given, "" if none was."""
        given = {
            "--idl": self.idl is not None,
            "--type": self.type_name is not None,
            "--ros2": self.ros2,
            "--credentials": self.credentials is not None,
            "--interface": bool(self.interfaces),
            "--peer": bool(self.peers),
            "--partition": self.partition is not None,
            "--strength": self.strength is not None,
            "--lease": self.lease is not None,
            "--tag": bool(self.tags),
            "--exclusive": self.exclusive,
            "--durable": self.durable,
        }
        return next((option for option, is_given in given.items() if is_given), "")


def domain_config(
    domain: int, credentials: Path | None, interfaces: tuple[str, ...], peers: tuple[str, ...]
) -> DomainConfig:
    """Secured where there are credentials. Peers are looked for instead of everybody by multicast."""
    from bridgehead.protocols.dds.config import PLAIN, SECURED, DomainConfig

    security = PLAIN if credentials is None else SECURED
    return DomainConfig(domain, security, interfaces=interfaces, peers=peers, multicast=not peers)


def credential_files(folder: Path | None) -> DomainFiles | None:
    """The paths of an exported bundle; None for none. Raises CommandError, when others would refuse it."""
    if folder is None:
        return None
    from bridgehead.security.dds.bundle import DomainFiles
    from bridgehead.security.dds.explain import why_refused

    folder = folder.absolute()
    files = DomainFiles(folder, has_crl=(folder / "crl.pem").is_file())
    if not files.certificate.is_file() or not files.permissions.is_file():
        raise usage(f"{folder} is no bundle for DDS: `bridgehead device export NAME --for dds` writes one")
    why = why_refused(files, time.time())
    if why:
        raise CommandError(why)
    return files


class DdsTarget:
    """What `pub` and `sub` take part in: the domain, as whom, and the topic with its type."""

    def __init__(self, url: str, given: DdsGiven) -> None:
        """Raises CommandError."""
        self.domain, self.topic = parse_url(url)
        self._given: Final = given
        if given.idl is not None and given.type_name is None:
            raise usage(f"--idl {given.idl} needs --type NAME: the structure in it that the topic is of")
        if given.idl is not None and given.ros2:
            raise usage("--ros2 knows its types: leave --idl out, or --ros2")
        if given.ros2 and given.type_name is None:
            raise usage("--ros2 needs --type: such as std_msgs/String")
        if given.type_name is not None and given.idl is None and not given.ros2:
            raise usage(f"--type {given.type_name} needs --idl FILE, or --ros2")
        for tag in given.tags:
            name, equals, value = tag.partition("=")
            if not (name and equals and value) or ";" in tag:
                raise usage(f"--tag {tag} is none: write NAME=VALUE")
        self.config: Final = domain_config(self.domain, given.credentials, given.interfaces, given.peers)
        self.files: Final = credential_files(given.credentials)

    @property
    def learns(self) -> bool:
        """Whether the type has to be asked of others."""
        return self._given.type_name is None

    def route(self, direction: str, qos: RouteQos) -> RouteConfig:
        from bridgehead.protocols.dds.mapping.settings import ROS2, RouteConfig

        given = self._given
        return RouteConfig(
            self.domain,
            self.topic,
            type_name=given.type_name or "",
            idl="" if given.idl is None else str(given.idl.absolute()),
            preset=ROS2 if given.ros2 else "",
            partition=given.partition or "",
            direction=direction,
            qos=qos,
            tags=given.tags,
        )


def parse_url(url: str) -> tuple[int, str]:
    """The domain and the topic's name. Raises CommandError."""
    from bridgehead.protocols.dds.config import LAST_DOMAIN

    parts = urlsplit(url)
    topic = unquote(parts.path.removeprefix("/"))
    if parts.scheme.lower() != "dds" or not topic or parts.query or parts.fragment:
        raise usage(f"{url} names no topic of DDS: write {FORMS}, such as dds://0/Temperature")
    if not (parts.netloc.isascii() and parts.netloc.isdigit() and int(parts.netloc[:9]) <= LAST_DOMAIN):
        raise usage(f"{parts.netloc or 'nothing'} is no DDS domain: write a number of 0 to {LAST_DOMAIN} after dds://")
    return int(parts.netloc), topic
