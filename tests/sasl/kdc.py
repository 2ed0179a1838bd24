"""MIT Kerberos' key distribution centre on loopback, for two realms that trust each other; no system file is used."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path

REALM = "HUB.TEST"
OTHER = "OTHER.TEST"
SERVICE = "mqtt@localhost"
PASSWORD = "kerberos pass phrase"
PATIENCE = 20.0


class Kdc:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keytab = folder / "hub.keytab"
        port = _free_port()
        realms = "".join(
            f" {realm} = {{\n  kdc = 127.0.0.1:{port}\n  database_name = {folder}/{realm}.db\n"
            f"  key_stash_file = {folder}/{realm}.stash\n  acl_file = {folder}/acl\n  max_life = 1d\n"
            "  supported_enctypes = aes256-cts-hmac-sha1-96:normal\n }\n"
            for realm in (REALM, OTHER)
        )
        (folder / "krb5.conf").write_text(
            f"[libdefaults]\n default_realm = {REALM}\n dns_lookup_kdc = false\n dns_lookup_realm = false\n"
            " dns_canonicalize_hostname = false\n rdns = false\n"
            f"[realms]\n{realms}[domain_realm]\n localhost = {REALM}\n"
            f"[capaths]\n {OTHER} = {{\n  {REALM} = .\n }}\n"
        )
        (folder / "kdc.conf").write_text(
            f"[kdcdefaults]\n kdc_listen = 127.0.0.1:{port}\n kdc_tcp_listen = 127.0.0.1:{port}\n"
            f"[realms]\n{realms}[logging]\n kdc = FILE:{folder}/kdc.log\n"
        )
        self.environment = {
            "KRB5_CONFIG": str(folder / "krb5.conf"),
            "KRB5_KDC_PROFILE": str(folder / "kdc.conf"),
            "KRB5RCACHENAME": "none:",  # of the KDC itself; the hub names its own
        }
        for realm in (REALM, OTHER):
            self._run("kdb5_util", "-r", realm, "create", "-s", "-P", "master")
            self._run(
                "kadmin.local",
                "-r",
                realm,
                orders=f"addprinc -pw {PASSWORD.replace(' ', '-')} krbtgt/{REALM}@{OTHER}\n"
                f'addprinc -pw "{PASSWORD}" sensor-7\naddprinc -pw "{PASSWORD}" pump-1\n'
                "addprinc -randkey mqtt/localhost\naddprinc -randkey amqp/localhost\n"
                f"ktadd -k {folder}/{realm}.keytab mqtt/localhost\nktadd -k {folder}/{realm}.keytab amqp/localhost\n",
            )
        self.keytab = folder / f"{REALM}.keytab"
        self.foreign_keytab = folder / f"{OTHER}.keytab"
        self.process = subprocess.Popen(
            ["krb5kdc", "-n", "-r", REALM, "-r", OTHER, "-P", str(folder / "kdc.pid")],
            env={**os.environ, **self.environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _wait_for(port, self.process)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)

    def ticket(self, principal: str) -> Path:
        """The file of tickets after `kinit`."""
        cache = self.folder / f"cache-{principal}"
        self._run("kinit", "-c", str(cache), principal, orders=PASSWORD + "\n")
        return cache

    def _run(self, *command: str, orders: str = "") -> None:
        done = subprocess.run(
            command,
            input=orders,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, f"{command[0]}: {done.stdout} {done.stderr}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        assert isinstance(port, int)
        return port


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        assert process.poll() is None, "the KDC ended"
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
            return
        except OSError:
            assert time.monotonic() < end, "the KDC does not listen"
            time.sleep(0.02)
