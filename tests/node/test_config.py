"""The configuration: what is accepted, and that every error names file, line, key and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridgehead.node.bind import BindError, parse_bind
from bridgehead.node.config import ConfigError, load
from bridgehead.node.configuration import Config


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "hub.toml"
    path.write_text(text, encoding="utf-8")
    return path


def loaded(tmp_path: Path, text: str) -> Config:
    return load(written(tmp_path, text), tmp_path / "data")


def refused(tmp_path: Path, text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text)
    return caught.value


def test_without_a_file_only_tls_is_open(tmp_path: Path) -> None:
    config = load(None, tmp_path)
    assert [(one.bind, one.transport, one.plaintext) for one in config.listeners] == [
        ("*:8883", "tcp", False),
        ("*:8884", "websocket", False),
        ("*:5684", "udp", False),
        ("*:5671", "tcp", False),
        ("*:8443", "tcp", False),
    ]
    assert config.store.kind == "sqlite"


def test_a_file_without_listeners_opens_the_default_ones(tmp_path: Path) -> None:
    config = loaded(tmp_path, "[limits]\nconnections = 5\n")
    assert [one.bind for one in config.listeners] == ["*:8883", "*:8884", "*:5684", "*:5671", "*:8443"]
    assert config.limits.connections == 5


def test_coap_is_on_udp_with_all_three_modes_unless_it_is_said_otherwise(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        """
        [[listener]]
        bind = "*:5684"
        protocol = "coap"

        [[listener]]
        bind = "*:5684"
        protocol = "coap"
        transport = "tcp"

        [[listener]]
        bind = "*:443"
        protocol = "coap"
        transport = "websocket"

        [[listener]]
        bind = "*:5683"
        protocol = "coap"
        plaintext = true
        guest = "visitor"
        multicast = ["eth0"]
        """,
    )
    assert [(one.transport, one.login) for one in config.listeners] == [
        ("udp", ["psk", "rpk", "certificate"]),
        ("tcp", ["certificate"]),
        ("websocket", ["certificate"]),
        ("udp", []),
    ]
    assert config.listeners[2].path == "/.well-known/coap"
    assert (config.listeners[3].guest, config.listeners[3].multicast) == ("visitor", ["eth0"])


def test_one_listener_replaces_the_default_ones(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        '[[listener]]\nprotocol = "mqtt"\nbind = "127.0.0.1:18830"\nplaintext = true\n[limits]\npacket_size = 300\n',
    )
    (listener,) = config.listeners
    assert listener.plaintext
    assert listener.bind == "127.0.0.1:18830"
    assert config.limits.packet_size == 300


def test_relative_paths_start_at_the_files_folder(tmp_path: Path) -> None:
    (tmp_path / "chain.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\n")
    (tmp_path / "key.pem").chmod(0o600)
    config = loaded(
        tmp_path,
        '[[listener]]\nbind = "*:1"\ncertificate = "chain.pem"\nkey = "key.pem"\n[log]\nfile = "hub.log"\n',
    )
    assert config.listeners[0].certificate == str(tmp_path / "chain.pem")
    assert config.listeners[0].key == str(tmp_path / "key.pem")
    assert config.log.file == str(tmp_path / "hub.log")


LISTENER = '[[listener]]\nbind = "127.0.0.1:0"\n'

# text, line, key, what the message must say
COAP = '[[listener]]\nbind = "*:1"\nprotocol = "coap"\n'
ERRORS = [
    ("[limits]\nconections = 5\n", 2, "limits.conections", 'did you mean "connections"?'),
    ("# a\n\n[limit]\nconnections = 5\n", 3, "limit", 'did you mean "limits"?'),
    ("[limits]\nbind = '*:1'\n", 2, "limits.bind", "did you mean listener[0].bind?"),
    ("[log]\nzzz = 1\n", 2, "log.zzz", "known here: level, format, file"),
    ("[limits]\npacket-size = 5\n", 2, "limits.packet-size", 'did you mean "packet_size"?'),
    ("[limits]\nconnections = 0\n", 2, "limits.connections", "expected a whole number from 1 to"),
    ("[limits]\nconnections = true\n", 2, "limits.connections", "true is not accepted"),
    ('[limits]\nconnections = "many"\n', 2, "limits.connections", '"many" is not accepted'),
    ("[limits]\ninflight = 65536\n", 2, "limits.inflight", "from 1 to 65535"),
    ("[limits]\nconnect_timeout = 0\n", 2, "limits.connect_timeout", "expected a number above 0"),
    ("[limits]\nconnect_timeout = nan\n", 2, "limits.connect_timeout", "nan is not accepted"),
    ("[limits]\nconnections = [1]\n", 2, "limits.connections", "an array is not accepted"),
    ("limits = 5\n", 1, "limits", "expected a table"),
    (
        "[limits]\npacket_size = 8388608\n",
        2,
        "limits.packet_size",
        "the largest packet must fit into the outbox",
    ),
    ('[listener]\nbind = "127.0.0.1:0"\n', 1, "listener", "write [[listener]] with two brackets"),
    (LISTENER + '[[listener]]\nprotocol = "mqtt"\n', 3, "listener[1]", '"bind" is missing; add bind = ...'),
    (LISTENER + '\n[[listener]]\nbind = "*:2"\nprotcol = "mqtt"\n', 6, "listener[1].protcol", 'mean "protocol"?'),
    (
        '[[listener]]\nbind = "*:1"\nprotocol = "stomp"\n',
        3,
        "listener[0].protocol",
        'expected "amqp" or "coap" or "est" or "mqtt"',
    ),
    ('[[listener]]\nbind = "*:1"\ntransport = "udp"\n', 3, "listener[0].transport", "for CoAP only; add protocol ="),
    (COAP + 'plaintext = true\nlogin = ["psk"]\n', 5, "listener[0].login[0]", "only OSCORE says who asks"),
    (COAP + 'login = ["password"]\n', 4, "listener[0].login[0]", "possible are psk, rpk, certificate"),
    (COAP + 'transport = "tcp"\nlogin = ["psk"]\n', 5, "listener[0].login[0]", "possible are certificate"),
    (COAP + 'login = ["psk", "psk"]\n', 4, "listener[0].login[1]", "stands there twice"),
    (COAP + 'guest = "x"\n', 4, "listener[0].guest", "with DTLS or TLS everybody proves who they are"),
    (COAP + 'multicast = ["*"]\n', 4, "listener[0].multicast", "is for plaintext = true only"),
    (COAP + 'plaintext = true\nguest = "a/b"\n', 5, "listener[0].guest", "no device's name"),
    (COAP + 'plaintext = true\ntransport = "tcp"\nmulticast = ["*"]\n', 6, "listener[0].multicast", "datagrams only"),
    (COAP + 'tls_profile = "modern"\n', 4, "listener[0].tls_profile", "no meaning for DTLS"),
    (COAP.replace("*:1", "unix:/x"), 2, "listener[0].bind", 'or transport = "tcp"'),
    (LISTENER + 'guest = "x"\n', 3, "listener[0].guest", 'is for protocol = "coap" only'),
    ('[[listener]]\nbind = "1883"\n', 2, "listener[0].bind", "has no port"),
    ('[[listener]]\nbind = ""\n', 2, "listener[0].bind", "a text in quotes that is not empty"),
    ('[[listener]]\nbind = ":1883"\n', 2, "listener[0].bind", 'write "*:1883"'),
    (LISTENER + 'path = "/x"\n', 3, "listener[0].path", 'is for transport = "websocket" only'),
    (LISTENER + 'transport = "websocket"\npath = "mqtt"\n', 4, "listener[0].path", 'begin it with "/"'),
    (LISTENER + 'mode = "0660"\n', 3, "listener[0].mode", "is for Unix sockets only"),
    ('[[listener]]\nbind = "unix:/a"\nmode = "rw"\n', 3, "listener[0].mode", "three octal digits"),
    ('[[listener]]\nbind = "unix:/a"\nmode = 432\n', 3, "listener[0].mode", "three octal digits"),
    (LISTENER + 'plaintext = "yes"\n', 3, "listener[0].plaintext", "expected true or false"),
    (LISTENER + 'plaintext = true\nkey = "a"\n', 4, "listener[0].key", "no meaning with plaintext = true"),
    (LISTENER + 'certificate = "a"\n', 3, "listener[0].certificate", '"key" is missing'),
    (LISTENER + 'key = "a"\n', 3, "listener[0].key", '"certificate" is missing'),
    (LISTENER + 'certificate = "nothing"\nkey = "nothing"\n', 3, "listener[0].certificate", "cannot be read (No such"),
    (LISTENER + 'client_ca = "hub.toml"\n', 3, "listener[0].client_ca", "holds no PEM"),
    (LISTENER + 'transport = "websocket"\norigins = ["a", 1]\n', 4, "listener[0].origins[1]", "1 is not accepted"),
    ('[[listener]]\nbind = "*:1"\n[[listener]]\nbind = "*:1"\n', 4, "listener[1].bind", "see line 2"),
    ('listener = [{bind = "*:1"},\n {bnd = "*:2"}]\n', 2, "listener[1].bnd", 'did you mean "bind"?'),
    ("[limits\n", 1, "", "this is not TOML"),
    ("[log]\nlevel = info\n", 2, "", "texts stand in quotes"),
    ('[log]\nlevel = """\n\n', 2, "", "this is not TOML"),
    ("[log]\n[log]\n", 2, "", "this is not TOML"),
    ("[log]\nlevel = 'loud'\n", 2, "log.level", 'expected "debug" or "error" or "info"'),
    ("[system_topics]\ninterval = -1\n", 2, "system_topics.interval", "a number from 0"),
    ("[tls]\nnames = 'a'\n", 2, "tls.names", "expected an array of texts"),
    ("[store]\nkind = 'nats'\n", 2, "store.kind", 'expected "memory" or "sqlite"'),
]


