"""GnuTLS as far as this end needs it, by cffi in ABI mode: no compiler, any libgnutls from 3.7 on."""

from __future__ import annotations

import weakref
from functools import cache
from typing import Any, Final

import cffi

from bridgehead.transport.dtls.contract import DtlsError

# gnutls/gnutls.h and gnutls/dtls.h: names and shapes only, which the library's ABI keeps.
_DECLARATIONS: Final = """
typedef struct { unsigned char *data; unsigned int size; } gnutls_datum_t;
typedef struct { unsigned int record_seq; unsigned int hsk_read_seq; unsigned int hsk_write_seq; } prestate_t;
typedef struct { int type; unsigned char *data; unsigned int size; } gnutls_typed_vdata_st;
typedef void *session_t;
typedef void *credentials_t;
typedef void *priority_t;

const char *gnutls_check_version(const char *wanted);
const char *gnutls_strerror(int error);
int gnutls_error_is_fatal(int error);
extern void *(*gnutls_malloc)(size_t);
extern void (*gnutls_free)(void *);

int gnutls_priority_init(priority_t *cache, const char *priorities, const char **error_position);
void gnutls_priority_deinit(priority_t cache);
int gnutls_priority_set(session_t session, priority_t cache);

int gnutls_init(session_t *session, unsigned int flags);
void gnutls_deinit(session_t session);
void gnutls_session_set_ptr(session_t session, void *ptr);
void *gnutls_session_get_ptr(session_t session);
int gnutls_credentials_set(session_t session, int type, void *credentials);
void gnutls_certificate_server_set_request(session_t session, int request);
void gnutls_certificate_send_x509_rdn_sequence(session_t session, int never);
void gnutls_transport_set_ptr(session_t session, void *ptr);
void gnutls_transport_set_push_function(session_t session, ssize_t (*push)(void *, const void *, size_t));
void gnutls_transport_set_pull_function(session_t session, ssize_t (*pull)(void *, void *, size_t));
void gnutls_transport_set_pull_timeout_function(session_t session, int (*timeout)(void *, unsigned int));
void gnutls_dtls_prestate_set(session_t session, prestate_t *prestate);
void gnutls_dtls_set_mtu(session_t session, unsigned int mtu);
void gnutls_dtls_set_timeouts(session_t session, unsigned int retransmission, unsigned int total);
void gnutls_handshake_set_max_packet_length(session_t session, size_t most);
int gnutls_handshake(session_t session);
int gnutls_alert_get(session_t session);
int gnutls_alert_send_appropriate(session_t session, int error);

int gnutls_auth_get_type(session_t session);
unsigned int gnutls_session_get_flags(session_t session);
void gnutls_session_get_master_secret(session_t session, gnutls_datum_t *secret);
int gnutls_session_is_resumed(session_t session);
int gnutls_prf(session_t session, size_t label_size, const char *label, int server_random_first, size_t extra_size,
               const char *extra, size_t size, char *out);
int gnutls_session_ticket_key_generate(gnutls_datum_t *key);
int gnutls_session_ticket_enable_server(session_t session, const gnutls_datum_t *key);
int gnutls_session_ticket_enable_client(session_t session);
void gnutls_db_set_cache_expiration(session_t session, int seconds);
int gnutls_session_get_data2(session_t session, gnutls_datum_t *data);
int gnutls_session_set_data(session_t session, const void *data, size_t size);
int gnutls_server_name_set(session_t session, int type, const void *name, size_t size);
int gnutls_session_ext_register(session_t session, const char *name, int type, int parse_point,
    int (*receive)(session_t, const unsigned char *, size_t), int (*send)(session_t, void *),
    void *deinit, void *pack, void *unpack, unsigned flags);
int gnutls_buffer_append_data(void *buffer, const void *data, size_t size);

int gnutls_psk_allocate_server_credentials(credentials_t *credentials);
void gnutls_psk_free_server_credentials(credentials_t credentials);
void gnutls_psk_set_server_credentials_function2(credentials_t credentials,
    int (*look_up)(session_t, const gnutls_datum_t *, gnutls_datum_t *));
int gnutls_psk_server_get_username2(session_t session, gnutls_datum_t *name);
int gnutls_psk_allocate_client_credentials(credentials_t *credentials);
void gnutls_psk_free_client_credentials(credentials_t credentials);
int gnutls_psk_set_client_credentials2(credentials_t credentials, const gnutls_datum_t *name,
    const gnutls_datum_t *key, int flags);

int gnutls_certificate_allocate_credentials(credentials_t *credentials);
void gnutls_certificate_free_credentials(credentials_t credentials);
int gnutls_certificate_set_x509_key_mem2(credentials_t credentials, const gnutls_datum_t *certificate,
    const gnutls_datum_t *key, int format, const char *password, unsigned int flags);
int gnutls_certificate_set_x509_trust_mem(credentials_t credentials, const gnutls_datum_t *authorities, int format);
int gnutls_certificate_set_x509_crl_mem(credentials_t credentials, const gnutls_datum_t *lists, int format);
int gnutls_certificate_set_rawpk_key_mem(credentials_t credentials, const gnutls_datum_t *spki,
    const gnutls_datum_t *key, int format, const char *password, unsigned int usage, const char **names,
    unsigned int names_count, unsigned int flags);
void gnutls_certificate_set_verify_function(credentials_t credentials, int (*verify)(session_t));
void gnutls_certificate_set_verify_limits(credentials_t credentials, unsigned int bits, unsigned int depth);
int gnutls_certificate_type_get2(session_t session, int target);
const gnutls_datum_t *gnutls_certificate_get_peers(session_t session, unsigned int *count);
int gnutls_certificate_verify_peers(session_t session, gnutls_typed_vdata_st *data, unsigned int count,
    unsigned int *status);
int gnutls_certificate_verification_status_print(unsigned int status, int type, gnutls_datum_t *out,
    unsigned int flags);
"""

