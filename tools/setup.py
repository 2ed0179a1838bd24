"""Sets up what a make target needs: Debian packages, the virtual environment, the npm peers. Quick when all is there.

    python3 tools/setup.py venv|compile|peers...

Runs on a bare Python 3.11 (standard library only), before any environment exists.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMPS = ROOT / ".setup"
MQTTJS = ROOT / "tests" / "peers" / "mqttjs"
NODECOAP = ROOT / "tests" / "peers" / "nodecoap"
RHEA = ROOT / "tests" / "peers" / "rhea"
SSLYZE = ROOT / "tests" / "peers" / "sslyze"
AMQP = ROOT / "tests" / "peers" / "amqp"
DDS = ROOT / "tests" / "peers" / "dds"
CYCLONEDDS = ROOT / "tools" / "cyclonedds.py"
DAEMONS = ("mosquitto", "rabbitmq-server")  # that Debian starts when it installs them
ADMIN_PATH = "/usr/local/sbin:/usr/sbin:/sbin"  # Debian keeps daemons there, outside an ordinary user's PATH


class SetupError(Exception):
    """Something only the person at the keyboard can mend; the text says how."""


def say(text: str) -> None:
    print(f"setup: {text}", flush=True)


def run(command: list[str], folder: Path = ROOT, **environment: str) -> None:
    say(shlex.join(command))
    status = subprocess.run(command, cwd=folder, env={**os.environ, **environment}, check=False).returncode
    if status != 0:
        raise SetupError(f"`{shlex.join(command)}` failed with exit code {status}")


def is_there(kind: str, what: str) -> bool:
    """Whether the thing that a Debian package brings can be used already, from wherever it came."""
    if kind == "program":
        return shutil.which(what, path=f"{os.environ.get('PATH', '')}:{ADMIN_PATH}") is not None
    if kind == "module":
        return importlib.util.find_spec(what) is not None
    if kind == "header":
        return (Path(sysconfig.get_paths()["include"]) / what).exists()
    if kind == "file":
        return any(Path("/").glob(what.removeprefix("/")))
    raise SetupError(f"tools/debian-packages.txt: `{kind}` is none of program, module, header, file")


def missing_packages(group: str) -> list[str]:
    missing = []
    for line in (ROOT / "tools" / "debian-packages.txt").read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        needed_by, package, kind, what = line.split()
        if needed_by == group and not is_there(kind, what):
            missing.append(package)
    return missing


def administrator() -> list[str] | None:
    """The words before a command that needs the administrator; None when there is no way without a password."""
    if os.geteuid() == 0:
        return []
    if (
        shutil.which("sudo")
        and subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0
    ):
        return ["sudo", "-n"]
    return None


def install_packages(packages: list[str]) -> None:
    """Install `packages` with apt; asks apt for newer lists only when it doesn't know a package."""
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    if shutil.which("apt-get") is None:
        raise SetupError(f"this is no Debian: install what its packages {' '.join(packages)} bring, and run make again")
    show = ["apt-cache", "show", "--no-all-versions", *packages]
    known = subprocess.run(show, capture_output=True, check=False).returncode == 0
    before = administrator()
    if before is None:
        update = "" if known else "sudo apt-get update && "
        raise SetupError(
            f"Debian packages are missing. Run this and then make again:\n\n    {update}sudo {shlex.join(command)}\n"
        )
    say(f"Debian packages are missing: {' '.join(packages)}")
    served = [name for name in DAEMONS if serving(name)]
    if not known:
        run([*before, "apt-get", "update"])
    # RUNLEVEL=1 keeps invoke-rc.d from starting a daemon on machines without systemd.
    install = [*before, "env", "RUNLEVEL=1", "DEBIAN_FRONTEND=noninteractive", *command]
    try:
        run(install)
    except SetupError:
        # Lists that are too old name files that the mirror no longer has.
        run([*before, "apt-get", "update"])
        run(install)
    for name in DAEMONS:
        if name not in served:
            stop_service(before, name)


def serving(name: str) -> bool:
    """Whether a system service of that name runs (the tests start brokers of their own)."""
    if Path("/run/systemd/system").exists():
        return subprocess.run(["systemctl", "is-active", "--quiet", name], check=False).returncode == 0
    return any(path.read_text().strip() == name for path in Path("/run").glob(f"{name}*.pid") if path.is_file())


def stop_service(before: list[str], name: str) -> None:
    """Debian starts a daemon when its package is installed. We wanted the program, not an open port."""
    if Path("/run/systemd/system").exists():
        if serving(name):
            run([*before, "systemctl", "disable", "--now", name])
    elif Path(f"/etc/init.d/{name}").exists():
        status = subprocess.run([f"/etc/init.d/{name}", "status"], capture_output=True, check=False)
        if status.returncode == 0:
            run([*before, f"/etc/init.d/{name}", "stop"])


def fingerprint(*parts: Path | str) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.read_bytes() if isinstance(part, Path) else part.encode())
    return digest.hexdigest()