@pytest.mark.parametrize(("text", "line", "key", "says"), ERRORS, ids=[f"{e[2] or e[0]!r}-{e[1]}" for e in ERRORS])
def test_an_error_names_file_line_key_and_remedy(tmp_path: Path, text: str, line: int, key: str, says: str) -> None:
    fault = refused(tmp_path, text)
    assert (fault.line, fault.key) == (line, key)
    assert str(fault).startswith(f"{tmp_path / 'hub.toml'}:{line}: {key}")
    assert says in str(fault)
    assert fault.remedy
    assert "\n" not in str(fault)


def test_a_private_key_that_everybody_can_read_is_refused(tmp_path: Path) -> None:
    for name, mode in (("chain.pem", 0o644), ("key.pem", 0o644)):
        (tmp_path / name).write_text("-----BEGIN SOMETHING-----\n")
        (tmp_path / name).chmod(mode)
    fault = refused(tmp_path, LISTENER + 'certificate = "chain.pem"\nkey = "key.pem"\n')
    assert (fault.line, fault.key) == (4, "listener[0].key")
    assert f"chmod 0600 {tmp_path / 'key.pem'}" in fault.remedy


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read \(No such file"):
        load(tmp_path / "none.toml", tmp_path)


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "hub.toml"
    path.write_bytes(b"[log]\n# caf\xe9\n")
    with pytest.raises(ConfigError, match=r"hub\.toml:2: the file is not UTF-8"):
        load(path, tmp_path)


def test_a_file_that_is_far_too_large(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="larger than"):
        load(written(tmp_path, "#" * 300_000), tmp_path)


def test_values_nested_without_end(tmp_path: Path) -> None:
    fault = refused(tmp_path, "a = " + "[" * 20_000)
    assert "nested too deeply" in fault.problem


@pytest.mark.parametrize(
    ("text", "host", "port", "path"),
    [
        ("127.0.0.1:8883", "127.0.0.1", 8883, ""),
        ("[::1]:0", "::1", 0, ""),
        ("*:65535", "*", 65535, ""),
        ("hub.example.org:1", "hub.example.org", 1, ""),
        ("localhost:1", "localhost", 1, ""),
        ("unix:/run/hub.sock", "", 0, "/run/hub.sock"),
    ],
)
def test_a_bind(text: str, host: str, port: int, path: str) -> None:
    bind = parse_bind(text)
    assert (bind.host, bind.port, bind.path) == (host, port, path)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "1",
            ":1",
            "host:",
            "a:65536",
            "a:-1",
            "a:1a",
            "::1:5",
            "[::1:5",
            "[zz]:5",
            "1.2.3:5",
            "1.2.3.4.5:5",
            "a b:5",
        ),
        *("-a:5", "unix:a", "unix:/" + "x" * 107, "unix:/\0", "a:" + "9" * 5000, "unix:", "a:٣"),
    ],
)
def test_what_is_no_bind(text: str) -> None:
    with pytest.raises(BindError) as caught:
        parse_bind(text)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("text", "loopback"),
    [
        ("127.0.0.2:1", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        ("unix:/a", True),
        ("*:1", False),
        ("a:1", False),
    ],
)
def test_what_is_loopback(text: str, loopback: bool) -> None:
    assert parse_bind(text).is_loopback is loopback
