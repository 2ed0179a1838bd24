"""Response Codes and HTTP status codes, both ways (RFC 8075 section 7, RFC 7252 section 10.1)."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.coap.codec import codes

METHODS: Final = {
    b"GET": codes.GET,
    b"HEAD": codes.GET,  # RFC 7252 section 10.2.3
    b"POST": codes.POST,
    b"PUT": codes.PUT,
    b"DELETE": codes.DELETE,
}
NAMES: Final = {codes.GET: "GET", codes.POST: "POST", codes.PUT: "PUT", codes.DELETE: "DELETE"}

_STATUS: Final = {
    codes.CREATED: 201,
    codes.DELETED: 200,
    codes.VALID: 304,
    codes.CHANGED: 200,
    codes.CONTENT: 200,
    codes.BAD_REQUEST: 400,
    # 401 would have to name a challenge that the CoAP server does not know (RFC 8075 section 7, note 5).
    codes.UNAUTHORIZED: 403,
    codes.BAD_OPTION: 400,
    codes.FORBIDDEN: 403,
    codes.NOT_FOUND: 404,
    # 405 would have to list the methods that are allowed (note 7).
    codes.METHOD_NOT_ALLOWED: 400,
    codes.NOT_ACCEPTABLE: 406,
    codes.REQUEST_ENTITY_INCOMPLETE: 502,  # the blocks were ours: the HTTP client is not to blame
    codes.CONFLICT: 409,
    codes.PRECONDITION_FAILED: 412,
    codes.REQUEST_ENTITY_TOO_LARGE: 413,
    codes.UNSUPPORTED_CONTENT_FORMAT: 415,
    codes.UNPROCESSABLE_ENTITY: 422,
    codes.TOO_MANY_REQUESTS: 429,  # RFC 8516 section 4
    codes.INTERNAL_SERVER_ERROR: 500,
    codes.NOT_IMPLEMENTED: 501,
    codes.BAD_GATEWAY: 502,
    codes.SERVICE_UNAVAILABLE: 503,
    codes.GATEWAY_TIMEOUT: 504,
    codes.PROXYING_NOT_SUPPORTED: 502,
    codes.HOP_LIMIT_REACHED: 502,  # RFC 8768 section 5
}

_CODE: Final = {
    201: codes.CREATED,
    304: codes.VALID,
    400: codes.BAD_REQUEST,
    401: codes.UNAUTHORIZED,
    403: codes.FORBIDDEN,
    404: codes.NOT_FOUND,
    405: codes.METHOD_NOT_ALLOWED,
    406: codes.NOT_ACCEPTABLE,
    408: codes.GATEWAY_TIMEOUT,
    409: codes.CONFLICT,
    410: codes.NOT_FOUND,
    412: codes.PRECONDITION_FAILED,
    413: codes.REQUEST_ENTITY_TOO_LARGE,
    415: codes.UNSUPPORTED_CONTENT_FORMAT,
    422: codes.UNPROCESSABLE_ENTITY,
    429: codes.TOO_MANY_REQUESTS,
    500: codes.INTERNAL_SERVER_ERROR,
    501: codes.NOT_IMPLEMENTED,
    502: codes.BAD_GATEWAY,
    503: codes.SERVICE_UNAVAILABLE,
    504: codes.GATEWAY_TIMEOUT,
}
_DONE: Final = {codes.GET: codes.CONTENT, codes.DELETE: codes.DELETED}


def status_of(code: int, has_payload: bool) -> int:
    """The HTTP status of a Response Code. A success without a body is 204 where the table has the choice. What is
    not in the table is treated as the first of its class (RFC 8075 section 7)."""
    if code in (codes.CHANGED, codes.DELETED) and not has_payload:
        return 204
    known = _STATUS.get(code)
    if known is not None:
        return known
    return {2: 200, 4: 400, 5: 500}.get(code >> 5, 502)


def code_of(method: int, status: int) -> int:
    """The Response Code for what an HTTP server answered. Redirections are not followed: to whom they lead was not
    permitted, and CoAP has none."""
    if status in (200, 202, 203, 204, 205, 206):
        return _DONE.get(method, codes.CHANGED)
    known = _CODE.get(status)
    if known is not None:
        return known
    return codes.BAD_REQUEST if 400 <= status < 500 else codes.BAD_GATEWAY
