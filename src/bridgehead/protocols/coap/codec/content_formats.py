"""Content-Format numbers and media types (RFC 7252 section 12.3 and the registry that it began).

Numbers with a content coding (11050, 11060) are left out: the media type alone would name other octets.
"""

from __future__ import annotations

from typing import Final

TEXT: Final = 0
LINK_FORMAT: Final = 40
XML: Final = 41
OCTETS: Final = 42
JSON: Final = 50
CBOR: Final = 60
SENML_JSON: Final = 110
SENML_CBOR: Final = 112
CONCISE_PROBLEM: Final = 257  # RFC 9290
MISSING_BLOCKS: Final = 272  # RFC 9177

LARGEST: Final = 65_535

MEDIA_TYPES: Final[dict[int, str]] = {
    TEXT: "text/plain; charset=utf-8",
    16: 'application/cose; cose-type="cose-encrypt0"',
    17: 'application/cose; cose-type="cose-mac0"',
    18: 'application/cose; cose-type="cose-sign1"',
    19: "application/ace+cbor",
    21: "image/gif",
    22: "image/jpeg",
    23: "image/png",
    LINK_FORMAT: "application/link-format",
    XML: "application/xml",
    OCTETS: "application/octet-stream",
    47: "application/exi",
    JSON: "application/json",
    51: "application/json-patch+json",
    52: "application/merge-patch+json",
    CBOR: "application/cbor",
    61: "application/cwt",
    62: "application/multipart-core",
    63: "application/cbor-seq",
    64: "application/edhoc+cbor-seq",
    65: "application/cid-edhoc+cbor-seq",
    96: 'application/cose; cose-type="cose-encrypt"',
    97: 'application/cose; cose-type="cose-mac"',
    98: 'application/cose; cose-type="cose-sign"',
    101: "application/cose-key",
    102: "application/cose-key-set",
    SENML_JSON: "application/senml+json",
    111: "application/sensml+json",
    SENML_CBOR: "application/senml+cbor",
    113: "application/sensml+cbor",
    114: "application/senml-exi",
    115: "application/sensml-exi",
    140: "application/yang-data+cbor; id=sid",
    256: "application/coap-group+json",
    CONCISE_PROBLEM: "application/concise-problem-details+cbor",
    258: "application/swid+cbor",
    259: "application/pkixcmp",
    260: "application/yang-sid+json",
    261: "application/ace-groupcomm+cbor",
    271: "application/dots+cbor",
    MISSING_BLOCKS: "application/missing-blocks+cbor-seq",
    280: "application/pkcs7-mime; smime-type=server-generated-key",
    281: "application/pkcs7-mime; smime-type=certs-only",
    284: "application/pkcs8",
    285: "application/csrattrs",
    286: "application/pkcs10",
    287: "application/pkix-cert",
    290: "application/aif+cbor",
    291: "application/aif+json",
    310: "application/senml+xml",
    311: "application/sensml+xml",
    320: "application/senml-etch+json",
    322: "application/senml-etch+cbor",
    340: "application/yang-data+cbor",
    341: "application/yang-data+cbor; id=name",
    432: "application/td+json",
    433: "application/tm+json",
    10000: "application/vnd.ocf+cbor",
    10001: "application/oscore",
    10002: "application/javascript",
    11542: "application/vnd.oma.lwm2m+tlv",
    11543: "application/vnd.oma.lwm2m+json",
    11544: "application/vnd.oma.lwm2m+cbor",
    20000: "text/css",
    30000: "image/svg+xml",
}


def media_type(number: int) -> str | None:
    """The registry's media type, None for a number without one."""
    return MEDIA_TYPES.get(number)


def content_format(text: str) -> int:
    """The number of a media type, -1 for one without. Case, spaces and quotes around a parameter make no difference,
    and "text/plain" alone is taken for UTF-8, as CoAP has no other text."""
    return _NUMBERS.get(_plain(text), -1)


def _plain(text: str) -> str:
    return "".join(text.split()).replace('"', "").lower()


def _numbers() -> dict[str, int]:
    found = {_plain(name): number for number, name in MEDIA_TYPES.items()}
    found["text/plain"] = TEXT
    return found


_NUMBERS: Final = _numbers()
