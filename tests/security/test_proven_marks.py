"""What a proof says it stands on is what the record says is in force: else the end of it would close nothing."""

from __future__ import annotations

from bridgehead.security.identity.identity import Wanted
from bridgehead.security.login.chain import Chain
from bridgehead.security.rights.enforced import credentials_in_force, mark_of
from tests.security.support import der, enrol
from tests.security.test_authenticate_exchange import PASSWORD, House, house

__all__ = ["house"]


def in_force(house: House, name: str) -> set[str]:
    found, _ = credentials_in_force(house.identity.registry.existing_device(name), house.clock())
    return {mark_of(kind, text) for kind, texts in found.items() for text in texts}


async def test_marks_of_password_certificate_and_scram(house: House) -> None:
    wanted = Wanted("door", password=PASSWORD, certificate=True)
    certificate = der(enrol(house.identity, wanted).certificate)
    chain = Chain(["password", "certificate", "SCRAM-SHA-256"])
    by_password = await house.authenticator.authenticate(house.shown(chain, user="door", password=PASSWORD))
    by_certificate = await house.authenticator.authenticate(house.shown(chain, certificate))
    by_scram = await house.scram(house.shown(), "door")
    held = in_force(house, "door")
    for proven in (by_password, by_certificate, by_scram):
        assert {mark.partition(" ")[0] for mark in proven.marks} == set(proven.kinds)
        assert set(proven.marks) <= held
