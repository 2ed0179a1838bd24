"""`[pki]` of the configuration: how long certificates of the hub's own authority last."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class Pki(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[pki]`: the hub's own authority, in DATA/pki. Every command on the data folder follows these."""

    server_days: Annotated[
        float, Meta(ge=0.01, le=3653, description="days of the hub's own certificate; renewed when a third is left")
    ] = 90.0
    device_days: Annotated[
        float, Meta(ge=0.01, le=3653, description="days of devices' certificates, which renew them by EST")
    ] = 90.0
    administrator_days: Annotated[float, Meta(ge=0.01, le=3653, description="days of administrators' certificates")] = (
        60.0
    )
    dds_days: Annotated[float, Meta(ge=0.01, le=3653, description="days of DDS identities")] = 90.0
    url: Annotated[
        str,
        Meta(
            pattern=r"^(https?://\S+)?$",
            description="where devices reach `/crl` and `/ocsp`, as in `http://hub.example:8080`; written into "
            "certificates; empty: they say nothing of it",
        ),
    ] = ""
