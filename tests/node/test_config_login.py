"""`listener.login`, `[[token_issuer]]` and `[kerberos]`: what cannot be is told with its line and a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridgehead.node.config import ConfigError, load
from bridgehead.node.configuration import Config
from bridgehead.node.login import warn_of_weak
from bridgehead.security.events import WEAK_LOGIN

ISSUER = '[[token_issuer]]\nissuer = "i"\nkeys = "https://i.example/keys"\naudience = ["hub"]\n'


def read(folder: Path, text: str) -> Config:
    file = folder / "hub.toml"
    file.write_text(text)
    return load(file, folder / "data")


def listener(login: str, more: str = "") -> str:
    return f'[[listener]]\nbind = "127.0.0.1:0"\nlogin = {login}\n{more}'


def test_without_login_it_depends_on_what_is_configured(tmp_path: Path) -> None:
    plain = ["certificate", "password", "SCRAM-SHA-256", "SCRAM-SHA-512"]
    assert read(tmp_path, "").listeners[0].login == plain
    assert read(tmp_path, ISSUER).listeners[0].login == [*plain, "OAUTHBEARER"]
    # Over plaintext a token would be told to whoever is on the way.
    text = '[[listener]]\nbind = "127.0.0.1:0"\nplaintext = true\n' + ISSUER
    assert "OAUTHBEARER" not in read(tmp_path, text).listeners[0].login


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        (listener('["certificate", "pasword"]'), 3, "did you mean 'password'?"),
        (listener('["password", "password"]'), 3, "stands there twice"),
        (listener('["password+OTP"]'), 3, "cannot be asked for together"),
        (listener('["certificate"]', "plaintext = true\n"), 3, "there is none without TLS"),
        (listener('["PLAIN"]', "plaintext = true\n"), 3, "shows its secret"),
        (listener('["SCRAM-SHA-256-PLUS"]', "plaintext = true\n"), 3, "write SCRAM-SHA-256"),
        (listener('["OAUTHBEARER"]'), 3, "add a [[token_issuer]]"),
        (listener('["GSSAPI"]'), 3, "add [kerberos]"),
        (ISSUER.replace("https", "http"), 3, "not fetched over TLS"),
        (ISSUER.replace("https://i.example/keys", "nothing.json"), 3, "is no file"),
        (ISSUER + 'algorithms = ["ES256", "HS256"]\n', 5, '"HS256" is no algorithm for tokens here'),
        (ISSUER + 'algorithms = ["none"]\n', 5, '"none" is no algorithm for tokens here'),
        (ISSUER.replace('["hub"]', "[]"), 4, "nothing would be accepted"),
        ("[token_issuer]\n", 1, "write [[token_issuer]] with two brackets"),
        ('[kerberos]\nkeytab = "nothing"\n', 2, "is no file"),
        ('[kerberos]\nservice = "mqtt@hub"\n', 2, "there is no keytab"),
        ("[login]\nlock_after = -1\n", 2, "-1 is not accepted"),
    ],
)
def test_what_cannot_be(tmp_path: Path, text: str, line: int, sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, text)
    assert refused.value.line == line
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_keytab_that_others_can_read(tmp_path: Path) -> None:
    keytab = tmp_path / "keytab"
    keytab.write_bytes(b"x")
    keytab.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 0600"):
        read(tmp_path, f'[kerberos]\nkeytab = "{keytab}"\n')
    keytab.chmod(0o600)
    config = read(tmp_path, '[kerberos]\nkeytab = "keytab"\n')
    assert config.kerberos.keytab == str(keytab)
    assert "GSSAPI" in config.listeners[0].login


def test_ntlm_is_warned_of(tmp_path: Path) -> None:
    events: list[tuple[str, object]] = []
    config = read(tmp_path, listener('["certificate", "NTLM"]'))
    warn_of_weak(config.listeners, lambda name, fields: events.append((name, fields["listener"])))
    assert events == [(WEAK_LOGIN, "127.0.0.1:0")]
