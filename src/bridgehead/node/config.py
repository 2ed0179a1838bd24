"""Reads the TOML configuration. Every error names the file, the line, the key, what is wrong and the remedy."""

from __future__ import annotations

import difflib
import re
import stat
import tomllib
from pathlib import Path
from typing import Any, Final

import msgspec
import msgspec.inspect
from msgspec.structs import replace

from bridgehead.node.audit_settings import Audit
from bridgehead.node.bind import BindError, parse_bind
from bridgehead.node.configuration import (
    Config,
    ConfigFile,
    Kerberos,
    Limits,
    Listener,
    TokenIssuer,
    coap_modes,
    settled,
)
from bridgehead.node.dds_config import checked
from bridgehead.node.proxy_settings import Proxy
from bridgehead.node.toml_lines import KeyPath, key_lines
from bridgehead.security.audit.syslog import Target
from bridgehead.security.errors import NotAcceptable, SecurityError
from bridgehead.security.login.chain import BARE, GSSAPI, PLUS, TOKENS, parse
from bridgehead.security.records import is_name
from bridgehead.security.tokens.settings import ALGORITHMS

_LARGEST_FILE: Final = 256 * 1024
_WHERE: Final = re.compile(r"(?P<problem>.*) - at `\$(?P<path>.*)`", re.DOTALL)
_STEP: Final = re.compile(r"\.(?P<key>[^.\[]+)|\[(?P<index>\d+)\]")
_TABLES: Final[tuple[KeyPath, ...]] = (("listener",), ("token_issuer",), ("dds", "domain"), ("dds", "route"))
_TOML_TYPES: Final = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    list: "an array",
    dict: "a table",
}


class ConfigError(Exception):
    """The configuration cannot be used. `line` is 1-based, 0 when unknown; `key` is the dotted path, or empty."""

    def __init__(self, file: Path, line: int, key: str, problem: str, remedy: str) -> None:
        place = f"{file}:{line}" if line else str(file)
        subject = f"{key}: " if key else ""
        super().__init__(f"{place}: {subject}{problem}; {remedy}")
        self.file = file
        self.line = line
        self.key = key
        self.problem = problem
        self.remedy = remedy


def load(path: Path | None, data: Path) -> Config:
    """The configuration of `path`, or the defaults without one. Relative paths in it start at the file's folder.

    Errors: ConfigError.
    """
    if path is None:
        return Config(data, None, ConfigFile())
    text = _read(path)
    return Config(data, path, _Reading(path, text).settings())


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise ConfigError(path, 0, "", f"the file is larger than {_LARGEST_FILE} octets", "is it the right file?")
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as fault:
        line = fault.object.count(b"\n", 0, fault.start) + 1
        raise ConfigError(path, line, "", "the file is not UTF-8", "save it as UTF-8") from None
    except OSError as fault:
        problem = f"the file cannot be read ({fault.strerror})"
        raise ConfigError(path, 0, "", problem, "check the path after --config and its permissions") from None


