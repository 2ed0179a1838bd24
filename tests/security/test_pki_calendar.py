"""When what ends, and when it is warned of."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridgehead.security.identity.identity import Identity, Wanted
from bridgehead.security.pki import certificates, profiles, rollover
from bridgehead.security.pki.calendar import Ending, calendar
from bridgehead.security.pki.ocsp import Responder
from tests.security.support import DAY, Time, enrol, machine


@pytest.mark.parametrize(
    ("left", "renewed_at", "warning"),
    [
        (31, 0, None),
        (30, 0, 30),
        (15, 0, 30),
        (14, 0, 14),
        (7, 0, 7),
        (1.5, 0, 7),
        (1, 0, 1),
        (0.1, 0, 1),
        (0, 0, 0),
        (-5, 0, 0),
        (29, 30, None),  # the hub renews it just now
        (23, 30, 30),  # ... and has not for days
        (6, 30, 7),
        (-1, 30, 0),
    ],
)
def test_warnings(left: float, renewed_at: float, warning: int | None) -> None:
    assert Ending("device", "d", left * DAY, renewed_at * DAY).warning(0.0) == warning


def test_everything_that_ends_is_in_it(identity: Identity, clock: Time, tmp_path: Path) -> None:
    identity.maintain(["hub.example"], machine)
    enrol(identity, Wanted("sensor-7", certificate=True))
    key = certificates.new_key().public_key()
    identity.pki.issue(profiles.ADMINISTRATOR, ["ada"], key, clock())
    server = identity.pki.server_certificate()
    assert server is not None
    Responder(identity.pki).about(server, clock())
    foreign = tmp_path / "foreign.pem"
    foreign.write_bytes(identity.pki.authority_file.read_bytes() + identity.pki.revocation_file.read_bytes())
    broken = tmp_path / "broken.pem"
    broken.write_text("broken")
    files = [foreign, broken, tmp_path / "missing.pem"]
    found = calendar(identity.pki, identity.registry.each_device(), files, clock())
    assert [each.ends for each in found] == sorted(each.ends for each in found)
    assert sorted(each.what for each in found) == sorted(
        ["root", "issuing", "server", "ocsp", "list", "device", "administrator", "file", "list"]
    )
    assert [each.warning(clock()) for each in found if each.what != "list"] == [None] * 7
    (device,) = (each for each in found if each.what == "device")
    assert (device.name, device.ends) == ("sensor-7", clock() - 3600 + 90 * DAY)


def test_with_the_key_elsewhere_what_the_hub_would_renew_is_somebodys_task(identity: Identity, clock: Time) -> None:
    identity.maintain([], machine)
    clock.now += 62 * DAY
    identity.maintain([], machine)
    identity.pki.authority_key_file.rename(identity.data / "away")
    clock.now += 62 * DAY
    found = {each.what: each for each in calendar(identity.pki, [], [], clock())}
    assert found["server"].renewed_at == 0.0
    assert found["server"].warning(clock()) == 30


def test_a_former_authority_ends_with_its_overlap(identity: Identity, clock: Time) -> None:
    rollover.roll_over(identity.pki, rollover.with_new_root(clock()), 5 * DAY, clock())
    found = calendar(identity.pki, [], [], clock())
    ends = sorted(each.ends for each in found if each.what == "issuing")
    assert ends[0] == clock() + 5 * DAY
    assert ends[1] > clock() + 3000 * DAY