SERVER: Final = 1
CLIENT: Final = 2
DATAGRAM: Final = 4
NONBLOCK: Final = 8
NO_TICKETS: Final = 1 << 10
ENABLE_RAWPK: Final = 1 << 18

CRD_CERTIFICATE: Final = 1
CRD_PSK: Final = 4
CRT_X509: Final = 1
CRT_RAWPK: Final = 3
CTYPE_PEERS: Final = 3
FMT_DER: Final = 0
FMT_PEM: Final = 1
CERT_REQUIRE: Final = 2
KEY_DIGITAL_SIGNATURE: Final = 128
DT_DNS_HOSTNAME: Final = 1
DT_KEY_PURPOSE_OID: Final = 2
DT_IP_ADDRESS: Final = 4
NAME_DNS: Final = 1
EXT_MANDATORY: Final = 3  # parsed in resumptions too
EXT_FLAGS: Final = 1 << 1 | 1 << 2 | 1 << 8  # in ClientHello, in ServerHello of TLS 1.2, for DTLS
FLAG_EXTENDED_MASTER_SECRET: Final = 1 << 1

E_SUCCESS: Final = 0
E_FATAL_ALERT_RECEIVED: Final = -12
E_AGAIN: Final = -28
E_CERTIFICATE_ERROR: Final = -43
E_NO_CERTIFICATE_FOUND: Final = -49
E_INTERRUPTED: Final = -52
E_CERTIFICATE_REQUIRED: Final = -112

_OLDEST: Final = "3.7.0"
# What a gnutls_datum_t points to lives as long as it does.
_kept: Final[weakref.WeakKeyDictionary[Any, Any]] = weakref.WeakKeyDictionary()


class GnuTls:
    """The library: `ffi` makes values, `lib` has the functions. Made by `library` only."""

    def __init__(self) -> None:
        self.ffi: Final = cffi.FFI()
        self.ffi.cdef(_DECLARATIONS)
        try:
            lib: Any = self.ffi.dlopen("libgnutls.so.30")
        except OSError:
            raise DtlsError(
                "GnuTLS is missing, and DTLS needs it: install it (Debian and Ubuntu: apt install libgnutls30; "
                "Fedora: dnf install gnutls; Alpine: apk add gnutls)"
            ) from None
        self.lib: Final = lib
        if self.lib.gnutls_check_version(_OLDEST.encode()) == self.ffi.NULL:
            found = self.text(self.lib.gnutls_check_version(self.ffi.NULL))
            raise DtlsError(f"GnuTLS {found} is too old for DTLS here: install {_OLDEST} or newer")

    def text(self, pointer: Any) -> str:
        """A C string, "" for NULL."""
        if pointer == self.ffi.NULL:
            return ""
        octets = self.ffi.string(pointer)
        return octets.decode("utf-8", "replace") if isinstance(octets, bytes) else str(octets)

    def because(self, error: int) -> str:
        """The library's words for an error, as a part of a sentence."""
        words = self.text(self.lib.gnutls_strerror(error)).rstrip(".")
        return words[:1].lower() + words[1:]

    def datum(self, octets: bytes) -> Any:
        """A gnutls_datum_t of a copy of `octets`; keep it as long as the library reads it."""
        buffer = self.ffi.new("unsigned char[]", octets or b"\x00")
        made = self.ffi.new("gnutls_datum_t *", {"data": buffer, "size": len(octets)})
        _kept[made] = buffer
        return made

    def octets(self, datum: Any) -> bytes:
        """A copy of what a gnutls_datum_t points to."""
        if datum.data == self.ffi.NULL or not datum.size:
            return b""
        return bytes(self.ffi.buffer(datum.data, datum.size))

    def taken(self, datum: Any) -> bytes:
        """As `octets`, of a datum that the library made for its caller to free."""
        octets = self.octets(datum)
        if datum.data != self.ffi.NULL:
            self.lib.gnutls_free(datum.data)
            datum.data = self.ffi.NULL
        return octets


@cache
def library() -> GnuTls:
    """Errors: DtlsError, saying what to install."""
    return GnuTls()