class _Reading:
    """One reading of one file: its text, and the line of each key for the errors."""

    def __init__(self, file: Path, text: str) -> None:
        self.file = file
        self.text = text
        self.lines: dict[KeyPath, int] = {}
        self.settings_read = ConfigFile()

    def settings(self) -> ConfigFile:
        raw = self._parse()
        self.lines = key_lines(self.text)
        try:
            settings = msgspec.convert(raw, ConfigFile)
        except msgspec.ValidationError as fault:
            raise self._explain(str(fault), raw) from None
        self._check_limits(settings.limits)
        self.settings_read = settings
        issuers = [self._token_issuer(index, issuer) for index, issuer in enumerate(settings.token_issuers)]
        kerberos = self._kerberos(settings.kerberos)
        listeners = [self._listener(index, listener) for index, listener in enumerate(settings.listeners)]
        self._check_binds(listeners)
        log = settings.log
        if log.file:
            log = replace(log, file=str(self._absolute(log.file)))
        return replace(
            settings,
            listeners=listeners,
            token_issuers=issuers,
            kerberos=kerberos,
            log=log,
            audit=self._audit(settings.audit),
            proxy=self._proxy(settings.proxy),
            dds=checked(settings.dds, self._error, self._absolute),
        )

    def _proxy(self, proxy: Proxy) -> Proxy:
        return replace(proxy, trust=self._pem(("proxy",), "trust", proxy.trust)) if proxy.trust else proxy

    def _audit(self, audit: Audit) -> Audit:
        if audit.syslog:
            try:
                Target(audit.syslog)
            except SecurityError as fault:
                raise self._error(("audit", "syslog"), str(fault), "correct it, or leave it out") from None
        if audit.syslog_ca and not audit.syslog.startswith("tls:"):
            raise self._error(("audit", "syslog_ca"), "is for tls:host:port only", "change audit.syslog, or remove it")
        return replace(audit, syslog_ca=self._pem(("audit",), "syslog_ca", audit.syslog_ca) if audit.syslog_ca else "")

    def _parse(self) -> dict[str, Any]:
        try:
            return tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as fault:
            problem, line = str(fault), 0
            if found := re.search(r" \(at line (\d+), column (\d+)\)$", problem):
                problem, line = f"{problem[: found.start()]} in column {found[2]}", int(found[1])
            elif problem.endswith(" (at end of document)"):
                problem, line = problem.removesuffix(" (at end of document)"), self.text.rstrip().count("\n") + 1
            remedy = "correct the TOML there (texts stand in quotes, a table begins with [name] or [[listener]])"
            raise ConfigError(self.file, line, "", f"this is not TOML: {problem}", remedy) from None
        except RecursionError:
            raise ConfigError(self.file, 0, "", "the values are nested too deeply", "flatten them") from None

    def _error(self, path: KeyPath, problem: str, remedy: str) -> ConfigError:
        """An error at `path`, or at the nearest table around it that stands in the text."""
        known = path
        while known and known not in self.lines:
            known = known[:-1]
        return ConfigError(self.file, self.lines.get(known, 0), _dotted(path), problem, remedy)

    def _explain(self, message: str, raw: dict[str, Any]) -> ConfigError:
        """msgspec's message, in words for people, with the line and a remedy."""
        found = _WHERE.fullmatch(message)
        path = _path(found["path"]) if found else ()
        problem = found["problem"] if found else message
        if unknown := re.fullmatch(r"Object contains unknown field `(.*)`", problem, re.DOTALL):
            return self._unknown_key(path, unknown[1])
        if missing := re.fullmatch(r"Object missing required field `(.*)`", problem):
            key = missing[1]
            return self._error(path, f'"{key}" is missing', f"add {key} = ... ({_purpose((*path, key))})")
        expected = f"expected {_expectation(path)}"
        value = _at(raw, path)
        if isinstance(value, dict) and path in _TABLES:
            name = _dotted(path)
            return self._error(path, f"each {name} is a table of its own", f"write [[{name}]] with two brackets")
        if isinstance(value, float):
            said = f"{value} is not accepted"
        elif isinstance(value, bool | int | str):
            said = f"{msgspec.json.encode(value).decode()} is not accepted"
        else:
            said = f"{_TOML_TYPES.get(type(value), 'this value')} is not accepted"
        purpose = _purpose(path)
        return self._error(path, said, expected + (f" ({purpose})" if purpose else ""))

    def _unknown_key(self, table: KeyPath, key: str) -> ConfigError:
        path = (*table, key)
        names = _keys_of(table)
        near = difflib.get_close_matches(key.lower().replace("-", "_"), names, n=1)
        if near:
            remedy = f'did you mean "{near[0]}"?'
        elif elsewhere := [_dotted(place) for place in _places_of(key)]:
            remedy = f"did you mean {elsewhere[0]}?"
        else:
            remedy = "known here: " + ", ".join(names)
        return self._error(path, "there is no such key", remedy)

    def _check_limits(self, limits: Limits) -> None:
        if limits.outbox_bytes < limits.packet_size:
            problem = f"{limits.outbox_bytes} is less than limits.packet_size ({limits.packet_size})"
            at = next((p for p in (("limits", "outbox_bytes"), ("limits", "packet_size")) if p in self.lines), ())
            raise self._error(at or ("limits",), problem, "the largest packet must fit into the outbox: raise it")

    def _listener(self, index: int, listener: Listener) -> Listener:
        at: KeyPath = ("listener", index)
        try:
            bind = parse_bind(listener.bind)
        except BindError as fault:
            raise self._error((*at, "bind"), fault.problem, fault.remedy) from None
        if listener.protocol == "est":
            for key in ("transport", "login"):
                self._only(at, key, 'is for protocol = "mqtt", "coap" and "amqp" only')
        if listener.protocol == "proxy":
            self._only(at, "transport", 'is for protocol = "mqtt", "coap" and "amqp" only')
        self._check_coap(at, listener, bind.is_unix)
        if listener.transport != "websocket":
            for key in ("path", "origins"):
                self._only(at, key, 'is for transport = "websocket" only')
        elif (
            (listener.path and not listener.path.startswith("/"))
            or not listener.path.isprintable()
            or " " in listener.path
        ):
            raise self._error((*at, "path"), f'"{listener.path}" is not a path', 'begin it with "/", as in "/mqtt"')
        if not bind.is_unix:
            self._only(at, "mode", "is for Unix sockets only")
        files = {"certificate": listener.certificate, "key": listener.key, "client_ca": listener.client_ca}
        if listener.plaintext:
            for key in (*files, "client_certificate", "tls_profile"):
                self._only(at, key, "has no meaning with plaintext = true")
        for key, other in (("certificate", "key"), ("key", "certificate")):
            if files[key] and not files[other]:
                raise self._error((*at, key), f'"{other}" is missing', f"name the PEM file of the {other} too")
        self._check_login(at, listener, bind.is_unix)
        absolute = {key: self._pem(at, key, name) if name else "" for key, name in files.items()}
        return replace(listener, **absolute, client_crl=self._lists(at, listener))

    def _check_coap(self, at: KeyPath, listener: Listener, is_unix: bool) -> None:
        if listener.protocol != "coap":
            for key in ("guest", "multicast"):
                self._only(at, key, 'is for protocol = "coap" only')
            if listener.transport == "udp":
                raise self._error((*at, "transport"), '"udp" is for CoAP only', 'add protocol = "coap", or remove it')
            return
        on_udp = settled(listener).transport == "udp"
        if on_udp and is_unix:
            raise self._error((*at, "bind"), "datagrams need an IP address", 'write "host:port", or transport = "tcp"')
        if on_udp:
            for key in ("client_certificate", "tls_profile"):
                self._only(at, key, "has no meaning for DTLS")
        if not listener.plaintext:
            for key in ("guest", "multicast"):
                self._only(at, key, "is for plaintext = true only: with DTLS or TLS everybody proves who they are")
        elif not on_udp:
            self._only(at, "multicast", "is for datagrams only")
        if listener.guest and not is_name(listener.guest):
            raise self._error((*at, "guest"), f'"{listener.guest}" is no device\'s name', "name a device of this hub")

    def _lists(self, at: KeyPath, listener: Listener) -> list[str]:
        """Addresses as they are, files with their whole path."""
        if listener.client_crl and not listener.client_ca:
            raise self._error((*at, "client_crl"), "there is no client_ca", "name the PEM file of the authorities too")
        found: list[str] = []
        for index, source in enumerate(listener.client_crl):
            if "://" not in source:
                source = str(self._absolute(source))
            elif not source.startswith(("http://", "https://")):
                remedy = "give an http:// or https:// address, or a file"
                raise self._error((*at, "client_crl", index), f'"{source}" cannot be fetched', remedy)
            found.append(source)
        return found

    def _check_coap_login(self, at: KeyPath, listener: Listener) -> None:
        known = coap_modes(settled(listener))
        for index, entry in enumerate(listener.login):
            here: KeyPath = (*at, "login", index)
            if entry not in known:
                what = ", ".join(known) or "none: without DTLS or TLS only OSCORE says who asks"
                raise self._error(here, f'nobody logs in by "{entry}" there', f"remove it; possible are {what}")
            if listener.login.index(entry) != index:
                raise self._error(here, f'"{entry}" stands there twice', "remove one of the two")

    def _check_login(self, at: KeyPath, listener: Listener, is_unix: bool) -> None:
        if listener.protocol == "coap":
            self._check_coap_login(at, listener)
            return
        for index, entry in enumerate(listener.login):
            here: KeyPath = (*at, "login", index)
            try:
                words = parse(entry)
            except NotAcceptable as fault:
                problem, _, remedy = str(fault).partition(": ")
                raise self._error(here, problem, remedy) from None
            if listener.login.index(entry) != index:
                raise self._error(here, f'"{entry}" stands there twice', "remove one of the two")
            if "certificate" in words and listener.plaintext:
                problem = f'"{entry}" needs a certificate, and there is none without TLS'
                raise self._error(here, problem, "remove it, or plaintext = true")
            if set(words) & BARE and listener.plaintext and not is_unix:
                problem = f'"{entry}" shows its secret to whoever is on the way, with plaintext = true'
                raise self._error(here, problem, "remove it, or plaintext = true")
            if PLUS in entry and listener.plaintext:
                raise self._error(
                    here, f'"{entry}" binds to TLS, and there is none', f"write {entry.replace(PLUS, '')}"
                )
            if set(words) & set(TOKENS) and not self.settings_read.token_issuers:
                raise self._error(here, f'"{entry}" needs to know whose tokens count', "add a [[token_issuer]]")
            if GSSAPI in words and not self.settings_read.kerberos.keytab:
                raise self._error(here, f'"{entry}" needs the hub\'s keytab', 'add [kerberos] with keytab = "..."')

    def _token_issuer(self, index: int, issuer: TokenIssuer) -> TokenIssuer:
        at: KeyPath = ("token_issuer", index)
        for number, algorithm in enumerate(issuer.algorithms):
            if algorithm not in ALGORITHMS:
                remedy = f"accepted are {', '.join(sorted(ALGORITHMS))}"
                raise self._error((*at, "algorithms", number), f'"{algorithm}" is no algorithm for tokens here', remedy)
        for key, known in (("algorithms", issuer.algorithms), ("audience", issuer.audience)):
            if not known:
                raise self._error((*at, key), "nothing would be accepted", "name at least one")
        if "://" in issuer.keys:
            if not issuer.keys.startswith("https://"):
                problem = f"{issuer.keys} is not fetched over TLS: whoever is on the way could sign tokens"
                raise self._error((*at, "keys"), problem, "give an https:// URL, or a file")
            return issuer
        path = self._absolute(issuer.keys)
        if not path.is_file():
            raise self._error((*at, "keys"), f"{path} is no file", "check the path, or give an https:// URL")
        return replace(issuer, keys=str(path))

    def _kerberos(self, kerberos: Kerberos) -> Kerberos:
        if not kerberos.keytab:
            if kerberos.service:
                raise self._error(("kerberos", "service"), "there is no keytab", 'add keytab = "..."')
            return kerberos
        path = self._absolute(kerberos.keytab)
        if not path.is_file():
            raise self._error(("kerberos", "keytab"), f"{path} is no file", "check the path and its permissions")
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            problem = f"others on this machine can read the keytab {path}"
            raise self._error(("kerberos", "keytab"), problem, f"run: chmod 0600 {path}")
        return replace(kerberos, keytab=str(path))

    def _only(self, at: KeyPath, key: str, problem: str) -> None:
        if (*at, key) in self.lines:
            raise self._error((*at, key), f'"{key}" {problem}', "remove one of the two")

    def _pem(self, at: KeyPath, key: str, name: str) -> str:
        path = self._absolute(name)
        try:
            with path.open("rb") as file:
                mode = stat.S_IMODE(path.stat().st_mode)
                is_pem = b"-----BEGIN " in file.read(_LARGEST_FILE)
        except OSError as fault:
            problem = f"{path} cannot be read ({fault.strerror})"
            raise self._error((*at, key), problem, "check the path and its permissions") from None
        if not is_pem:
            raise self._error((*at, key), f"{path} holds no PEM", "convert it to PEM (-----BEGIN ...)")
        if key == "key" and mode & 0o007:
            problem = f"everybody on this machine can read the private key {path} (mode {mode:04o})"
            raise self._error((*at, key), problem, f"run: chmod 0600 {path}")
        return str(path)

    def _absolute(self, name: str) -> Path:
        return (self.file.parent / Path(name).expanduser()).absolute()

    def _check_binds(self, listeners: list[Listener]) -> None:
        seen: dict[tuple[str, bool], int] = {}  # one port of TCP and one of UDP do not get in each other's way
        for index, listener in enumerate(listeners):
            first = seen.setdefault((listener.bind, settled(listener).transport == "udp"), index)
            if first != index and not listener.bind.endswith(":0"):
                problem = f'"{listener.bind}" is the address of an earlier listener already'
                remedy = f"see line {self.lines.get(('listener', first, 'bind'), 0)}; give each its own port or path"
                raise self._error(("listener", index, "bind"), problem, remedy)