def stamped(name: str, value: str) -> bool:
    stamp = STAMPS / name
    return stamp.exists() and stamp.read_text() == value


def put_stamp(name: str, value: str) -> None:
    STAMPS.mkdir(exist_ok=True)
    (STAMPS / name).write_text(value)


def set_up_packages(groups: list[str]) -> None:
    """All that the groups need of Debian, at once: whoever has to ask an administrator asks him one time."""
    wanted = [package for group in groups for package in missing_packages(group)]
    if not wanted:
        return
    install_packages(wanted)
    if still := [package for group in groups for package in missing_packages(group)]:
        raise SetupError(f"apt installed {' '.join(still)}, but {sys.executable} doesn't find what it brings")


def venv_works() -> bool:
    python = VENV / "bin" / "python"
    trial = [str(python), "-c", "import pip"]
    return python.exists() and subprocess.run(trial, capture_output=True, check=False).returncode == 0


def venv_stamp() -> str:
    binding = (CYCLONEDDS, CYCLONEDDS.with_name("cyclonedds-constraints.txt"))
    return fingerprint(ROOT / "constraints.txt", ROOT / "pyproject.toml", *binding, sys.version)


def pip_install(folder: Path) -> list[str]:
    """The words of pip's command in the environment."""
    quiet = ["--disable-pip-version-check", "--no-input", "--quiet"]
    return [str(folder / "bin" / "python"), "-m", "pip", "install", *quiet]


def set_up_venv() -> None:
    """.venv with everything of constraints.txt, each file checked against its hash, this project, editable, and the
    binding of Cyclone DDS, which is built against Debian's."""
    works = venv_works()
    wanted = venv_stamp()
    if works and stamped("venv", wanted):
        return
    if not works:
        run([sys.executable, "-m", "venv", "--clear", str(VENV)])
    pip = pip_install(VENV)
    run([*pip, "--require-hashes", "-r", "constraints.txt"])
    run([*pip, "--no-deps", "--no-build-isolation", "-e", "."], BRIDGEHEAD_COMPILE="0")
    run([sys.executable, str(CYCLONEDDS), str(VENV / "bin" / "python")])
    put_stamp("venv", wanted)


def set_up_peers() -> None:
    """The independent programs that the tests talk to, beside Debian's: from npm, or from pins of their own."""
    set_up_pinned("sslyze", SSLYZE, "sslyze, to test TLS with")
    set_up_pinned("amqp", AMQP, "clients of AMQP, to test with (Proton is built from its sources)")
    set_up_pinned("dds", DDS, "ROS 2, to test DDS with")
    set_up_fast_dds()
    set_up_npm("peers", MQTTJS, "mqtt", "MQTT.js")
    set_up_npm("nodecoap", NODECOAP, "node-coap-client", "node-coap-client")
    set_up_npm("rhea", RHEA, "rhea", "rhea")


def set_up_fast_dds() -> None:
    """Our program that speaks DDS with Debian's Fast DDS."""
    folder = DDS / "fastdds"
    build = folder / "build.py"
    wanted = fingerprint(build, folder / "peer.idl", folder / "peer.cpp")
    if stamped("fastdds", wanted) and (folder / "build" / "peer").exists():
        return
    run([sys.executable, str(build)])
    put_stamp("fastdds", wanted)


def set_up_npm(stamp: str, folder: Path, package: str, name: str) -> None:
    """What `folder`'s lock file pins, each package checked against its hash."""
    wanted = fingerprint(folder / "package.json", folder / "package-lock.json")
    if stamped(stamp, wanted) and (folder / "node_modules").is_dir():
        return
    version = json.loads((folder / "package.json").read_text())["dependencies"][package]
    say(f"{name} {version}, as another client to test with")
    run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder)
    put_stamp(stamp, wanted)


def set_up_pinned(name: str, folder: Path, what: str) -> None:
    """In an environment of its own (tools/lock.py says why)."""
    pins, venv = folder / "constraints.txt", folder / "venv"
    wanted = fingerprint(pins, sys.version)
    if stamped(name, wanted) and (venv / "bin" / "python").exists():
        return
    say(what)
    run([sys.executable, "-m", "venv", "--clear", str(venv)])
    run([*pip_install(venv), "--require-hashes", "-r", str(pins)])
    put_stamp(name, wanted)


GROUPS = {"venv": set_up_venv, "compile": lambda: None, "peers": set_up_peers}


def main(arguments: list[str]) -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 (an older Python gets to run this line)
        print(f"setup: Bridgehead needs Python 3.11 or newer, this is {sys.version.split()[0]}: "
              "name a newer one by `make PYTHON3=/path/to/python3 ...`", file=sys.stderr)  # fmt: skip
        return 1
    if not arguments or any(name not in GROUPS for name in arguments):
        print(f"usage: {sys.argv[0]} {'|'.join(GROUPS)}...", file=sys.stderr)
        return 2
    try:
        set_up_packages(
            [name for name in arguments if name != "venv" or not (venv_works() and stamped("venv", venv_stamp()))]
        )
        for name in arguments:
            GROUPS[name]()
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
