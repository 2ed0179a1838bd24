"""Every sealed secret of a record, sealed anew under the master key in force."""

from __future__ import annotations

from msgspec.structs import replace

from bridgehead.security.credentials import (
    PasswordRecord,
    Sealed,
    ntlm_context,
    oscore_context,
    otp_context,
    psk_context,
)
from bridgehead.security.records import Device
from bridgehead.security.vault import Vault


class Resealer:
    """`count`: how many boxes it has sealed anew."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self.count = 0

    def device(self, device: Device) -> Device:
        """The record with all its boxes under the key in force. Errors: SecurityError for one that does not open."""
        name = device.name
        otp = device.otp
        return replace(
            device,
            password=self._password(device.password, name),
            former_password=self._password(device.former_password, name),
            pre_shared_keys=tuple(
                replace(each, key=self._box(each.key, psk_context(name, each.identity)))
                for each in device.pre_shared_keys
            ),
            oscore=tuple(
                replace(each, secret=self._box(each.secret, oscore_context(name, each.sender_id)))
                for each in device.oscore
            ),
            otp=None if otp is None else replace(otp, last=self._box(otp.last, otp_context(name))),
        )

    def _password(self, password: PasswordRecord | None, name: str) -> PasswordRecord | None:
        if password is None or password.ntlm is None:
            return password
        return replace(password, ntlm=self._box(password.ntlm, ntlm_context(name)))

    def _box(self, sealed: Sealed, context: str) -> Sealed:
        if self._vault.is_current(sealed):
            return sealed
        self.count += 1
        return self._vault.seal(self._vault.open_sealed(sealed, context), context)