def _path(text: str) -> KeyPath:
    return tuple(found["key"] or int(found["index"]) for found in _STEP.finditer(text))


def _dotted(path: KeyPath) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def _at(raw: Any, path: KeyPath) -> Any:
    for part in path:
        raw = raw[part]
    return raw


def _field_type(path: KeyPath) -> msgspec.inspect.Type:
    """The model's type at `path`, with its Metadata still around it."""
    kind = msgspec.inspect.type_info(ConfigFile)
    for part in path:
        bare = _bare(kind)
        if isinstance(bare, msgspec.inspect.StructType):
            kind = next(field.type for field in bare.fields if field.encode_name == part)
        elif isinstance(bare, msgspec.inspect.ListType):
            kind = bare.item_type
    return kind


def _bare(kind: msgspec.inspect.Type) -> msgspec.inspect.Type:
    return kind.type if isinstance(kind, msgspec.inspect.Metadata) else kind


def _keys_of(table: KeyPath) -> list[str]:
    bare = _bare(_field_type(table))
    return [field.encode_name for field in bare.fields] if isinstance(bare, msgspec.inspect.StructType) else []


def _places_of(key: str) -> list[KeyPath]:
    """Tables in which `key` is known."""
    lists = ("listener", "token_issuer")
    tables: list[KeyPath] = [(name, 0) if name in lists else (name,) for name in _keys_of(())]
    return [(*table, key) for table in tables if key in _keys_of(table)]


def _purpose(path: KeyPath) -> str:
    kind = _field_type(path)
    extra = kind.extra_json_schema if isinstance(kind, msgspec.inspect.Metadata) else None
    return str((extra or {}).get("description", ""))


def _expectation(path: KeyPath) -> str:
    kind = _bare(_field_type(path))
    if isinstance(kind, msgspec.inspect.LiteralType):
        return " or ".join(f'"{value}"' for value in kind.values)
    if isinstance(kind, msgspec.inspect.IntType | msgspec.inspect.FloatType):
        noun = "a whole number" if isinstance(kind, msgspec.inspect.IntType) else "a number"
        low = f"above {kind.gt:g}" if kind.gt is not None else f"from {kind.ge}" if kind.ge is not None else ""
        return " ".join(part for part in (noun, low, f"to {kind.le}" if kind.le is not None else "") if part)
    if isinstance(kind, msgspec.inspect.StrType):
        if kind.pattern:
            return 'three octal digits as a text, for example "0660"'
        return "a text in quotes" if not kind.min_length else "a text in quotes that is not empty"
    if isinstance(kind, msgspec.inspect.BoolType):
        return "true or false"
    if isinstance(kind, msgspec.inspect.ListType):
        return "an array of texts"
    return "a table"
