"""Which CoAP resource an HTTP request is about (RFC 8075 section 5)."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs, unquote

from bridgehead.protocols.coap.codec.uri import Uri, parse_uri
from bridgehead.wire.errors import Malformed

BASE: Final = "/hc"
DISCOVERY: Final = "/.well-known/core"
LINK: Final = f'<{BASE}>;rt="core.hc"'  # section 5.5.1
_LONGEST: Final = 4096


class NoTarget(Exception):
    """The request names no CoAP URI. `status` is the HTTP answer, the text says how to name one."""

    def __init__(self, status: int, because: str) -> None:
        super().__init__(because)
        self.status: Final = status


def target_of(request_target: bytes) -> Uri:
    """The CoAP URI of a request-target in one of the two forms: `/hc?target_uri=coap%3A%2F%2Fhost%2Fpath` (the default
    mapping, section 5.3) and `/hc/coap://host/path` (section 5.4, with the whole URI as the rest of the path). Errors:
    NoTarget."""
    text = request_target[: _LONGEST + 1].decode("latin-1")
    if len(text) > _LONGEST:
        raise NoTarget(414, f"the request-target has more than {_LONGEST} octets")
    path, _, query = text.partition("?")
    if path == BASE:
        found = parse_qs(query, keep_blank_values=True, max_num_fields=16).get("target_uri", [])
        if len(found) != 1:
            raise NoTarget(400, f"name one CoAP URI, percent-encoded: {BASE}?target_uri=coaps%3A%2F%2Fhost%2Fpath")
        uri = found[0]
    elif path.startswith(BASE + "/"):
        rest = path[len(BASE) + 1 :]
        scheme = unquote(rest.partition("/")[0])
        uri = scheme + rest[len(rest.partition("/")[0]) :] + (f"?{query}" if query else "")
    else:
        raise NoTarget(404, f"there is nothing here: the proxy is at {BASE}")
    try:
        return parse_uri(uri)
    except Malformed as fault:
        raise NoTarget(400, f"{fault.text}: use {BASE}?target_uri=...") from None
